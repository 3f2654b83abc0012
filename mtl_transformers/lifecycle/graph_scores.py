"""A graph and its model on the same labelled rows: how their answers differ, and each metric of both."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mtl_transformers.config import Config
from mtl_transformers.data.encoded import EncodedSplit
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.parity import Comparison, TaskParity, compare, joined
from mtl_transformers.lifecycle.comparing import drop_of
from mtl_transformers.runtime import OnnxModel
from mtl_transformers.runtime.answering import Answer
from mtl_transformers.runtime.questions import Question
from mtl_transformers.training.evaluation import score_split
from mtl_transformers.training.scoring import check_split, encoded_splits, scored_model

_CHUNK_ROWS = 512  # whose logits are in memory at once


@dataclass(frozen=True, slots=True)
class Change:
    """A metric of the model and of the graph; NaN where it is undefined."""

    torch: float
    onnx: float

    def drop(self, name: str) -> float:
        """Return how much worse the graph is, above 0, by the metric of a name."""
        return drop_of(name, self.torch, self.onnx)

    def to_json(self) -> dict[str, float | None]:
        """Return both as JSON knows them."""
        return {"torch": _number(self.torch), "onnx": _number(self.onnx)}


@dataclass(frozen=True, slots=True)
class Scored:
    """How a graph does on a task's labelled rows."""

    parity: TaskParity
    changes: Mapping[str, Change]


def compare_on_split(model: MultiTaskModel, exported: OnnxModel, config: Config, split: str) -> dict[str, Scored]:
    """Answer a split of a config's datasets by a model and its graph; both decode as they are served.

    Args:
        model: answers the config's tasks.
        exported: the same, as a graph.
        config: where the data lie; its metrics are the ones computed.
        split: train, validation or test.

    Raises:
        ConfigError: no such split, or the config has no task that the graph answers.
        ModelError: the model lacks a task of the config.
        DataError: no dataset has the split, or a label there.
    """
    check_split(split)
    tasks = {
        name: section for name, section in config.tasks.items() if name in exported.tasks or name not in model.tasks
    }
    if not tasks:
        raise ConfigError(f"the config has none of the exported tasks: {', '.join(exported.tasks)}")
    exported_config = config.model_copy(update={"tasks": tasks})
    scored = scored_model(model, exported_config)
    found: dict[str, Scored] = {}
    for encoded in encoded_splits(scored, exported_config, split):
        found |= _on_dataset(model, exported, scored, encoded)
    if not found:
        raise DataError(f"nothing to compare: no dataset has a {split} split with labels")
    return found


def _on_dataset(
    model: MultiTaskModel, exported: OnnxModel, scored: MultiTaskModel, encoded: EncodedSplit
) -> dict[str, Scored]:
    torch_answers: list[Answer] = [{} for _ in range(len(encoded))]
    onnx_answers: list[Answer] = [{} for _ in range(len(encoded))]
    parities = []
    for rows, questions in _questions(encoded):
        comparison = compare(model.answering, exported.answering, questions)
        parities.append(comparison.tasks)
        by_torch, by_onnx = _answers(model, exported, questions, comparison)
        for row, of_torch, of_onnx in zip(rows, by_torch, by_onnx, strict=True):
            torch_answers[row] |= of_torch
            onnx_answers[row] |= of_onnx
    before, after = (score_split(scored, encoded, answers) for answers in (torch_answers, onnx_answers))
    return {
        name: Scored(parity, _changes(before[name].metrics, after[name].metrics) if name in before else {})
        for name, parity in joined(parities).items()
    }


def _questions(encoded: EncodedSplit) -> Iterator[tuple[range, list[Question]]]:
    """Yield the rows of a split in chunks, once for each of its inputs."""
    for read in encoded.inputs:
        for start in range(0, len(encoded), _CHUNK_ROWS):
            rows = range(start, min(start + _CHUNK_ROWS, len(encoded)))
            texts = encoded.texts_of(rows, read.given)
            yield (
                rows,
                [
                    Question(features, text, read.given.form, tuple(read.tasks))
                    for features, text in zip(read.features_of(rows), texts, strict=True)
                ],
            )


def _answers(
    model: MultiTaskModel, exported: OnnxModel, questions: list[Question], comparison: Comparison
) -> tuple[list[Answer], list[Answer]]:
    """Return both sides' answers with the probability of every label, which metrics may ask for."""
    top_k = max(1, *(len(model.tasks[name].task.label_counts) for name in questions[0].tasks))
    return (
        model.answering.decode(questions, comparison.reference, top_k=top_k),
        exported.answering.decode(questions, comparison.compared, top_k=top_k),
    )


def _changes(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Change]:
    return {name: Change(torch=value, onnx=after[name]) for name, value in before.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
