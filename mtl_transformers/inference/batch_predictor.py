"""A predictor that travels to other processes: columns of a batch in, the same columns and the answers out.

Owns `BatchPredictor`, for Ray Data's ``map_batches`` and whatever else gives a function a batch of columns. It is
pickled as a path and options; the model is loaded where it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.errors import DataError
from mtl_transformers.inference.carried import check_renamed, named_as_read, read_columns
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import Precision
from mtl_transformers.inference.table_rows import Cells, cells_like, cells_of, check_names, is_error
from mtl_transformers.runtime.questions import Errors

Columns = Mapping[str, Sequence[Any] | NDArray[Any]]


class BatchPredictor:
    """Answers batches of columns with a model that is loaded at the first one.

        ray.data.read_parquet("in/").map_batches(
            BatchPredictor,
            fn_constructor_args=["runs/tickets/best"],
            compute=ray.data.ActorPoolStrategy(size=4),
            batch_size=4096,
        )

    Args:
        model: a model directory, or a hub id; every process loads it from there.
        tasks: names of the tasks; ``None``: all whose columns the batch has.
        columns: the batch's column by the column that the model reads, as ``{"body": "message"}``.
        keep: columns of the batch that the answers stand beside; ``None``: all of them.
        errors: a row that cannot be read is an exception (``raise``), or has no answers but a message in the column
            ``error`` (``keep``).
        revision: of a hub id.
        device: where it computes; a GPU where there is one.
        precision: of the forward pass; see `MultiTaskModel.from_pretrained`.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        tasks: Sequence[str] | None = None,
        columns: Mapping[str, str] | None = None,
        keep: Sequence[str] | None = None,
        errors: Errors = "raise",
        revision: str | None = None,
        device: str | None = None,
        precision: Precision | None = None,
    ) -> None:
        self.model = str(
            Path(model).resolve() if Path(model).is_dir() else model
        )  # another process may start elsewhere
        self.tasks = None if tasks is None else list(tasks)
        self.columns = dict(columns or {})
        self.keep = None if keep is None else list(keep)
        self.errors: Errors = errors
        self.revision = revision
        self.device = device
        self.precision: Precision | None = precision
        self._loaded: MultiTaskModel | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: the options without the model, so that it is the same before and after first use."""
        return {**self.__dict__, "_loaded": None}

    def __call__(self, batch: Columns) -> dict[str, NDArray[Any]]:
        """Answer a batch.

        Args:
            batch: columns of equal length.

        Returns:
            The columns that are kept and those of the answers, as `predict_file` writes them in a table. A column of
            numbers has its own dtype unless a cell is null.

        Raises:
            ConfigError: a task or a column that the model does not know, or two columns of one name.
            DataError: a missing column, or a row without text: with its number in the batch.
        """
        model = self._model()
        check_renamed(model.answering.tasks, self.columns)
        kept = {name: _kept(batch, name) for name in (batch if self.keep is None else self.keep)}
        columns = named_as_read(list(batch), self.columns)
        chosen = model.answering.choose([columns], self.tasks)
        check_names(chosen, carried=kept, errors=self.errors == "keep")
        wanted = read_columns(model.answering.tasks[name] for name in chosen)
        rows = _rows(batch, {ours: theirs for ours, theirs in columns.items() if ours in wanted})
        answers = model.predict(rows, tasks=chosen, errors=self.errors)
        like = cells_like(
            {name: model.answering.tasks[name] for name in chosen},
            [answer for answer in answers if not is_error(answer)][:1],
            errors=self.errors == "keep",
        )
        cells = [cells_of(answer) for answer in answers]
        return kept | {name: _array([of.get(name) for of in cells], like, name) for name in like}

    def _model(self) -> MultiTaskModel:
        """Return the model, which is loaded when it is first asked for."""
        if self._loaded is None:
            self._loaded = MultiTaskModel.from_pretrained(
                self.model, revision=self.revision, device=self.device, precision=self.precision
            )
        return self._loaded


def _rows(batch: Columns, read: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what is read of a batch as rows, under the names that the model reads."""
    lengths = {name: len(column) for name, column in batch.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise DataError(f"the columns of the batch have different numbers of rows: {shown}")
    lists = [[_plain(cell) for cell in batch[theirs]] for theirs in read.values()]
    return [dict(zip(read, cells, strict=True)) for cells in zip(*lists, strict=True)]


def _plain(cell: Any) -> Any:
    """Return a cell as Python has it: a list of words may come as an array, and a text as numpy's."""
    return cell.tolist() if isinstance(cell, np.ndarray | np.generic) else cell


def _kept(batch: Columns, name: str) -> NDArray[Any]:
    if name not in batch:
        raise DataError(f"no column {name!r} to keep; the batch has {', '.join(map(repr, batch))}")
    column = batch[name]
    return column if isinstance(column, np.ndarray) else _objects(column)


def _array(cells: Sequence[Any], like: Cells, name: str) -> NDArray[Any]:
    """Return a column of answers: numbers in their dtype, texts and whatever holds nulls as objects."""
    if isinstance(like[name], str) or any(cell is None for cell in cells):
        return _objects(cells)
    return np.asarray(cells, dtype=type(like[name]))


def _objects(cells: Sequence[Any]) -> NDArray[Any]:
    """Return cells as they are; lists of equal lengths make no second dimension."""
    found = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        found[place] = cell
    return found
