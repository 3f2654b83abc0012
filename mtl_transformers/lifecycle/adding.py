"""Adding a task to a model, or training one anew: what ``mtl add-task`` and ``mtl replace-task`` do.

Owns the order: read, score the old tasks, train, put together, score again, refuse or replace. With a frozen encoder
nothing but the new heads changes, and no old task has to be scored. Until the last step the model is as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, Interrupted, ModelError
from mtl_transformers.inference.described import split_json
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.change import Change, Settings
from mtl_transformers.lifecycle.comparing import compare, fallen
from mtl_transformers.lifecycle.contents import Content, content_of, inputs_of, with_tasks
from mtl_transformers.lifecycle.old_tasks import data_config, find_data, run_config, score_tasks, with_old_tasks
from mtl_transformers.lifecycle.passes import sharing
from mtl_transformers.lifecycle.start_config import Origin, Source, Start, start_of
from mtl_transformers.lifecycle.storing import (
    candidate_of,
    check_start,
    check_unchanged,
    clear_candidate,
    manifest_of,
    open_model,
    store,
    training_of,
    write_start,
)
from mtl_transformers.model.card import public_name
from mtl_transformers.model.directory import ModelDirectory, load
from mtl_transformers.storage.swap import discard
from mtl_transformers.training.evaluation import TaskScores
from mtl_transformers.training.loop import Event, Planned, Result, Stopped, run
from mtl_transformers.training.tracking import make_accelerator


@dataclass(frozen=True, slots=True)
class _Work:
    """A change that is under way.

    Attributes:
        stored: the model as it was read.
        manifest: what identifies it.
        place: where the changed one goes.
        start: the training.
        parts: where the data of the old tasks are; nothing where the encoder does not move.
        max_drop: how much an old task may fall.
    """

    stored: ModelDirectory
    manifest: bytes
    place: Path
    start: Start
    parts: Sequence[Config]
    max_drop: float

    @property
    def is_frozen(self) -> bool:
        return self.start.config.encoder.freeze == "all"


def add_task(model: str | Path, config: Source, settings: Settings | None = None) -> Change:
    """Train the tasks of a config that a model lacks, and add them to it.

    Args:
        model: a model directory; or a hub id, with ``settings.out``.
        config: data and tasks; tasks that the model has are trained on, or stay as they are with a frozen encoder.
        settings: how.

    Raises:
        ModelError: an old task fell by more than is allowed; the model is as it was.
        Interrupted: a signal stopped the training; the model is as it was.
        MTLError: whatever is wrong with model, config or data.
    """
    return _last(adding(model, config, settings or Settings()))


def replace_task(
    model: str | Path, config: Source, settings: Settings | None = None, *, tasks: Sequence[str] = ()
) -> Change:
    """Train tasks that a model has anew, with new heads; they may be of another kind or have other labels.

    Args:
        model: a model directory; or a hub id, with ``settings.out``.
        config: data and tasks.
        settings: how.
        tasks: which of the config's tasks; none: all.

    Raises:
        MTLError: as `add_task`.
    """
    return _last(adding(model, config, settings or Settings(), replaced=tasks))


def _last(events: Iterator[Event | Change]) -> Change:
    *_, last = events
    if isinstance(last, Stopped):
        raise Interrupted(f"{last.request.reason} stopped the training after step {last.step}; the model is as it was")
    assert isinstance(last, Change)  # the last event
    if last.refused:
        raise ModelError(last.refusal())
    return last


def adding(
    model: str | Path, config: Source, settings: Settings, *, replaced: Sequence[str] | None = None
) -> Iterator[Event | Change]:
    """Add tasks to a model and yield what happens; the last event is the `Change`, or that it was `Stopped`.

    Args:
        model: as `add_task`; likewise the others.
        config: data and tasks.
        settings: how.
        replaced: as `replace_task`; ``None``: those are added that the model lacks.
    """
    if not (settings.max_drop >= 0 and math.isfinite(settings.max_drop)):
        raise ConfigError(f"--max-drop {settings.max_drop}: expected 0 or more, as 0.01")
    stored, place = open_model(model, settings.out)
    manifest, served = manifest_of(stored.path), MultiTaskModel.from_pretrained(stored.path)
    start, parts = _start(stored, served, config, settings, output=training_of(place), replaced=replaced)
    work = _Work(stored, manifest, place, start, parts, settings.max_drop)
    if make_accelerator(start.config).num_processes > 1:
        raise ConfigError("tasks are added and replaced by one process; start it without a launcher")
    check_start(work.start.output, manifest, resume=settings.resume)
    before = score_tasks(served, parts)
    del served  # its memory is the training's
    for event in run(start.config, overwrite=settings.overwrite, resume=settings.resume, anew=start.new):
        if isinstance(event, Result):
            change = _change(work, event, before)
            discard(start.output)
            yield change
            return
        if isinstance(event, Planned):
            write_start(start.output, manifest)
        yield event


def _start(
    stored: ModelDirectory,
    served: MultiTaskModel,
    source: Source,
    settings: Settings,
    *,
    output: Path,
    replaced: Sequence[str] | None,
) -> tuple[Start, list[Config]]:
    """Return the training, and where the data of the old tasks are: nowhere, where the encoder does not move."""
    own = run_config(stored.path.resolve())
    freeze: dict[str, object] = {} if settings.freeze is None else {"encoder.freeze": settings.freeze}
    overrides, origin = {**settings.overrides, **freeze}, _origin(stored, served, own)
    start = start_of(source, overrides, origin=origin, output=output, replaced=replaced)
    if start.config.encoder.freeze == "all":
        if settings.data or settings.rehearse:
            raise ConfigError(
                "--data and --rehearse are for an encoder that moves; with a frozen one the old tasks stay as they "
                "are. Leave them out"
            )
        return start, []
    others = [data_config(given, model=origin.model) for given in settings.data] + ([] if own is None else [own])
    old = [name for name in served.tasks if name not in start.new]
    if settings.rehearse:
        more = find_data([name for name in old if name not in start.rehearsed], others)
        merged = with_old_tasks(source, more, data=start.config.data)
        again = None if replaced is None else start.new
        start = start_of(merged, overrides, origin=origin, output=output, replaced=again)
    return start, find_data(old, [start.config, *others])


def _origin(stored: ModelDirectory, served: MultiTaskModel, own: Config | None) -> Origin:
    return Origin(
        model=stored.path.resolve(),
        encoder=public_name(served.encoder_name),
        tasks=tuple(served.tasks),
        precision=served.precision,
        max_length=max(task.input.max_length for task in served.tasks.values()),
        seed=None if own is None else own.seed,
    )


def _change(work: _Work, result: Result, before: Mapping[str, TaskScores]) -> Change:
    """Put the model together, score its old tasks where the encoder moved, and replace it or refuse to."""
    stored, trained, candidate = work.stored, load(result.best), candidate_of(work.place)
    content = with_tasks(content_of(stored), content_of(trained), rehearsed=work.start.rehearsed)
    encoder = None if work.is_frozen else trained.path
    clear_candidate(candidate)
    after: dict[str, TaskScores] = {}
    if before:
        store(candidate, stored, content, encoder=encoder)
        after = score_tasks(MultiTaskModel.from_pretrained(candidate), work.parts)
        content = _with_scores(content, after)
    compared = compare(before, after)
    refused = fallen(compared, max_drop=work.max_drop)
    clear_candidate(candidate)
    path = candidate if refused else work.place
    if not refused and path == stored.path.resolve():
        check_unchanged(stored, manifest=work.manifest)
    store(path, stored, content, encoder=encoder)
    return Change(
        path=path,
        place=work.place,
        new=work.start.new,
        scores={name: result.scores[name] for name in work.start.new},
        left=work.start.left,
        compared=compared,
        refused=refused,
        max_drop=work.max_drop,
        frozen=work.is_frozen,
        sharing=sharing(inputs_of(content), work.start.new),
    )


def _with_scores(content: Content, scores: Mapping[str, TaskScores]) -> Content:
    """Return the content with the scores of old tasks on validation; those on other splits are not known any more."""
    metrics = {
        name: {"validation": split_json(of.metrics, baseline=of.baseline, num_rows=of.num_rows)}
        for name, of in scores.items()
    }
    return replace(content, metrics={**content.metrics, **metrics})
