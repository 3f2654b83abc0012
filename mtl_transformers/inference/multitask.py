"""The model that answers: one encoder, its heads and their tasks, from rows to predictions.

Owns `MultiTaskModel`: loading a model directory, and running the encoder and its heads. The way from rows to
predictions is `runtime.answering`'s. Training scores its models through the same `MultiTaskModel.answer`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import torch
from torch import Tensor

from mtl_transformers.batch import collate
from mtl_transformers.errors import ModelError
from mtl_transformers.inference.fingerprint import fingerprint
from mtl_transformers.inference.precision import (
    Precision,
    autocast,
    available_precision,
    default_device,
    named_device,
    resolve_precision,
)
from mtl_transformers.inference.served import ServedTask as ServedTask
from mtl_transformers.inference.served import read_entry
from mtl_transformers.inference.text_encoders import text_encoders
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
from mtl_transformers.runtime.answering import MAX_TOKENS, Answering
from mtl_transformers.runtime.answering import Answer as Answer
from mtl_transformers.runtime.questions import Errors, Question
from mtl_transformers.runtime.rows import GivenRow
from mtl_transformers.tasks.task import EncoderFacts
from mtl_transformers.text.decoders import Logits, Prediction
from mtl_transformers.text.encoding import Features, Form

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
        self.encoder_name = encoder_name or network.encoder.source
        self.encoders = text_encoders(tokenizer, uses_token_types=network.encoder.uses_token_types)
        self.vocabulary = vocabulary(tokenizer, size=network.encoder.config.vocab_size)
        facts = EncoderFacts(network.encoder.hidden_size, self.vocabulary)
        self.tasks = {name: replace(served, task=served.task.with_encoder(facts)) for name, served in tasks.items()}
        self._pad_id = pad_id(tokenizer)
        self.answering = Answering(
            {name: served.answerable for name, served in self.tasks.items()},
            encoders=self.encoders,
            forward=self.forward,
            vocabulary=self.vocabulary,
            max_tokens=max_tokens,
        )

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
    def max_tokens(self) -> int:
        """Padded tokens of one forward pass; memory, not answers."""
        return self.answering.max_tokens

    @max_tokens.setter
    def max_tokens(self, value: int) -> None:
        self.answering.max_tokens = value

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
        self,
        rows: Sequence[GivenRow],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
        errors: Errors = "raise",
    ) -> list[Answer]:
        """Answer rows: one JSON object for each, with the tasks' names as keys.

        Threads may call it at once.

        Args:
            rows: texts, or mappings with the columns that the tasks read (text, or a list of words); labels are not
                needed. A text stands for a row of every dataset with a single text column.
            tasks: names of the tasks to answer; ``None``: all whose columns are given. The others are named in the
                log, once for each model.
            top_k: classification also gives the probabilities of the k best labels.
            errors: of a row that cannot be read: ``raise`` an exception, or ``keep`` its message as its answer,
                ``{"error": …}``, and answer its neighbours.

        Raises:
            ConfigError: an unknown task, or a `top_k` below 1.
            DataError: a named task's columns are missing, or a text is null or empty; names the row, from 1.
        """
        return self.answering.predict(rows, tasks=tasks, top_k=top_k, errors=errors)

    def predict_chunks(
        self,
        chunks: Iterable[Sequence[GivenRow]],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
        errors: Errors = "raise",
    ) -> Iterator[list[Answer]]:
        """Answer a stream of rows as `predict` does, with one chunk of them in memory.

        The columns of the first chunk decide which tasks are answered where none are named. The log counts the texts
        that were cut when the stream has ended.
        """
        return self.answering.predict_chunks(chunks, tasks=tasks, top_k=top_k, errors=errors)

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
        questions = [Question(row, text, form, tuple(tasks)) for row, text in zip(features, texts, strict=True)]
        answers = self.answering.answers(questions, top_k=top_k)
        return {name: [of_row[name] for of_row in answers] for name in tasks}

    def logits(self, features: Sequence[Features], tasks: Sequence[str]) -> dict[str, list[Logits]]:
        """Return each row's logits ``[M_r, C]`` by task; rows of similar length go through the encoder together."""
        found = self.answering.logits([Question(row, "", "text", tuple(tasks)) for row in features])
        return {name: [of_row[name] for of_row in found] for name in tasks}

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the answers: the SHA-256 of weights, tokenizer and tasks, and the precision."""
        return fingerprint(self.network, self.tokenizer, self.tasks_json()["tasks"], self.precision)

    def warm_up(self) -> None:
        """Run the encoder and every head on a few made rows, so that the first answer takes no longer than others."""
        self.answering.warm_up()

    @torch.inference_mode()
    def forward(self, rows: Sequence[Features], asking: Mapping[str, Sequence[int]]) -> dict[str, list[Logits]]:
        """Run one padded forward pass, each head on its rows, and cut the logits by rows.

        Args:
            rows: encoded rows.
            asking: by task, the numbers of the rows that it is answered for.

        Returns:
            By task, the logits ``[M_r, C]`` of each of these rows.
        """
        first = np.cumsum([0, *(row.num_sequences for row in rows)])[:-1].tolist()
        of = {name: [rows[n] for n in numbers] for name, numbers in asking.items()}
        targets = {
            name: self.tasks[name].task.target(of[name], first_sequences=[first[n] for n in numbers])
            for name, numbers in asking.items()
        }
        given = {name: target for name, target in targets.items() if target is not None}
        batch = collate(rows, pad_id=self._pad_id, targets=given).to(self.device)
        with autocast(self.precision, self.device):
            logits = self.network(batch)
        return {name: self._by_row(name, logits[name], of[name]) for name in asking}

    def _by_row(self, name: str, logits: Tensor, rows: Sequence[Features]) -> list[Logits]:
        task = self.tasks[name].task
        condensed = task.condense(logits.float(), rows).cpu().numpy()
        return np.split(condensed, np.cumsum([task.num_vectors(row) for row in rows])[:-1])


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
