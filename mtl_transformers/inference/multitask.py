"""The model that answers: one encoder, its heads and their tasks, from rows to predictions.

Owns `MultiTaskModel`: loading a model directory, choosing the tasks, one encoder pass for all tasks with an equal
input, and decoding. Training scores its models through the same `MultiTaskModel.answer`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import numpy as np
import torch

from mtl_transformers.batch import collate, cut
from mtl_transformers.errors import ConfigError, DataError, ModelError, nearest
from mtl_transformers.inference.precision import (
    Precision,
    autocast,
    available_precision,
    default_device,
    named_device,
    resolve_precision,
)
from mtl_transformers.inference.rows import GivenRow, check_rows, columns_of, lacking, listed, read_row
from mtl_transformers.inference.served import ServedTask as ServedTask
from mtl_transformers.inference.served import read_entry
from mtl_transformers.inference.text_encoders import TextEncoders
from mtl_transformers.model import directory
from mtl_transformers.model.card import public_name
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.network import Network
from mtl_transformers.model.tokenizer import (
    Tokenizer,
    check_vocabulary,
    load_tokenizer,
    pad_id,
    vocabulary,
)
from mtl_transformers.tasks.task import EncoderFacts, Logits, Prediction
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.inputs import Input, encode, shared
from mtl_transformers.text.masking import with_blanks
from mtl_transformers.text.rows import RowOf, text_of

MAX_TOKENS = 4096  # padded tokens of one forward pass, unless told otherwise
CHUNK_ROWS = 4096  # rows that are encoded before they are answered

Answer = dict[str, Prediction]
"""The predictions of one row by task."""

Item = TypeVar("Item")
_NO_LOGITS: Logits = np.empty((0, 0), dtype=np.float32)
_LOG = logging.getLogger(__name__)


class MultiTaskModel:
    """One encoder with named tasks that answers rows.

    Args:
        network: encoder and heads; a head for each of `tasks`.
        tokenizer: of the encoder.
        tasks: by name.
        precision: of the forward pass.
        max_tokens: padded tokens of one forward pass; memory, not answers.
        encoder_name: of the pretrained encoder that it began with; else where it was loaded from.
    """

    def __init__(
        self,
        network: Network,
        tokenizer: Tokenizer,
        tasks: Mapping[str, ServedTask],
        *,
        precision: Precision = "fp32",
        max_tokens: int = MAX_TOKENS,
        encoder_name: str | None = None,
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.precision = precision
        self.max_tokens = max_tokens
        self.encoder_name = encoder_name or network.encoder.source
        self.encoders = TextEncoders(tokenizer, uses_token_types=network.encoder.uses_token_types)
        self.vocabulary = vocabulary(tokenizer, size=network.encoder.config.vocab_size)
        facts = EncoderFacts(network.encoder.hidden_size, self.vocabulary)
        self.tasks = {name: replace(served, task=served.task.with_encoder(facts)) for name, served in tasks.items()}
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
            ConfigError: the device or the precision cannot be had.
            ModelError: it is no model directory, or its parts do not fit each other.
        """
        place = default_device() if device is None else named_device(device)
        stored = directory.load(name, revision=revision)
        chosen = _stored_precision(stored, place) if precision is None else resolve_precision(precision, place)
        encoder = load_encoder(str(stored.path), attention=attention)
        entries = {
            task: read_entry(task, entry, max_length=encoder.max_length, hidden_size=encoder.hidden_size)
            for task, entry in stored.tasks["tasks"].items()
        }
        if not entries:
            raise ModelError(f"{stored.path / directory.TASKS} holds no task")
        network = Network(encoder, {task: head for task, (_, head) in entries.items()})
        network.load_heads_state(stored.heads)
        network.to(place).eval()
        served = {task: of for task, (of, _) in entries.items()}
        tokenizer = load_tokenizer(str(stored.path))
        check_vocabulary(tokenizer, size=encoder.config.vocab_size, place=str(stored.path))
        return cls(
            network,
            tokenizer,
            served,
            precision=chosen,
            max_tokens=max_tokens,
            encoder_name=_stored_encoder(stored),
        )

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.network.parameters()).device

    def tasks_json(self) -> dict[str, Any]:
        """Return the content of ``tasks.json``."""
        return {
            "format_version": directory.FORMAT_VERSION,
            "encoder": public_name(self.encoder_name),
            "precision": self.precision,
            "tasks": {name: served.to_json(self.network.head(name).spec) for name, served in self.tasks.items()},
        }

    def predict(
        self, rows: Sequence[GivenRow], *, tasks: Sequence[str] | None = None, top_k: int | None = None
    ) -> list[Answer]:
        """Answer rows: one JSON object for each, with the tasks' names as keys.

        Args:
            rows: texts, or mappings with the columns that the tasks read (text, or a list of words); labels are not
                needed. A text stands for a row of every dataset with a single text column.
            tasks: names of the tasks to answer; ``None``: all whose columns are given. The others are named in the
                log, once for each model.
            top_k: classification also gives the probabilities of the k best labels.

        Raises:
            ConfigError: an unknown task, or a `top_k` below 1.
            DataError: a named task's columns are missing, or a text is null or empty; names the row, from 1.
        """
        check_rows(rows)
        chosen = self._choose(rows, tasks)
        chunks = chunked(rows, CHUNK_ROWS)
        return list(chain.from_iterable(self.predict_chunks(chunks, tasks=chosen, top_k=top_k)))

    def predict_chunks(
        self,
        chunks: Iterable[Sequence[GivenRow]],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
    ) -> Iterator[list[Answer]]:
        """Answer a stream of rows as `predict` does, with one chunk of them in memory.

        The columns of the first chunk decide which tasks are answered where none are named. The log counts the texts
        that were cut when the stream has ended.
        """
        if top_k is not None and top_k < 1:
            raise ConfigError(f"top_k {top_k}: expected 1 or more")
        num_rows, truncated, chosen = 0, Counter[str](), None
        for rows in chunks:
            check_rows(rows)
            chosen = self._choose(rows, tasks) if chosen is None else chosen
            yield self._predict_chunk(rows, chosen, first_row=num_rows, top_k=top_k, truncated=truncated)
            num_rows += len(rows)
        for names, count in truncated.items():
            _LOG.warning("%d of %d texts were too long and lost their ends (%s)", count, num_rows, names)

    def _predict_chunk(
        self,
        rows: Sequence[GivenRow],
        tasks: Sequence[str],
        *,
        first_row: int,
        top_k: int | None,
        truncated: Counter[str],
    ) -> list[Answer]:
        """Answer some rows, and add to the count of those that lost tokens."""
        predicted: dict[str, dict[int, Prediction]] = {name: {} for name in tasks}
        for names in self._by_input(rows, tasks):
            for form, numbered in self._by_form(rows, names, first_row=first_row).items():
                features = self._encode(list(numbered.values()), names, form=form)
                texts = [text_of(row) for row in numbered.values()]
                for name, found in self.answer(features, names, texts=texts, form=form, top_k=top_k).items():
                    predicted[name].update(zip(numbered, found, strict=True))
                if lost := sum(row.truncated for row in features):
                    truncated[", ".join(names)] += lost
        return [{name: predicted[name][number] for name in tasks} for number in range(len(rows))]

    def _by_input(self, rows: Sequence[GivenRow], tasks: Iterable[str]) -> list[list[str]]:
        """Group tasks that read the same of these rows: they share an encoder pass."""
        groups: dict[object, list[str]] = {}
        for name in tasks:
            groups.setdefault(_sharing(self.tasks[name].input, are_texts=isinstance(rows[0], str)), []).append(name)
        return list(groups.values())

    def _by_form(
        self, rows: Sequence[GivenRow], tasks: Sequence[str], *, first_row: int
    ) -> dict[Form, dict[int, RowOf]]:
        """Return what the tasks of one input read of each row by its number, by the form it was given in."""
        given = self.tasks[tasks[0]].input
        found: dict[Form, dict[int, RowOf]] = {}
        for number, row in enumerate(rows):
            try:
                cells, form = read_row(row, given)
            except DataError as error:
                raise DataError(f"row {first_row + number + 1}, {listed(given.columns)}: {error}") from error
            found.setdefault(form, {})[number] = cells
        return found

    def _encode(self, rows: Sequence[RowOf], tasks: Sequence[str], *, form: Form) -> list[Features]:
        inputs = [self.tasks[name].input for name in tasks]
        given = shared([each.as_served for each in inputs])
        features = encode(self.encoders.get(form, max_length=given.max_length), rows, given, form=form)
        if any(each.mask_probability is not None for each in inputs):
            features = [with_blanks(row, self.vocabulary) for row in features]
        return features

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
        given = {name: target for name, target in targets.items() if target is not None}
        batch = collate(rows, pad_id=self._pad_id, targets=given).to(self.device)
        with autocast(self.precision, self.device):
            logits = self.network(batch)
        cut_by_row = {}
        for name in tasks:
            task = self.tasks[name].task
            condensed = task.condense(logits[name].float(), rows).cpu().numpy()
            edges = np.cumsum([task.num_vectors(row) for row in rows])[:-1]
            cut_by_row[name] = np.split(condensed, edges)
        return cut_by_row

    def _choose(self, rows: Sequence[GivenRow], tasks: Sequence[str] | None) -> list[str]:
        """Return the tasks to answer: the named ones, or all whose columns any of the rows has."""
        if isinstance(tasks, str):
            raise ConfigError(f"tasks is a list of names; put {tasks!r} into a list")
        for name in tasks or ():
            if name not in self.tasks:
                known = ", ".join(self.tasks)
                raise ConfigError(f"unknown task {name!r}; the model answers {known}{nearest(name, self.tasks)}")
        if not rows:
            return list(self.tasks if tasks is None else dict.fromkeys(tasks))
        columns = columns_of(rows)
        lacks = {name: lacking(served.input, columns) for name, served in self.tasks.items()}
        if tasks is not None:
            for name in tasks:
                if lacks[name]:
                    raise DataError(f"task {name!r} reads {listed(self.tasks[name].input.required)}; {lacks[name]}")
            return list(dict.fromkeys(tasks))
        chosen = [name for name in self.tasks if not lacks[name]]
        if not chosen:
            reads = (f"{name} reads {listed(served.input.required)}" for name, served in self.tasks.items())
            raise DataError(f"no task can be answered: {next(filter(None, lacks.values()))}; {'; '.join(reads)}")
        self._name_unanswered([name for name in self.tasks if lacks[name]])
        return chosen

    def _name_unanswered(self, tasks: Iterable[str]) -> None:
        """Name tasks in the log that were not named before."""
        new = [name for name in tasks if name not in self._unanswered]
        self._unanswered.update(new)
        if new:
            _LOG.warning("not answered, because their columns are not given: %s", ", ".join(new))


def _sharing(given: Input, *, are_texts: bool) -> object:
    """Return what is equal for tasks that share an encoder pass; a plain text is read by all that read one text."""
    given = given.as_served
    if given.form not in ("text", "words"):
        return given.sequences
    return replace(given.sequences, form="text", columns=() if are_texts else given.columns)


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of at most `size` items."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk


def _stored_encoder(stored: directory.ModelDirectory) -> str | None:
    """Return the name of the encoder that a model began with."""
    name = stored.tasks.get("encoder")
    if name is not None and not isinstance(name, str):
        raise ModelError(f"{stored.path / directory.TASKS}: encoder {name!r} is no name")
    return name


def _stored_precision(stored: directory.ModelDirectory, device: torch.device) -> Precision:
    """Return the precision that a model was scored in, or fp32 where the device has it not."""
    precision = stored.tasks.get("precision", "fp32")
    if precision not in get_args(Precision):
        raise ModelError(f"{stored.path / directory.TASKS}: precision {precision!r} is unknown")
    available = available_precision(precision, device)
    if available != precision:
        _LOG.info("%s was scored in %s, which this %s has not; it computes in fp32", stored.path, precision, device)
    return available
