"""``mtl import``: plain transformers directories that share an encoder become one model directory.

Owns the order of things: reading, comparing, putting together, writing. What a head means is ``imported_tasks.py``'s,
and what makes two encoders the same ``model/shared_encoder.py``'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtl_transformers.errors import ConfigError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.served import read_entry
from mtl_transformers.lifecycle.imported_card import imported_card
from mtl_transformers.lifecycle.imported_tasks import Source, imported_task
from mtl_transformers.model import directory
from mtl_transformers.model.heads import Head
from mtl_transformers.model.native_parity import Parity
from mtl_transformers.model.native_reading import NativeModel, read_native
from mtl_transformers.model.network import Network
from mtl_transformers.model.shared_encoder import check_shared
from mtl_transformers.model.tokenizer import Tokenizer, plain_tokenizer
from mtl_transformers.model.verifying import TASKS
from mtl_transformers.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Imported:
    """What was written.

    Attributes:
        path: the model directory.
        model: that answers its tasks.
        parities: between the logits of each directory's own class and ours, by task.
    """

    path: Path
    model: MultiTaskModel
    parities: Mapping[str, Parity]


def import_models(out: str | Path, sources: Sequence[Source], *, overwrite: bool = False) -> Imported:
    """Write plain directories that share an encoder as one model directory.

    Args:
        out: the directory to write.
        sources: what becomes its tasks, in this order.
        overwrite: replace a model directory that lies there.

    Raises:
        ConfigError: a name is given twice, something lies at `out`, or a source's kind or columns do not fit it.
        ModelError: a directory cannot be read, or its encoder or tokenizer is another one.
        FileError: `out` cannot be written.
    """
    out = Path(out).resolve()
    _check(out, sources, overwrite=overwrite)
    first, natives = _read(sources)
    served = {source.name: imported_task(natives[source.name], source) for source in sources}
    network = Network(first.encoder, {name: _head(natives[name], of.task) for name, of in served.items()})
    model = MultiTaskModel(network.eval(), _tokenizer(list(natives.values())), served, encoder_name=first.path.name)
    parities = {name: native.parity for name, native in natives.items()}
    tasks = model.tasks_json()
    for name, entry in tasks["tasks"].items():  # as it will be read
        read_entry(name, entry, max_length=first.encoder.max_length, hidden_size=first.encoder.hidden_size)
    directory.save(
        out,
        encoder=first.encoder,
        tokenizer=model.tokenizer,
        heads=network.heads_state(),
        tasks=tasks,
        metrics={},
        card=imported_card(out.name, model.tasks, parities),
    )
    return Imported(out, model, parities)


def _check(out: Path, sources: Sequence[Source], *, overwrite: bool) -> None:
    names = [source.name for source in sources]
    for name in names:
        directory.check_task_name(name, place="import")
        if names.count(name) > 1:
            raise ConfigError(f"the name {name!r} is given twice; every task has a name of its own")
    if not names:
        raise ConfigError("nothing to import; give at least one NAME=DIR")
    replaceable = overwrite and (out / TASKS).is_file()
    if out.exists() and not replaceable and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(
            f"{out} is there already. Choose another directory; a model directory is replaced with --overwrite."
        )


def _read(sources: Sequence[Source]) -> tuple[NativeModel, dict[str, NativeModel]]:
    """Return the first model, whose encoder all have, and each one by its name, with that encoder and not its own."""
    first: NativeModel | None = None
    found: dict[str, NativeModel] = {}
    for source in sources:
        native = read_native(source.path)
        if first is None:
            first = native
        else:
            check_shared(first, native, names=(sources[0].name, source.name))
        found[source.name] = replace(native, encoder=first.encoder)
    assert first is not None  # there is a source
    return first, found


def _head(native: NativeModel, task: Task) -> Head:
    """Return the head as its kind reads a row: the first sequence of it, or each."""
    if native.head.spec.vectors == task.vectors:
        return native.head
    head = Head(replace(native.head.spec, vectors=task.vectors))
    head.load_state_dict(native.head.state_dict())
    return head


def _tokenizer(natives: Sequence[NativeModel]) -> Tokenizer:
    """Return the tokenizer of all, at the longest of their lengths."""
    return plain_tokenizer(
        natives[0].tokenizer,
        max_length=max(native.max_length for native in natives),
        uses_token_types=natives[0].encoder.uses_token_types,
    )
