"""The model that answers: one encoder, its heads and their tasks, from rows to predictions.

Owns `MultiTaskModel`: loading a model directory, finding what each task reads of a row, one encoder pass for all tasks
with an equal input, and decoding. Training scores its models through the same `MultiTaskModel.answer`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from mtl_transformers.batch import collate, cut
from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.inference.precision import Precision, autocast, default_device, resolve_precision
from mtl_transformers.model import directory
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.heads import Head, head_spec_from_json
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import Tokenizer, load_tokenizer, pad_id, text_backend, words_backend
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.task import Logits, Prediction, Task
from mtl_transformers.text.encoding import Features, Form, Row, TextEncoder
from mtl_transformers.text.inputs import Input, encode, row_of, text_of

MAX_TOKENS = 4096  # padded tokens of one forward pass, unless told otherwise
CHUNK_ROWS = 4096  # rows that are encoded before they are answered

_NO_LOGITS: Logits = np.empty((0, 0), dtype=np.float32)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedTask:
    """A fitted task, what it reads of a row, and how much it was trained.

    Attributes:
        task: the fitted task.
        dataset: the dataset that it was trained on.
        input: what it reads of a row.
        rows_seen: labelled rows that training took, repeats counted.
    """

    task: Task
    dataset: str
    input: Input
    rows_seen: int = 0


class TextEncoders:
    """The text encoders of one tokenizer, by form and length, made when they are first needed."""

    def __init__(self, tokenizer: Tokenizer, *, uses_token_types: bool) -> None:
        self._backends = {"words": words_backend(tokenizer), "text": text_backend(tokenizer)}
        self._uses_token_types = uses_token_types
        self._made: dict[tuple[str, int], TextEncoder] = {}

    def get(self, form: Form, *, max_length: int) -> TextEncoder:
        """Return the encoder of a form at a length."""
        backend = "words" if form == "words" else "text"
        if (backend, max_length) not in self._made:
            self._made[backend, max_length] = TextEncoder(
                self._backends[backend], max_length=max_length, uses_token_types=self._uses_token_types
            )
        return self._made[backend, max_length]

    def key(self, form: Form) -> str:
        """Return what identifies the behaviour of a form's encoders."""
        return self._backends["words" if form == "words" else "text"].to_str() + str(self._uses_token_types)


class MultiTaskModel:
    """One encoder with named tasks that answers rows.

    Args:
        network: encoder and heads; a head for each of `tasks`.
        tokenizer: of the encoder.
        tasks: by name.
        precision: of the forward pass.
        max_tokens: padded tokens of one forward pass; memory, not answers.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        tasks: Mapping[str, ServedTask],
        *,
        precision: Precision = "fp32",
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.tasks = dict(tasks)
        self.precision = precision
        self.max_tokens = max_tokens
        self.encoders = TextEncoders(tokenizer, uses_token_types=network.encoder.uses_token_types)
        self._pad_id = pad_id(tokenizer)
        self._unanswered: set[str] = set()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        precision: Precision | None = None,
        attention: str = "auto",
        max_tokens: int = MAX_TOKENS,
    ) -> Self:
        """Load a model directory.

        Args:
            name: a directory, or a hub id.
            revision: of a hub id.
            device: where it computes; a GPU where there is one.
            precision: of the forward pass; the one that the model was scored in, where the device has it, else fp32.
            attention: as transformers names it; auto takes the fastest that the family has.
            max_tokens: padded tokens of one forward pass.

        Raises:
            ModelError: it is no model directory, or its parts do not fit each other.
        """
        stored = directory.load(name, revision=revision)
        place = torch.device(device) if device is not None else default_device()
        encoder = load_encoder(str(stored.path), attention=attention)
        try:
            entries = {task: _served(entry) for task, entry in stored.tasks["tasks"].items()}
            heads = {task: head_spec_from_json(entry["head"]) for task, entry in stored.tasks["tasks"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{stored.path / 'tasks.json'}: malformed: {error!r}") from error
        network = Network(encoder, {task: Head(spec) for task, spec in heads.items()})
        network.load_heads_state(stored.heads)
        for task, entry in entries.items():
            _check_width(task, entry.task, heads[task].out_features)
        if precision is None:
            precision = stored.tasks.get("precision", "fp32")
            if precision != "fp32" and resolve_precision("auto", place) == "fp32":
                _LOG.info("%s was scored in %s, which this device has not; it computes in fp32", name, precision)
                precision = "fp32"
        network.to(place).eval()
        return cls(network, load_tokenizer(str(stored.path)), entries, precision=precision, max_tokens=max_tokens)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    def tasks_json(self, *, encoder: str) -> dict[str, Any]:
        """Return the content of ``tasks.json``."""
        return {
            "format_version": directory.FORMAT_VERSION,
            "encoder": encoder,
            "precision": self.precision,
            "tasks": {
                name: {
                    **served.task.to_json(),
                    "dataset": served.dataset,
                    "input": served.input.to_json(),
                    "head": self.network.head(name).spec.to_json(),
                    "rows_seen": served.rows_seen,
                }
                for name, served in self.tasks.items()
            },
        }

    def predict(
        self,
        rows: Sequence[str | Mapping[str, Any]],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
    ) -> list[dict[str, Prediction]]:
        """Answer rows: one JSON object for each, with the tasks' names as keys.

        Args:
            rows: texts, or mappings with the columns that the tasks read; labels are not needed. A text stands for
                a row of every dataset with a single text column.
            tasks: names of the tasks to answer; ``None``: all whose columns are given.
            top_k: classification also gives the probabilities of the k best labels.

        Raises:
            ConfigError: an unknown task.
            DataError: a named task's columns are missing, or a text is null or empty; names the row.
        """
        _check_rows(rows)
        chosen = self._choose(rows, tasks)
        answers: list[dict[str, Prediction]] = []
        for start in range(0, len(rows), CHUNK_ROWS):
            answers += self._predict_chunk(rows[start : start + CHUNK_ROWS], chosen, first_row=start, top_k=top_k)
        return answers

    def _predict_chunk(
        self,
        rows: Sequence[str | Mapping[str, Any]],
        tasks: Sequence[str],
        *,
        first_row: int,
        top_k: int | None,
    ) -> list[dict[str, Prediction]]:
        answers: list[dict[str, Prediction]] = [{} for _ in rows]
        for names in self._by_input(rows, tasks):
            given = self.tasks[names[0]].input
            encodable, form = _cells(rows, given, first_row=first_row)
            aligned = any(self.tasks[name].task.vectors == "token" for name in names)
            features = encode(
                self.encoders.get(form, max_length=given.max_length), encodable, form=form, aligned=aligned
            )
            truncated = sum(row.truncated for row in features)
            if truncated:
                _LOG.warning(
                    "%d of %d texts were cut to %d tokens (%s)",
                    truncated,
                    len(rows),
                    given.max_length,
                    ", ".join(names),
                )
            texts = [text_of(row) for row in encodable]
            for name, predictions in self.answer(features, names, texts=texts, form=form, top_k=top_k).items():
                for answer, prediction in zip(answers, predictions, strict=True):
                    answer[name] = prediction
        return [{name: answer[name] for name in tasks} for answer in answers]

    def answer(
        self,
        features: Sequence[Features],
        tasks: Sequence[str],
        *,
        texts: Sequence[str],
        form: Form,
        top_k: int | None = None,
    ) -> dict[str, list[Prediction]]:
        """Answer encoded rows: the encoder runs once for all the tasks.

        Args:
            features: the rows, encoded in one input; aligned when a task reads tokens.
            tasks: names of the tasks to answer.
            texts: what character offsets count in.
            form: how the rows were given.
            top_k: classification also gives the probabilities of the k best labels.

        Returns:
            Predictions by task, in the order of the rows.
        """
        logits = self.logits(features, tasks)
        return {
            name: self.tasks[name].task.decode(logits[name], features, texts=texts, form=form, top_k=top_k)
            for name in tasks
        }

    def logits(self, features: Sequence[Features], tasks: Sequence[str]) -> dict[str, list[Logits]]:
        """Return each row's logits ``[M_r, C]`` by task; rows of similar length go through the encoder together."""
        found: dict[str, list[Logits]] = {name: [_NO_LOGITS] * len(features) for name in tasks}
        parts = cut(
            [row.length for row in features],
            num_sequences=[row.num_sequences for row in features],
            max_tokens=self.max_tokens,
        )
        for part in parts:
            rows = [features[n] for n in part]
            for name, values in self._forward(rows, tasks).items():
                for n, of_row in zip(part, values, strict=True):
                    found[name][n] = of_row
        return found

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Features], tasks: Sequence[str]) -> dict[str, list[Logits]]:
        """Run one padded forward pass and cut the logits by rows."""
        first = np.cumsum([0, *(row.num_sequences for row in rows)])[:-1].tolist()
        targets = {name: self.tasks[name].task.target(rows, first_sequences=first) for name in tasks}
        batch = collate(
            rows,
            pad_id=self._pad_id,
            targets={name: target for name, target in targets.items() if target is not None},
        ).to(self.device)
        with autocast(self.precision, self.device):
            logits = self.network(batch)
        cut_by_row = {}
        for name in tasks:
            edges = np.cumsum([self.tasks[name].task.num_vectors(row) for row in rows])[:-1]
            cut_by_row[name] = np.split(logits[name].float().cpu().numpy(), edges)
        return cut_by_row

    def _choose(self, rows: Sequence[str | Mapping[str, Any]], tasks: Sequence[str] | None) -> list[str]:
        """Return the tasks to answer: the named ones, or all whose columns are given."""
        for name in tasks or ():
            if name not in self.tasks:
                raise ConfigError(
                    f"unknown task {name!r}; the model answers {', '.join(self.tasks)}{nearest(name, self.tasks)}"
                )
        if not rows:
            return list(tasks or self.tasks)
        lacking = {name: self._lacking(name, rows[0]) for name in self.tasks}
        if tasks is not None:
            for name in tasks:
                if lacking[name]:
                    raise DataError(f"task {name!r} reads {_listed(self.tasks[name].input.columns)}; {lacking[name]}")
            return list(dict.fromkeys(tasks))
        silent = [name for name in self.tasks if lacking[name] and name not in self._unanswered]
        if silent:
            self._unanswered.update(silent)
            _LOG.warning("not answered, because their columns are not given: %s", ", ".join(silent))
        chosen = [name for name in self.tasks if not lacking[name]]
        if not chosen:
            raise DataError(
                "no task can be answered: "
                + "; ".join(f"{name} reads {_listed(self.tasks[name].input.columns)}" for name in self.tasks)
            )
        return chosen

    def _lacking(self, task: str, row: str | Mapping[str, Any]) -> str:
        """Return what a row lacks for a task, or nothing."""
        columns = self.tasks[task].input.columns
        if isinstance(row, str):
            return "" if len(columns) == 1 else "a plain text has only one; give mappings"
        missing = [column for column in columns if column not in row]
        return f"the rows have {_listed(row)}" if missing else ""

    def _by_input(self, rows: Sequence[str | Mapping[str, Any]], tasks: Iterable[str]) -> list[list[str]]:
        """Group tasks that read the same of these rows."""
        groups: dict[object, list[str]] = {}
        for name in tasks:
            given = self.tasks[name].input
            columns = given.columns if isinstance(rows[0], Mapping) else None
            groups.setdefault((columns, given.max_length), []).append(name)
        return list(groups.values())


def _served(entry: Mapping[str, Any]) -> ServedTask:
    own = ("dataset", "input", "head", "rows_seen")
    return ServedTask(
        task=task_from_json({key: value for key, value in entry.items() if key not in own}),
        dataset=entry["dataset"],
        input=Input.from_json(entry["input"]),
        rows_seen=entry["rows_seen"],
    )


def _check_width(name: str, task: Task, width: int) -> None:
    if task.num_outputs != width:
        raise ModelError(f"tasks.json: task {name!r} has {task.num_outputs} outputs, its head {width}")


def _check_rows(rows: Sequence[str | Mapping[str, Any]]) -> None:
    if isinstance(rows, str):
        raise DataError("predict takes a list of rows; put the text into a list")
    kinds = {isinstance(row, str) for row in rows}
    if len(kinds) > 1 or any(not isinstance(row, str | Mapping) for row in rows):
        raise DataError("rows are either all texts or all mappings of columns")


def _cells(rows: Sequence[str | Mapping[str, Any]], given: Input, *, first_row: int) -> tuple[list[Row], Form]:
    """Return what is encoded of each row, and the form in which it was given."""
    found: list[Row] = []
    form = given.form
    for number, row in enumerate(rows, start=first_row):
        try:
            cells = (row,) if isinstance(row, str) else tuple(row[column] for column in given.columns)
            if given.form != "pair":
                this: Form = "text" if isinstance(cells[0], str) else "words"
                if number > first_row and this != form:
                    raise DataError(f"it is given as {this}, the rows before it as {form}")
                form = this
            found.append(row_of(cells, form=form))
        except KeyError as error:
            raise DataError(f"row {number}: no column {error}; it has {_listed(row)}") from error
        except DataError as error:
            raise DataError(f"row {number}, {_listed(given.columns)}: {error}") from error
    return found, form


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
