"""Answers as cells of a table.

Owns what a table says of a prediction, its columns and their types: ``<task>`` holds the answer (as JSON where it is
more than a label, a choice, a number or a text), ``<task>_score`` the score of a label, a choice or a text, and
``error`` why a row was not answered. Files and models are not known here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from mtl_transformers.errors import ConfigError
from mtl_transformers.runtime.answering import ERROR as ERROR
from mtl_transformers.runtime.questions import Answerable
from mtl_transformers.text.decoders import Decoder, Prediction
from mtl_transformers.text.kinds_of_decoder import (
    AnswerDecoder,
    ChoiceDecoder,
    EmbeddingDecoder,
    LabelDecoder,
    RankingDecoder,
    ValuesDecoder,
)

ID = "id"  # the key of a row's id in what is written

Cells = dict[str, Any]


def cells_of(answer: Mapping[str, Any]) -> Cells:
    """Return the cells that an answer has by itself."""
    cells: Cells = {}
    for name, value in answer.items():
        if isinstance(value, str):  # the message of a row that was not answered
            cells[name] = value
            continue
        cells[name] = _cell(value)
        if isinstance(value, dict) and "score" in value and len(value) > 1:
            cells[f"{name}_score"] = value["score"]
    return cells


def is_error(answer: Mapping[str, Any]) -> bool:
    """Return whether a row was not answered; a task may be called ``error`` too."""
    return isinstance(answer.get(ERROR), str)


def cells_like(tasks: Mapping[str, Answerable], answers: Iterable[Mapping[str, Any]] = (), *, errors: bool) -> Cells:
    """Return a cell of the right type for each column of some tasks.

    Args:
        tasks: by name.
        answers: rows that were answered, if any are at hand: a ranking gives a number where a row has one candidate,
            and JSON where it has a list.
        errors: whether there is a column for errors.
    """
    like: Cells = {}
    for name, task in tasks.items():
        like |= cells_of({name: _example(task.decoder)})
    for answer in answers:
        if not is_error(answer):
            like |= {name: cell for name, cell in cells_of(answer).items() if cell is not None}
    return like | ({ERROR: ""} if errors else {})


def completed(cells: Mapping[str, Any], like: Mapping[str, Any]) -> Cells:
    """Return the cells of a row in the order of the columns, null where it has none."""
    return {name: cells.get(name) for name in like}


def check_names(tasks: Iterable[str], *, carried: Iterable[str], errors: bool) -> None:
    """Refuse names that two columns of the output would have.

    Args:
        tasks: names of the tasks.
        carried: columns of the output that come from the input.
        errors: whether there is a column for errors.

    Raises:
        ConfigError: with the name and what to do.
    """
    names = set(tasks)
    own = {ID, *([ERROR] if errors else [])}
    for name in names:
        if name in own or name.removesuffix("_score") in names - {name}:
            raise ConfigError(f"task {name!r} has the name of another column of the output; leave it out by --tasks")
    for name in carried:
        if name in names or name.removesuffix("_score") in names or (errors and name == ERROR):
            raise ConfigError(
                f"column {name!r} of the input has the name of a column of the answers; keep others (--keep), rename "
                "it, or leave the task out (--tasks)"
            )


def _example(decoder: Decoder) -> Prediction:
    """Return a prediction whose cells have the types of all; a list stands for whatever is written as JSON."""
    match decoder:
        case LabelDecoder():
            return {"label": decoder.labels[0], "score": 0.0}
        case ValuesDecoder() if len(decoder.targets) == 1:
            return {"value": 0.0}
        case AnswerDecoder():
            return {"answer": "", "score": 0.0}
        case ChoiceDecoder():
            return {"choice": 0, "score": 0.0}
        case EmbeddingDecoder():
            return {"embeddings": [], "score": 0.0}
        case RankingDecoder():
            return {"scores": [], "order": []}
    return []


def _cell(prediction: Prediction) -> Any:
    """Return the answer itself: a label, a choice, a number or a text as it is, anything longer as JSON."""
    if isinstance(prediction, list):
        return json.dumps(prediction, ensure_ascii=False)
    for key in ("label", "choice", "value", "answer"):
        if key in prediction:
            return prediction[key]
    if prediction.keys() == {"score"}:
        return prediction["score"]
    return json.dumps(next(iter(prediction.values())), ensure_ascii=False)
