"""How a task is added to a model, or trained anew, and what became of the model: plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtl_transformers.lifecycle.comparing import Compared
from mtl_transformers.lifecycle.start_config import Source
from mtl_transformers.lifecycle.storing import shown
from mtl_transformers.training.evaluation import TaskScores


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a task is added or trained anew.

    Attributes:
        freeze: what of the encoder is not trained, as ``encoder.freeze``; ``None``: as the config says.
        max_drop: how much an old task's first metric may fall.
        out: where the changed model goes; ``None``: in the place of the old one.
        data: configs of the old tasks' data; besides them, that of the run that the model lies in is looked at.
        rehearse: train the old tasks too.
        overrides: values of the config by dotted path.
        overwrite: replace a training of a change that was left unfinished.
        resume: go on with it.
    """

    freeze: str | int | None = None
    max_drop: float = 0.01
    out: str | Path | None = None
    data: Sequence[Source] = ()
    rehearse: bool = False
    overrides: Mapping[str, object] = field(default_factory=dict)
    overwrite: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a model.

    Attributes:
        path: where the changed model lies: in its place, or as a candidate where it was refused.
        place: where it was to go.
        new: the tasks that were added or trained anew.
        scores: of these, on their validation splits.
        left: old tasks of the config that were not trained, because the encoder was frozen.
        compared: old tasks before and after; none where the encoder was frozen.
        refused: those that fell by more than was allowed.
        max_drop: what was allowed.
        frozen: the encoder and the other heads are byte for byte as they were.
        sharing: by new task, the others that read the same: they share its encoder pass.
    """

    path: Path
    place: Path
    new: tuple[str, ...]
    scores: Mapping[str, TaskScores]
    left: tuple[str, ...]
    compared: Sequence[Compared]
    refused: Sequence[Compared]
    max_drop: float
    frozen: bool
    sharing: Mapping[str, tuple[str, ...]]

    def refusal(self) -> str:
        """Return why the model was not replaced, and what to do."""
        fell = "; ".join(f"{of.task} fell in {of.metric}, {of.before:.4f} → {of.after:.4f}" for of in self.refused)
        return (
            f"refused: {fell}; that is more than --max-drop {self.max_drop:g}. {shown(self.place)} was not written, "
            f"the candidate lies in {shown(self.path)}. Train the old tasks along (--rehearse), train less "
            "(training.learning_rate, training.epochs), or leave the encoder as it is (--freeze all)"
        )
