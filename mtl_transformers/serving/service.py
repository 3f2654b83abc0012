"""From a request that was read to its answers: encode, wait, put together. No HTTP.

The event loop waits, a few threads encode texts, one runs the encoder, one decodes (`batcher`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from mtl_transformers.errors import MTLError, nearest
from mtl_transformers.runtime.answering import ERROR, Answer, Answering
from mtl_transformers.runtime.questions import AskedRow
from mtl_transformers.serving.batcher import Batcher
from mtl_transformers.serving.errors import ClientGone, Fault, Refused, invalid
from mtl_transformers.serving.metrics import Metrics
from mtl_transformers.serving.pace import Pace
from mtl_transformers.serving.queueing import Failure, Found, Job, Queue, QueueFull
from mtl_transformers.serving.schemas import MAX_FAULTS, Asking
from mtl_transformers.serving.settings import Limits

ENCODERS = 4  # threads that encode texts: one long text does not stop the others
SHORT_TOKENS = 256  # of a request that is encoded without a thread, in a third of a millisecond
CHARACTERS_PER_TOKEN = 4  # a guess, until texts are encoded
MAX_WAIT = 0.5  # of the deadline, for those who are let in

State = Literal["starting", "ready", "draining"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """A request as the encoder reads it.

    Attributes:
        tasks: that are answered.
        rows: the questions of each row, or what is wrong with it.
    """

    tasks: Sequence[str]
    rows: Sequence[AskedRow]


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request gets.

    Attributes:
        tasks: that were answered.
        answers: of each row.
        truncated: numbers of the rows that lost their ends.
    """

    tasks: Sequence[str]
    answers: Sequence[Answer]
    truncated: Sequence[int]


class Service:
    """A model that many ask at once.

    Args:
        answering: the model.
        limits: of what it takes on.
    """

    def __init__(self, answering: Answering, limits: Limits) -> None:
        self.answering = answering
        self.limits = limits
        pace = Pace()
        self._queue = Queue(pace, max_tokens=limits.max_queue_tokens, max_wait_s=limits.deadline_s * MAX_WAIT)
        self.metrics = Metrics(self._queue, answering.tasks)
        self._batcher = Batcher(answering, self._queue, pace, self.metrics, max_tokens=limits.max_batch_tokens)
        self._encoding = ThreadPoolExecutor(ENCODERS, thread_name_prefix="mtl-text")
        self._warm: Future[None] | None = None
        self._most_tokens = _most_tokens(answering, limits)
        self._draining = False
        self.num_active = 0

    @property
    def state(self) -> State:
        """Whether it answers."""
        if self._draining:
            return "draining"
        is_warm = self._warm is not None and self._warm.done() and self._warm.exception() is None
        return "ready" if is_warm and self._batcher.is_alive else "starting"

    def start(self) -> Future[None]:
        """Warm up and begin to answer; return what tells that it is done."""
        if self._warm is None:
            self._warm = self._encoding.submit(self._begin)
        return self._warm

    def _begin(self) -> None:
        self._batcher.warm_up()
        self._batcher.start()

    def drain(self) -> None:
        """Take no more requests."""
        self._draining = True

    def close(self) -> None:
        """Answer what still waits, and end the threads."""
        self._draining = True
        self._encoding.shutdown()
        self._batcher.close()

    def check_open(self) -> None:
        """Refuse a request before it is read, where it would not be answered anyway.

        Raises:
            Refused: the server is not ready, is about to end, or is full.
        """
        match self.state:
            case "draining":
                raise Refused("draining", "the server is about to end", headers={"connection": "close"})
            case "starting":
                raise Refused("starting", "the server is not ready yet", headers={"retry-after": "1"})
        try:
            self._queue.check_room()
        except QueueFull as full:
            raise _too_full(full) from full

    async def answer(self, asking: Asking, *, request_id: str, gone: asyncio.Future[None]) -> Answered:
        """Answer a request.

        Args:
            asking: the request.
            request_id: for the log.
            gone: is done when the client has left.

        Raises:
            Refused: the queue is full, no row can be answered, or the deadline has passed.
            ClientGone: the client left first.
        """
        self.num_active += 1
        try:
            async with asyncio.timeout(self.limits.deadline_s):
                return await self._answer(asking, request_id, gone)
        except TimeoutError as error:
            raise Refused("deadline", f"not answered within {self.limits.deadline_s:g} s") from error
        except QueueFull as full:
            raise _too_full(full) from full
        finally:
            self.num_active -= 1

    async def _answer(self, asking: Asking, request_id: str, gone: asyncio.Future[None]) -> Answered:
        guess = sum(min(length // CHARACTERS_PER_TOKEN + 1, self._most_tokens) for length in asking.num_characters)
        with self._queue.admitted(guess) as ticket:
            encoded = await self._encoded(asking, guess)
            questions = [question for row in encoded.rows for question in row.questions]
            if not questions:
                raise Refused("invalid", faults=_faults([row.error or "" for row in encoded.rows], asking))
            job = self._queue.put(ticket, questions, top_k=asking.top_k, request_id=request_id)
            found = await _found(job, gone)
        answered = _combined(encoded, found)
        self._judge(answered, found, asking, request_id)
        return answered

    async def _encoded(self, asking: Asking, guess: int) -> Encoded:
        """Encode a request: a short one at once, since handing it to a thread takes longer than encoding it."""
        if guess <= SHORT_TOKENS:
            return self._encode(asking)
        return await asyncio.get_running_loop().run_in_executor(self._encoding, self._encode, asking)

    def _judge(self, answered: Answered, found: Sequence[Found], asking: Asking, request_id: str) -> None:
        """Count rows, and refuse a request of which no row was answered."""
        errors = [answer[ERROR] for answer in answered.answers if isinstance(answer.get(ERROR), str)]
        self.metrics.rows.inc(len(answered.answers))
        self.metrics.row_errors.inc(len(errors))
        if len(errors) < len(answered.answers):
            return
        if any(isinstance(each, Failure) and each.internal for each in found):
            raise Refused("internal", f"internal error; the log tells of it under request {request_id}")
        raise Refused("invalid", faults=_faults([str(error) for error in errors], asking))

    def _encode(self, asking: Asking) -> Encoded:
        """Choose the tasks and encode the rows."""
        for place, name in enumerate(asking.tasks or ()):
            if name not in self.answering.tasks:
                known = ", ".join(self.answering.tasks)
                message = f"unknown task {name!r}; the server answers {known}{nearest(name, self.answering.tasks)}"
                raise invalid(("body", "tasks", place), message, "unknown_task")
        try:
            tasks = self.answering.choose(asking.rows, asking.tasks)
            rows = self.answering.ask(asking.rows, tasks, errors="keep")
        except MTLError as error:
            raise invalid(("body", asking.field), str(error), "columns") from error
        return Encoded(tasks, [self._checked(row, asking) for row in rows])

    def _checked(self, row: AskedRow, asking: Asking) -> AskedRow:
        """Return a row, or its error where it is longer than it may be."""
        for question in row.questions:
            features = question.features
            tokens, most = features.length * features.num_sequences, self.limits.max_row_tokens
            if tokens > most:
                return AskedRow(error=f"the row has {tokens} tokens in all; the server takes {most}. Shorten it")
            if features.truncated and not asking.truncate:
                task = self.answering.tasks[question.tasks[0]]
                return AskedRow(
                    error=f"the row is longer than {task.input.max_length} tokens, which is what "
                    f"{', '.join(question.tasks)} read. Shorten it, or set truncate to true"
                )
        return row


def _most_tokens(answering: Answering, limits: Limits) -> int:
    """Return how many tokens a row of any task has at most."""
    inputs = [task.input for task in answering.tasks.values()]
    if any(given.stride is not None or given.form in ("options", "each") for given in inputs):
        return limits.max_row_tokens
    return max(given.max_length for given in inputs)


async def _found(job: Job, gone: asyncio.Future[None]) -> list[Found]:
    """Wait for a job's answers, or until its client has left."""
    answers = asyncio.wrap_future(job.answers)
    waited: list[asyncio.Future[Any]] = [answers, gone]
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            raise ClientGone
        return answers.result()
    finally:
        answers.cancel()


def _combined(encoded: Encoded, found: Sequence[Found]) -> Answered:
    """Put the answers of each row's questions together."""
    source = iter(found)
    answers: list[Answer] = []
    for row in encoded.rows:
        of_row: Answer = {}
        error = row.error
        for _ in row.questions:
            match next(source):
                case Failure() as failure:
                    error = error or failure.message
                case answer:
                    of_row |= answer
        answers.append({ERROR: error} if error is not None else {name: of_row[name] for name in encoded.tasks})  # type: ignore[dict-item]  # a message
    truncated = [
        number for number, row in enumerate(encoded.rows) if any(each.features.truncated for each in row.questions)
    ]
    return Answered(encoded.tasks, answers, truncated)


def _faults(errors: Sequence[str], asking: Asking) -> list[Fault]:
    """Return what is wrong with each of the first rows."""
    return [Fault(("body", asking.field, number), error, "row") for number, error in enumerate(errors[:MAX_FAULTS])]


def _too_full(full: QueueFull) -> Refused:
    return Refused("queue_full", str(full), headers={"retry-after": str(full.retry_after_s)})
