"""Answering: rows to predictions over one encoder, whatever runs it. No torch.

Owns the choice of tasks, the encoder passes over rows of similar length, and putting together the answer of a row. A
model of torch and one of onnxruntime answer through the same `Answering`, so their answers can differ by rounding only.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import TypeVar

from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.runtime.questions import Answerable, AskedRow, Errors, Question, ask
from mtl_transformers.runtime.rows import GivenRow, check_rows, columns_of, lacking, listed, made_row
from mtl_transformers.runtime.text_encoders import TextEncoders
from mtl_transformers.text.decoders import Logits, Prediction
from mtl_transformers.text.encoding import Features, Form
from mtl_transformers.text.masking import Vocabulary
from mtl_transformers.text.padding import cut

MAX_TOKENS = 4096  # padded tokens of one forward pass, unless told otherwise
CHUNK_ROWS = 4096  # rows that are encoded before they are answered

Answer = dict[str, Prediction]
"""The predictions of one row by task; of a row that cannot be read, its message under ``error``."""

Forward = Callable[[Sequence[Features], Mapping[str, Sequence[int]]], dict[str, list[Logits]]]
"""Runs some rows through the encoder once, and the head of each task on the rows whose numbers it is given; returns by
task the logits ``[M_r, C]`` of each of these rows. Threads may call it at once."""

ERROR = "error"  # the key of a row that cannot be read

Item = TypeVar("Item")
_LOG = logging.getLogger(__name__)


class Answering:
    """The tasks of a model, and the way from rows to their answers.

    Threads may share it.

    Args:
        tasks: by name.
        encoders: of its tokenizer.
        forward: runs the encoder and the heads.
        vocabulary: of the encoder, for tasks that fill masks.
        max_tokens: padded tokens of one forward pass; memory, not answers.
    """

    def __init__(
        self,
        tasks: Mapping[str, Answerable],
        *,
        encoders: TextEncoders,
        forward: Forward,
        vocabulary: Vocabulary | None = None,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self.tasks = tasks
        self.encoders = encoders
        self.forward = forward
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self._unanswered: set[str] = set()  # named in the log

    def restricted(self, tasks: Sequence[str] | None) -> Answering:
        """Return the way to the answers of some tasks alone, with the same encoder; ``None``: of all.

        Raises:
            ConfigError: an unknown task.
        """
        return Answering(
            {name: self.tasks[name] for name in self.choose((), tasks)},
            encoders=self.encoders,
            forward=self.forward,
            vocabulary=self.vocabulary,
            max_tokens=self.max_tokens,
        )

    def predict(
        self,
        rows: Sequence[GivenRow],
        *,
        tasks: Sequence[str] | None = None,
        top_k: int | None = None,
        errors: Errors = "raise",
    ) -> list[Answer]:
        """Answer rows: see `MultiTaskModel.predict`."""
        check_rows(rows, errors=errors)
        chosen = self.choose(rows, tasks)
        chunks = chunked(rows, CHUNK_ROWS)
        return list(chain.from_iterable(self.predict_chunks(chunks, tasks=chosen, top_k=top_k, errors=errors)))

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
        check_top_k(top_k)
        num_rows, truncated, chosen = 0, Counter[str](), None
        for rows in chunks:
            check_rows(rows, errors=errors)
            chosen = self.choose(rows, tasks) if chosen is None else chosen
            asked = self.ask(rows, chosen, first_row=num_rows, errors=errors)
            questions = list(chain.from_iterable(row.questions for row in asked))
            for each in questions:
                truncated[", ".join(each.tasks)] += each.features.truncated
            yield combined(asked, self.answers(questions, top_k=top_k), tasks=chosen)
            num_rows += len(rows)
        for names, count in (+truncated).items():
            _LOG.warning("%d of %d texts were too long and lost their ends (%s)", count, num_rows, names)

    def ask(
        self, rows: Sequence[GivenRow], tasks: Sequence[str], *, first_row: int = 0, errors: Errors = "raise"
    ) -> list[AskedRow]:
        """Encode rows for some tasks: see `questions.ask`."""
        chosen = {name: self.tasks[name] for name in tasks}
        return ask(rows, chosen, encoders=self.encoders, vocabulary=self.vocabulary, first_row=first_row, errors=errors)

    def answers(self, questions: Sequence[Question], *, top_k: int | None = None) -> list[Answer]:
        """Answer questions; those of similar length go through the encoder together."""
        return self.decode(questions, self.logits(questions), top_k=top_k)

    def logits(self, questions: Sequence[Question]) -> list[dict[str, Logits]]:
        """Return each question's logits by task, in as many encoder passes as their tokens need."""
        parts = cut(
            [each.features.length for each in questions],
            num_sequences=[each.features.num_sequences for each in questions],
            max_tokens=self.max_tokens,
        )
        found: list[dict[str, Logits]] = [{} for _ in questions]
        for part in parts:
            for number, logits in zip(part, self.run([questions[n] for n in part]), strict=True):
                found[number] = logits
        return found

    def run(self, questions: Sequence[Question]) -> list[dict[str, Logits]]:
        """Return each question's logits by task, in one encoder pass; each head reads its own rows."""
        asking: dict[str, list[int]] = {}
        for number, question in enumerate(questions):
            for name in question.tasks:
                asking.setdefault(name, []).append(number)
        found: list[dict[str, Logits]] = [{} for _ in questions]
        for name, of_task in self.forward([each.features for each in questions], asking).items():
            for number, logits in zip(asking[name], of_task, strict=True):
                found[number][name] = logits
        return found

    def decode(
        self, questions: Sequence[Question], logits: Sequence[Mapping[str, Logits]], *, top_k: int | None = None
    ) -> list[Answer]:
        """Turn the logits of questions into predictions by task."""
        asking: dict[tuple[str, Form], list[int]] = {}
        for number, question in enumerate(questions):
            for name in question.tasks:
                asking.setdefault((name, question.form), []).append(number)
        found: list[Answer] = [{} for _ in questions]
        for (name, form), numbers in asking.items():
            predictions = self._decode(
                name, [questions[n] for n in numbers], [logits[n][name] for n in numbers], form, top_k
            )
            for number, prediction in zip(numbers, predictions, strict=True):
                found[number][name] = prediction
        return found

    def _decode(
        self, task: str, questions: Sequence[Question], logits: Sequence[Logits], form: Form, top_k: int | None
    ) -> list[Prediction]:
        features, texts = [each.features for each in questions], [each.text for each in questions]
        try:
            return self.tasks[task].decoder.decode(logits, features, texts=texts, form=form, top_k=top_k)
        except DataError as error:
            raise DataError(f"task {task!r}: {error}") from error

    def warm_up(self) -> None:
        """Answer made rows of one word and of full length for each task, so that the first answer is no slower."""
        for name, task in self.tasks.items():
            rows = [made_row(task.input, num_words) for num_words in (1, task.input.max_length)]
            for row in self.ask(rows, [name]):
                self.answers(row.questions)

    def choose(self, rows: Sequence[GivenRow], tasks: Sequence[str] | None) -> list[str]:
        """Return the tasks to answer: the named ones, or all whose columns any of the rows has.

        Raises:
            ConfigError: an unknown task.
            DataError: a named task's columns are missing, or no task can be answered.
        """
        if isinstance(tasks, str):
            raise ConfigError(f"tasks is a list of names; put {tasks!r} into a list")
        for name in tasks or ():
            if name not in self.tasks:
                known = ", ".join(self.tasks)
                raise ConfigError(f"unknown task {name!r}; the model answers {known}{nearest(name, self.tasks)}")
        if not rows:
            return list(self.tasks if tasks is None else dict.fromkeys(tasks))
        columns = columns_of(rows)
        lacks = {name: lacking(task.input, columns) for name, task in self.tasks.items()}
        if tasks is not None:
            for name in tasks:
                if lacks[name]:
                    raise DataError(f"task {name!r} reads {listed(self.tasks[name].input.required)}; {lacks[name]}")
            return list(dict.fromkeys(tasks))
        chosen = [name for name in self.tasks if not lacks[name]]
        if not chosen:
            reads = (f"{name} reads {listed(task.input.required)}" for name, task in self.tasks.items())
            raise DataError(f"no task can be answered: {next(filter(None, lacks.values()))}; {'; '.join(reads)}")
        self._name_unanswered([name for name in self.tasks if lacks[name]])
        return chosen

    def _name_unanswered(self, tasks: Iterable[str]) -> None:
        """Name tasks in the log that were not named before."""
        new = [name for name in tasks if name not in self._unanswered]
        self._unanswered.update(new)
        if new:
            _LOG.warning("not answered, because their columns are not given: %s", ", ".join(new))


def combined(asked: Sequence[AskedRow], answers: Sequence[Answer], *, tasks: Sequence[str]) -> list[Answer]:
    """Return the answer of each row, from those of its questions in their order, with the tasks in theirs."""
    source = iter(answers)
    found: list[Answer] = []
    for row in asked:
        of_row: Answer = {}
        for _ in row.questions:
            of_row |= next(source)
        found.append({ERROR: row.error} if row.error is not None else {name: of_row[name] for name in tasks})  # type: ignore[dict-item]  # a message
    return found


def check_top_k(top_k: int | None) -> None:
    """Refuse a number of labels below 1.

    Raises:
        ConfigError: it is.
    """
    if top_k is not None and top_k < 1:
        raise ConfigError(f"top_k {top_k}: expected 1 or more")


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of at most `size` items."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
