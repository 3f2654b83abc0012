"""The queue of questions: who may enter, and which go through the encoder together. No threads of its own, no HTTP.

A request takes a ticket before its texts are encoded, so that nobody's texts are encoded only to be refused. The oldest
question is always in the next pass, so that none waits for ever; with it go those nearest in length, until padding
costs more than another pass would.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from time import monotonic

from mtl_transformers.runtime.answering import Answer
from mtl_transformers.runtime.questions import Question
from mtl_transformers.serving.pace import Pace

PADDING = 0.5  # of the cost of a pass: what its padding may cost; simulated for 8 to 64 clients


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a question has no answer.

    Attributes:
        message: for the client.
        internal: it is our fault, not the row's.
    """

    message: str
    internal: bool


Found = Answer | Failure


@dataclass(slots=True, eq=False)
class Job:
    """The questions of one request on their way.

    Attributes:
        request_id: for the log.
        top_k: of the request.
        found: answer or failure of each question, when all have one.
        left: how many have none.
        answers: where they are put.
    """

    request_id: str
    top_k: int | None
    left: int
    found: list[Found | None]
    answers: Future[list[Found]] = field(default_factory=Future)

    def put(self, place: int, found: Found) -> None:
        """Take the answer of a question; with the last one, hand over all. By one thread only."""
        self.found[place] = found
        self.left -= 1
        if not self.left and self.answers.set_running_or_notify_cancel():
            self.answers.set_result([each for each in self.found if each is not None])


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """A question in the queue.

    Attributes:
        question: what is asked.
        job: of its request.
        place: among the questions of the request.
        length: tokens of its longest sequence.
        num_sequences: that go through the encoder.
        since: when it began to wait.
    """

    question: Question
    job: Job
    place: int
    length: int
    num_sequences: int
    since: float

    @property
    def tokens(self) -> int:
        """Tokens that it brings to a pass."""
        return self.length * self.num_sequences


@dataclass(slots=True, eq=False)
class Ticket:
    """A request's place in the queue: what it takes up, and its questions there."""

    tokens: int
    numbers: list[int] = field(default_factory=list)


class QueueFull(Exception):
    """There is no room, or the wait would be too long.

    Args:
        retry_after_s: whole seconds until there should be room.
    """

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Queue:
    """Questions that wait for the encoder. Threads share it.

    Args:
        pace: of the encoder.
        max_tokens: that may wait.
        max_wait_s: nobody is let in who would wait longer.
    """

    def __init__(self, pace: Pace, *, max_tokens: int, max_wait_s: float) -> None:
        self._pace = pace
        self._max_tokens = max_tokens
        self._max_wait_s = max_wait_s
        self._waiting: dict[int, tuple[Item, Ticket]] = {}  # by number, oldest first
        self._numbers = count()
        self._tokens = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def num_questions(self) -> int:
        """Questions that wait."""
        return len(self._waiting)

    @property
    def num_tokens(self) -> int:
        """Tokens that wait, or that those who are being encoded will bring."""
        return self._tokens

    @contextmanager
    def admitted(self, tokens: int) -> Iterator[Ticket]:
        """Give a request room for its tokens, as far as they are known; at the end nothing of it waits any more.

        Raises:
            QueueFull: there is none. A request is never too large for an empty queue.
        """
        ticket = Ticket(tokens)
        with self._changed:
            self._check_room(tokens)
            self._tokens += tokens
        try:
            yield ticket
        finally:
            self._leave(ticket)

    def check_room(self) -> None:
        """Raise `QueueFull` where not even a small request would be let in."""
        with self._changed:
            self._check_room(1)

    def _check_room(self, tokens: int) -> None:
        after = self._tokens + tokens
        too_many, too_long = after > self._max_tokens, self._pace.seconds_for(after) > self._max_wait_s
        if self._tokens and (too_many or too_long):
            raise QueueFull(max(1, ceil(self._pace.seconds_for(self._tokens))))

    def put(self, ticket: Ticket, questions: Sequence[Question], *, top_k: int | None, request_id: str) -> Job:
        """Let the questions of an admitted request wait; its tokens are now known.

        Returns:
            Whose ``answers`` come when all questions are answered.
        """
        since, job = monotonic(), Job(request_id, top_k, len(questions), [None] * len(questions))
        items = [
            Item(question, job, place, question.features.length, question.features.num_sequences, since)
            for place, question in enumerate(questions)
        ]
        with self._changed:
            self._tokens -= ticket.tokens
            ticket.tokens = sum(item.tokens for item in items)
            self._tokens += ticket.tokens
            for item in items:
                number = next(self._numbers)
                ticket.numbers.append(number)
                self._waiting[number] = item, ticket
            self._changed.notify()
        return job

    def _leave(self, ticket: Ticket) -> None:
        with self._changed:
            for number in ticket.numbers:
                self._waiting.pop(number, None)
            self._tokens -= ticket.tokens
            ticket.tokens = 0

    def take(self, max_tokens: int) -> list[Item] | None:
        """Wait for questions, and return those of the next pass; ``None`` when the queue was closed and is empty."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return None
                self._changed.wait()
            numbers = list(self._waiting)
            items = [item for item, _ in self._waiting.values()]
            places = next_pass(
                [item.length for item in items],
                [item.num_sequences for item in items],
                max_tokens=max_tokens,
                pass_tokens=self._pace.pass_tokens,
            )
            for place in places:
                item, ticket = self._waiting.pop(numbers[place])
                ticket.tokens -= item.tokens
                self._tokens -= item.tokens
            return [items[place] for place in places]

    def close(self) -> None:
        """Let `take` end when the queue is empty."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def next_pass(
    lengths: Sequence[int], num_sequences: Sequence[int], *, max_tokens: int, pass_tokens: float
) -> list[int]:
    """Return which of some waiting questions go through the encoder together: the oldest, and those near it in length.

    Args:
        lengths: tokens of the longest sequence of each, oldest first.
        num_sequences: of each.
        max_tokens: bound on the padded tokens; the oldest alone may exceed it.
        pass_tokens: what a pass costs beside its padded tokens. Padding may cost `PADDING` of it.

    Returns:
        Their places, the oldest first.
    """
    oldest = lengths[0]
    order = sorted(range(1, len(lengths)), key=lambda place: abs(lengths[place] - oldest))  # ties by age
    longest, sequences = oldest, num_sequences[0]
    tokens, taken = longest * sequences, [0]
    for place in order:
        longest, sequences = max(longest, lengths[place]), sequences + num_sequences[place]
        tokens += lengths[place] * num_sequences[place]
        padded = longest * sequences
        if padded > max_tokens or padded - tokens > PADDING * pass_tokens:
            break
        taken.append(place)
    return taken
