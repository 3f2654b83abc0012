"""``mtl export``: a model as one ONNX graph, compared with the model before it takes its place.

Owns the order of things and what is refused. Making the graph and its directory is ``inference/``'s, as is comparing
answers; scoring both sides on labelled rows is ``graph_scores.py``'s.

Whatever the precision, the fp32 graph is compared first, on rows made of the vocabulary: they have all lengths, and a
mistake of the export shows there. What is then stored is how the written graph does on the rows that were asked for,
and for tasks that those do not reach on the made ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, DataError, ModelError
from mtl_transformers.inference.export import exportable, write_answers, write_parity
from mtl_transformers.inference.files import FORMATS, read_rows
from mtl_transformers.inference.made_rows import made_rows
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.onnx_graph import export_graph
from mtl_transformers.inference.parity import TaskParity, compare, joined
from mtl_transformers.inference.quantizing import GraphPrecision, in_precision
from mtl_transformers.lifecycle.graph_scores import Change, compare_on_split
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.runtime.answering import CHUNK_ROWS, chunked
from mtl_transformers.runtime.onnx_directory import GRAPH, RUNTIME
from mtl_transformers.storage.swap import replacing

FORMAT_VERSION = 1  # of parity.json
MOST_DIFFERENCE = 1e-4  # between a logit of the fp32 graph and torch's
MADE = "made of the vocabulary"
ROUNDING = 1e-6  # of a metric: is no drop
SEED = 0  # of the made rows


@dataclass(frozen=True, slots=True)
class ExportedTask:
    """How the graph does on a task.

    Attributes:
        source: the rows that were compared.
        parity: how its logits and answers differ from the model's.
        changes: each metric of both, where the rows have labels.
    """

    source: str
    parity: TaskParity
    changes: Mapping[str, Change] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return what ``parity.json`` says of the task."""
        return {
            "source": self.source,
            "rows": self.parity.num_rows,
            "largest_difference": self.parity.largest_difference,
            "equal_answers": self.parity.equal_answers,
            "metrics": {name: change.to_json() for name, change in self.changes.items()},
        }


@dataclass(frozen=True, slots=True)
class Exported:
    """A graph that was written.

    Attributes:
        path: its directory.
        precision: of the graph.
        num_bytes: of the graph.
        tasks: that it answers, by name.
        left_out: tasks that it does not answer.
    """

    path: Path
    precision: GraphPrecision
    num_bytes: int
    tasks: Mapping[str, ExportedTask]
    left_out: tuple[str, ...]


def export(
    name: str | Path,
    out: Path,
    *,
    revision: str | None = None,
    precision: GraphPrecision = "fp32",
    config: Config | None = None,
    split: str = "validation",
    max_drop: float = 0.01,
    rows: Path | None = None,
    overwrite: bool = False,
) -> Exported:
    """Export a model to a directory that `runtime.OnnxModel` answers from, and compare the two.

    Args:
        name: a model directory, or a hub id.
        out: the directory to write.
        revision: of a hub id.
        precision: of the graph.
        config: compare, and score, on a split of its datasets.
        split: which one.
        max_drop: how far a task's first metric may fall on it.
        rows: compare on the rows of this file; without it and without a config, on made ones.
        overwrite: replace an older export.

    Raises:
        ConfigError: settings that exclude each other, or `out` is taken.
        ModelError: it cannot be exported, or the graph does not answer as the model does; `out` is as it was.
        DataError: the rows cannot be read.
    """
    _check_settings(out, config=config, rows=rows, max_drop=max_drop, overwrite=overwrite)
    with replacing(out.resolve(), marker=RUNTIME) as new:
        model = MultiTaskModel.from_pretrained(name, revision=revision, device="cpu", precision="fp32")
        tasks = exportable(model)
        compared = _write(new, model, tasks, precision)
        exported = OnnxModel.from_pretrained(new)
        if rows is not None:
            compared |= _on_file(model, exported, rows)
        if config is not None:
            compared |= _on_split(model, exported, config, split)
            _check_drops(compared, precision=precision, max_drop=max_drop)
        _check_distances(compared, precision)
        write_parity(new, _parity_json(compared, precision, max_drop=None if config is None else max_drop))
        num_bytes = (new / GRAPH).stat().st_size
    left_out = tuple(task for task in model.tasks if task not in tasks)
    return Exported(out, precision, num_bytes, {task: compared[task] for task in tasks}, left_out)


def _check_settings(out: Path, *, config: Config | None, rows: Path | None, max_drop: float, overwrite: bool) -> None:
    if config is not None and rows is not None:
        raise ConfigError("compare on the config's rows or on those of a file? Leave out --config or --rows")
    if rows is not None and (not rows.is_file() or rows.suffix.lower() not in FORMATS):
        raise DataError(f"--rows {rows}: expected a file whose name ends in {', '.join(FORMATS)}")
    if not (max_drop >= 0 and math.isfinite(max_drop)):
        raise ConfigError(f"--max-drop {max_drop}: expected 0 or more")
    if (out / RUNTIME).is_file() and not overwrite:
        raise ConfigError(f"{out}: holds another export; replace it with --overwrite, or choose another place")


def _write(
    place: Path, model: MultiTaskModel, tasks: Sequence[str], precision: GraphPrecision
) -> dict[str, ExportedTask]:
    """Write the graph in fp32, compare it on made rows, and do the same in another precision where that is wanted."""
    graph = export_graph(model.network, tasks)
    write_answers(place, model, tasks, graph.model, precision="fp32")
    compared = _on_made_rows(model, OnnxModel.from_pretrained(place), tasks)
    _check_distances(compared, "fp32")
    if precision == "fp32":
        return compared
    write_answers(place, model, tasks, in_precision(graph, precision), precision=precision)
    return _on_made_rows(model, OnnxModel.from_pretrained(place), tasks)


def _on_made_rows(model: MultiTaskModel, exported: OnnxModel, tasks: Iterable[str]) -> dict[str, ExportedTask]:
    """Compare on made rows, and see that both read rows alike."""
    answerable = {name: exported.tasks[name] for name in tasks}
    found = []
    for names, rows in made_rows(answerable, model.vocabulary.tokens, seed=SEED):
        asked = model.answering.ask(rows, names)
        if asked != exported.answering.ask(rows, names):
            raise ModelError(f"the exported tokenizer reads rows of {', '.join(names)} in another way than the model's")
        found.append(compare(model.answering, exported.answering, [each for row in asked for each in row.questions]))
    return {name: ExportedTask(MADE, parity) for name, parity in joined(of.tasks for of in found).items()}


def _on_file(model: MultiTaskModel, exported: OnnxModel, path: Path) -> dict[str, ExportedTask]:
    try:
        found = joined(_on_chunks(model, exported, chunked(read_rows(path), CHUNK_ROWS)))
    except DataError as error:
        raise DataError(f"--rows {path}: {error}") from error
    if not found:
        raise DataError(f"--rows {path}: holds no rows to compare on. Name a file with some, or leave --rows out")
    return {name: ExportedTask(path.name, parity) for name, parity in found.items()}


def _on_chunks(
    model: MultiTaskModel, exported: OnnxModel, chunks: Iterable[Sequence[Mapping[str, Any]]]
) -> Iterator[Mapping[str, TaskParity]]:
    tasks, num_rows = None, 0
    for rows in chunks:
        tasks = exported.answering.choose(rows, tasks)
        asked = exported.answering.ask(rows, tasks, first_row=num_rows)
        yield compare(model.answering, exported.answering, [each for row in asked for each in row.questions]).tasks
        num_rows += len(rows)


def _on_split(model: MultiTaskModel, exported: OnnxModel, config: Config, split: str) -> dict[str, ExportedTask]:
    scored = compare_on_split(model, exported, config, split)
    return {name: ExportedTask(split, of.parity, of.changes) for name, of in scored.items()}


def _check_distances(compared: Mapping[str, ExportedTask], precision: GraphPrecision) -> None:
    """Refuse logits that lie too far apart in fp32, or that are no numbers in any precision."""
    for name, of in compared.items():
        distance = of.parity.largest_difference
        if precision == "fp32" and not distance <= MOST_DIFFERENCE:
            raise ModelError(
                f"task {name!r}: a logit of the graph lies {distance:.2g} from torch's on the rows {of.source}, and "
                f"{MOST_DIFFERENCE:.0e} is allowed. Serve this model with torch, and report it"
            )
        if math.isinf(distance):
            raise ModelError(
                f"task {name!r}: in {precision} the graph gives logits that are no numbers on the rows {of.source}. "
                "Export in fp32"
            )


def _check_drops(compared: Mapping[str, ExportedTask], *, precision: str, max_drop: float) -> None:
    fallen = [
        f"{name} {metric} {change.torch:.4f} → {change.onnx:.4f}"
        for name, of in compared.items()
        for metric, change in list(of.changes.items())[:1]
        if change.drop(metric) > max_drop + ROUNDING
    ]
    if fallen:
        raise ModelError(
            f"not exported: in {precision} fall by more than --max-drop {max_drop:g}: {', '.join(fallen)}. Export in a "
            "higher precision, or allow more"
        )


def _parity_json(
    compared: Mapping[str, ExportedTask], precision: GraphPrecision, *, max_drop: float | None
) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "precision": precision,
        "reference": f"torch {version('torch')}, fp32",
        "onnxruntime": version("onnxruntime"),
        "max_drop": max_drop,
        "tasks": {name: of.to_json() for name, of in compared.items()},
    }
