"""The kinds of task by name. A new kind is a file beside this one and a line here."""

from collections.abc import Mapping
from typing import Any

from mtl_transformers.errors import ModelError
from mtl_transformers.tasks.classification import Classification
from mtl_transformers.tasks.masked_lm import MaskedLM
from mtl_transformers.tasks.multi_label import MultiLabel
from mtl_transformers.tasks.multiple_choice import MultipleChoice
from mtl_transformers.tasks.question_answering import QuestionAnswering
from mtl_transformers.tasks.ranking import Ranking
from mtl_transformers.tasks.regression import Regression
from mtl_transformers.tasks.similarity import Similarity
from mtl_transformers.tasks.task import Task
from mtl_transformers.tasks.token_classification import TokenClassification

KINDS: Mapping[str, type[Task]] = {
    "classification": Classification,
    "multi_label": MultiLabel,
    "regression": Regression,
    "token_classification": TokenClassification,
    "question_answering": QuestionAnswering,
    "multiple_choice": MultipleChoice,
    "ranking": Ranking,
    "similarity": Similarity,
    "masked_lm": MaskedLM,
}


def task_from_json(values: Mapping[str, Any]) -> Task:
    """Rebuild a fitted task from its entry in ``tasks.json``.

    Raises:
        ModelError: an unknown kind, or keys that the kind does not have.
    """
    kind = KINDS.get(values.get("kind", ""))
    if kind is None:
        raise ModelError(
            f"tasks.json: task {values.get('name')!r} is of kind {values.get('kind')!r}; this version of "
            f"mtl_transformers knows {', '.join(KINDS)}"
        )
    return kind.from_json(values)
