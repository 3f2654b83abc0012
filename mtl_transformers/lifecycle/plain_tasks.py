"""What a task is to transformers: the class that opens it, what its configuration says, and what it leaves out.

Owns the way from our kinds to theirs; the way back is ``imported_tasks.py``'s. Knows no weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.served import ServedTask
from mtl_transformers.model.head_spec import HeadForm
from mtl_transformers.model.native import Outputs
from mtl_transformers.model.tokenizer import Tokenizer, glues_words
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
from mtl_transformers.text.inputs import Input


@dataclass(frozen=True, slots=True)
class PlainTask:
    """A task as transformers has it.

    Attributes:
        form: of the class that opens it.
        outputs: what its configuration says of them, and what is folded into its last layer.
    """

    form: HeadForm
    outputs: Outputs


def plain_task(task: Task) -> PlainTask:
    """Return what a task is to transformers.

    Raises:
        ModelError: it is of a kind that transformers has no class for.
    """
    match task:
        case Classification():
            cooled = None if task.temperature == 1 else (1 / task.temperature,) * len(task.labels)
            return PlainTask("sequence", Outputs(task.output_names, "single_label_classification", scale=cooled))
        case MultiLabel():
            return PlainTask("sequence", Outputs(task.output_names, "multi_label_classification"))
        case Regression():  # its logits are in the unit of the data
            return PlainTask("sequence", Outputs(task.targets, "regression", scale=task.scale, shift=task.mean))
        case Ranking():  # without a problem type one output is a probability, as those of the pointwise loss are
            listwise = task.options.loss == "listwise"
            return PlainTask("sequence", Outputs(("relevance",), "regression" if listwise else None))
        case TokenClassification():
            return PlainTask("token", Outputs(task.labels))
        case QuestionAnswering():
            return PlainTask("answer", Outputs())
        case MultipleChoice():
            return PlainTask("choice", Outputs())
        case MaskedLM():
            return PlainTask("masked", Outputs())
        case Similarity():
            return PlainTask("embedding", Outputs())
    raise ModelError(f"task {task.name!r}: transformers has no class for kind {task.kind}")


def left_out(served: ServedTask, tokenizer: Tokenizer) -> list[str]:
    """Return what a plain directory does not do of what our predictions do, a sentence each."""
    return [*_of_input(served.input, tokenizer), *_of_task(served.task)]


def _of_input(given: Input, tokenizer: Tokenizer) -> list[str]:
    said = []
    if given.clean:
        said.append(
            f"Texts were cleaned before they were encoded ({', '.join(given.clean)}); transformers does not clean: do "
            "the same to each text first."
        )
    if given.stride is not None:
        said.append(
            f"Long texts were read in windows of {given.max_length} tokens that share {given.stride}; transformers "
            "cuts them where it is told to."
        )
    if given.form == "words" and glues_words(tokenizer):
        said.append(
            "The task was trained on lists of words: load the tokenizer with add_prefix_space=True before you give it "
            "words."
        )
    if given.form == "options" and given.num_context > 1:
        first, *others = given.columns[: given.num_context]
        said.append(f"An option stands behind {', '.join(others)}, joined by one space; the first text is {first}.")
    return said


def _of_task(task: Task) -> list[str]:
    match task:
        case Classification() if task.min_score is not None:
            return [f"A text gets no label where none reaches the probability {task.min_score:g}."]
        case MultiLabel() if any(threshold != 0.5 for threshold in task.thresholds):
            return ["Labels have thresholds of their own, which stand below; transformers knows none."]
        case TokenClassification() if task.options.scheme != "plain" and task.options.train_as != "bio":
            return [f"Tags are those of {task.options.train_as.upper()}; the pipeline of transformers joins only BIO."]
        case TokenClassification():
            return [
                "A word has the tag of its first piece; the pipeline of transformers finds words by a rule of its own."
            ]
        case QuestionAnswering() if task.num_unanswered:
            return [
                "A question may have no answer: it has none where the first token's logits are higher than the best "
                f"answer's by more than {task.options.no_answer_threshold:g}."
            ]
    return []
