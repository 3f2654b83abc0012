"""``mtl split``: one task as a plain transformers directory with equal logits.

Owns the order of things: what may be split, where it may be written, writing, and proving it. What a task is to
transformers is ``plain_tasks.py``'s, and the family's own class ``model/native.py``'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtl_transformers.errors import ConfigError, ModelError, nearest
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.plain_card import plain_card
from mtl_transformers.lifecycle.plain_tasks import PlainTask, left_out, plain_task
from mtl_transformers.lifecycle.plain_usage import usage
from mtl_transformers.model import directory
from mtl_transformers.model.native import AUTO_CLASSES, inexpressible, native_model, save_native
from mtl_transformers.model.native_parity import Parity, check_parity, parity
from mtl_transformers.model.native_reading import load_native
from mtl_transformers.model.tokenizer import pad_id, plain_tokenizer
from mtl_transformers.model.verifying import CARD, CONFIG, TASKS
from mtl_transformers.storage.files import write_file
from mtl_transformers.storage.swap import replacing


@dataclass(frozen=True, slots=True)
class Split:
    """What was written.

    Attributes:
        path: the directory.
        architecture: the class of transformers that its config.json names.
        auto_class: the one that opens it.
        parity: between the logits of both.
        notes: what transformers does not do of what our predictions do.
    """

    path: Path
    architecture: str
    auto_class: str
    parity: Parity
    notes: tuple[str, ...]


def split(
    name: str | Path, task: str, out: str | Path, *, revision: str | None = None, overwrite: bool = False
) -> Split:
    """Write one task of a model as a plain transformers directory.

    Args:
        name: a model directory, or a hub id.
        task: the task's name.
        out: the directory to write.
        revision: of a hub id.
        overwrite: replace a plain directory that lies there.

    Raises:
        ConfigError: the model has no such task, or something lies at `out`.
        ModelError: it is no model directory, or the task's head is none that the family's own class can express.
        FileError: `out` cannot be written.
    """
    out = Path(out).resolve()
    check_free(out, overwrite=overwrite)
    model = MultiTaskModel.from_pretrained(name, revision=revision, device="cpu", precision="fp32")
    plain = _plain(model, task)
    scores = directory.load(name, revision=revision).metrics.get(task, {})
    served, head = model.tasks[task], model.network.head(task)
    notes = left_out(served, model.tokenizer)
    with replacing(out, marker=CONFIG) as new:
        native, state = native_model(model.network.encoder, head, form=plain.form, outputs=plain.outputs)
        save_native(new, native, state)
        _save_tokenizer(model, task, new)
        found = _proved(model, task, plain, new)
        architecture = type(native).__name__
        card = plain_card(
            served,
            architecture=architecture,
            parity=found,
            usage=usage(served, form=plain.form, pooling=head.spec.pooling, mask_token=str(model.tokenizer.mask_token)),
            notes=notes,
            scores=scores,
        )
        write_file(new / CARD, card.encode())
    return Split(out, architecture, AUTO_CLASSES[plain.form], found, tuple(notes))


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuse a place that holds something, or a model directory of ours in any case.

    Raises:
        ConfigError: saying what to do.
    """
    if (out / TASKS).is_file():
        raise ConfigError(f"{out} is a model directory of several tasks and is not replaced. Choose another directory.")
    if overwrite or not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    raise ConfigError(f"{out} is there already. Choose another directory, or replace it with --overwrite.")


def _plain(model: MultiTaskModel, task: str) -> PlainTask:
    """Return what a task is to transformers, if its family's class can express its head."""
    if task not in model.tasks:
        known = ", ".join(model.tasks)
        raise ConfigError(f"unknown task {task!r}; the model answers {known}{nearest(task, model.tasks)}")
    plain = plain_task(model.tasks[task].task)
    problem = inexpressible(model.network.head(task).spec, model.network.encoder.config, plain.form)
    if problem is not None:
        raise ModelError(
            f"task {task!r} cannot be an {AUTO_CLASSES[plain.form]}: {problem}. Serve it with mtl_transformers, or "
            "train it with the family's own head (no layer, pooling or ordinal)."
        )
    return plain


def _save_tokenizer(model: MultiTaskModel, task: str, new: Path) -> None:
    tokenizer = plain_tokenizer(
        model.tokenizer,
        max_length=model.tasks[task].input.max_length,
        uses_token_types=model.network.encoder.uses_token_types,
    )
    directory.save_tokenizer(tokenizer, new)


def _proved(model: MultiTaskModel, task: str, plain: PlainTask, new: Path) -> Parity:
    """Open what was written as a user will, and compare it with the task."""
    found = parity(
        load_native(new, plain.form),
        model.network.encoder,
        model.network.head(task),
        form=plain.form,
        outputs=plain.outputs,
        pad_id=pad_id(model.tokenizer),
    )
    check_parity(found, place=f"task {task!r}")
    return found
