"""Exact evaluation: every labelled row is predicted once, by the code that serves, and scored over the whole split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from mtl_transformers.data.encoded import EncodedInput, EncodedSplit
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.metrics.named import LabelScore
from mtl_transformers.plan.mixing import digest
from mtl_transformers.runtime.answering import CHUNK_ROWS
from mtl_transformers.tasks.task import EncodedLabel, Task
from mtl_transformers.text.decoders import Prediction
from mtl_transformers.text.encoding import Features
from mtl_transformers.text.inputs import hidden
from mtl_transformers.training.reduce import attempt, end_together, from_main_process

_CHUNK_ROWS = 512  # between two looks at whether to stop

BeforeChunk = Callable[[Exception | None], object]


def end_alone(error: Exception | None) -> None:
    """End an evaluation that one process makes with its error."""
    end_together(error, num_failed=0)


@dataclass(frozen=True, slots=True)
class TaskScores:
    """How a task does on a split.

    Attributes:
        metrics: by name; the first one is the task's score.
        baseline: the same of a prediction that ignores the text.
        num_rows: labelled rows, each scored once.
    """

    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    num_rows: int


def evaluate(
    model: MultiTaskModel,
    splits: Mapping[str, EncodedSplit],
    *,
    accelerator: Accelerator | None = None,
    before_chunk: BeforeChunk = end_alone,
) -> dict[str, TaskScores]:
    """Score a model on one split of each dataset.

    Args:
        model: answers the tasks.
        splits: one split of each dataset.
        accelerator: where several processes share the rows.
        before_chunk: called before each chunk of rows and at the end, equally often on every process, with the error of
            this one; ends the evaluation by an exception where any process has one.

    Returns:
        Scores by task, the same on every process.
    """
    scores: dict[str, TaskScores] = {}
    for split in splits.values():
        answers = predict_split(model, split, accelerator=accelerator, before_chunk=before_chunk)
        score = partial(score_split, model, split, answers)
        scores |= score() if accelerator is None else from_main_process(score, accelerator)
    return {name: scores[name] for name in model.tasks if name in scores}


def predict_split(
    model: MultiTaskModel,
    split: EncodedSplit,
    *,
    accelerator: Accelerator | None = None,
    before_chunk: BeforeChunk = end_alone,
) -> list[dict[str, Prediction]]:
    """Predict every row of a split once; each process takes every P-th row in the order of their lengths.

    Returns:
        Answers by row. On processes other than the first one the list is empty.
    """
    rank, num_processes = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    order = np.argsort(split.lengths, kind="stable")[rank::num_processes].tolist()
    answers: list[tuple[int, dict[str, Prediction]]] = []
    error: Exception | None = None
    for start in range(0, -(-len(split) // num_processes), _CHUNK_ROWS):  # as often on every process
        before_chunk(error)
        if rows := order[start : start + _CHUNK_ROWS]:
            found, error = attempt(partial(_answers, model, split, rows))
            answers += found or []
    before_chunk(error)
    if num_processes > 1:
        answers = gather_object(answers)
        if rank > 0:
            return []
    return [answer for _, answer in sorted(answers, key=lambda pair: pair[0])]


def _answers(model: MultiTaskModel, split: EncodedSplit, rows: list[int]) -> list[tuple[int, dict[str, Prediction]]]:
    found: dict[str, list[Prediction]] = {}
    for read in split.inputs:
        num_labels = max(len(model.tasks[name].task.label_counts) for name in read.tasks)
        found |= model.answer(
            _features(model, split, read, rows),
            read.tasks,
            texts=split.texts_of(rows, read.given),
            form=read.given.form,
            top_k=max(1, num_labels),
        )
    return [(row, {name: found[name][n] for name in split.num_labelled}) for n, row in enumerate(rows)]


def _features(model: MultiTaskModel, split: EncodedSplit, read: EncodedInput, rows: Sequence[int]) -> list[Features]:
    """Return some rows as they are answered: of a masked input, always with the same tokens hidden."""
    features = read.features_of(rows)
    if read.given.mask_probability is None:
        return features
    return [
        hidden(of_row, read.given, model.vocabulary, seed=digest("evaluation", split.dataset, row))
        for of_row, row in zip(features, rows, strict=True)
    ]


def score_split(
    model: MultiTaskModel, split: EncodedSplit, answers: list[dict[str, Prediction]]
) -> dict[str, TaskScores]:
    """Score the answers to a split, task by task, over the rows that have a label."""
    scores = {}
    for name in split.num_labelled:
        task = model.tasks[name].task
        labels, predictions, rows = _labelled(split, name, answers)
        if not labels:
            continue
        majority = [task.majority(row) for row in rows]
        scores[name] = TaskScores(
            metrics=task.score(labels, predictions, rows),
            baseline=task.score(labels, majority, rows),
            num_rows=len(labels),
        )
    return scores


def score_labels(
    model: MultiTaskModel, split: EncodedSplit, answers: list[dict[str, Prediction]]
) -> dict[str, list[LabelScore]]:
    """Return precision, recall, F1 and support of each label of each task."""
    return {
        name: model.tasks[name].task.score_per_label(*_labelled(split, name, answers))
        for name, num_rows in split.num_labelled.items()
        if num_rows
    }


def _labelled(
    split: EncodedSplit, task: str, answers: list[dict[str, Prediction]]
) -> tuple[list[EncodedLabel], list[Prediction], list[Any]]:
    """Return labels, predictions and features of the rows that have a label of a task."""
    numbers = list(range(len(split)))
    labels = split.labels_of(numbers)[task]
    kept = [n for n in numbers if labels[n] is not None]
    features = split.input_of(task).features_of(kept) if kept else []
    return [labels[n] for n in kept], [answers[n][task] for n in kept], features


def prediction_lines(
    model: MultiTaskModel, split: EncodedSplit, answers: list[dict[str, Prediction]]
) -> Iterator[dict[str, Any]]:
    """Yield one object for each row: its id, and gold and prediction of each task."""
    for start in range(0, len(split), CHUNK_ROWS):
        numbers = list(range(start, min(start + CHUNK_ROWS, len(split))))
        gold = {name: found for read in split.inputs for name, found in _gold(model, split, read, numbers).items()}
        for n, name_of_row in enumerate(split.ids_of(numbers)):
            yield {
                "dataset": split.dataset,
                "id": name_of_row,
                **{
                    name: {"gold": gold[name][n], "prediction": answers[numbers[n]][name]}
                    for name in split.num_labelled
                },
            }


def _gold(model: MultiTaskModel, split: EncodedSplit, read: EncodedInput, rows: Sequence[int]) -> dict[str, list[Any]]:
    """Return the labels of some rows in the form of predictions, by the tasks of an input."""
    labels, features, texts = split.labels_of(rows), read.features_of(rows), split.texts_of(rows, read.given)

    def of_row(task: Task, n: int) -> Any:
        label = labels[task.name][n]
        return None if label is None else task.gold(label, features[n], text=texts[n], form=read.given.form)

    return {name: [of_row(model.tasks[name].task, n) for n in range(len(rows))] for name in read.tasks}
