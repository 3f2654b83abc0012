"""From waiting questions to answers: the one thread that runs the encoder, and the one that decodes. No HTTP.

There is no window of waiting: as soon as the encoder is free, it takes what is there. A pass that fails is tried again
question by question, so that a poisonous row fails alone.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, perf_counter
from typing import TypeVar

from mtl_transformers.errors import DataError
from mtl_transformers.runtime.answering import Answer, Answering
from mtl_transformers.runtime.rows import made_row
from mtl_transformers.serving.metrics import Metrics
from mtl_transformers.serving.pace import Pace, seconds_of
from mtl_transformers.serving.queueing import Failure, Found, Item, Queue
from mtl_transformers.text.decoders import Logits

MAX_UNDECODED = 2  # passes that wait to be decoded before the encoder waits for them

Result = TypeVar("Result")
_LOG = logging.getLogger(__name__)


class Batcher:
    """Runs the encoder on what waits.

    Args:
        answering: the model.
        queue: of the questions.
        pace: is told of every pass.
        metrics: likewise.
        max_tokens: padded tokens of one pass.
    """

    def __init__(self, answering: Answering, queue: Queue, pace: Pace, metrics: Metrics, *, max_tokens: int) -> None:
        self._answering = answering
        self._queue = queue
        self._pace = pace
        self._metrics = metrics
        self._max_tokens = max_tokens
        self._decoding = ThreadPoolExecutor(1, thread_name_prefix="mtl-decode")
        self._thread = threading.Thread(target=self._work, name="mtl-encode", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether questions are being answered."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to take questions."""
        self._thread.start()

    def close(self) -> None:
        """Answer what still waits, and end."""
        self._queue.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._decoding.shutdown()

    def warm_up(self) -> None:
        """Answer made rows, so that the first answer is no slower, and learn how long passes take."""
        self._answering.warm_up()
        name, task = next(iter(self._answering.tasks.items()))
        num_words = min(32, task.input.max_length)
        (asked,) = self._answering.ask([made_row(task.input, num_words)], [name])
        question = asked.questions[0]
        of_one = question.features.length * question.features.num_sequences
        many = max(2, self._max_tokens // of_one)
        small, large = (seconds_of(lambda n=n: self._answering.run([question] * n)) for n in (1, many))  # type: ignore[misc]
        self._pace.calibrate(small=(of_one, small), large=(many * of_one, large))

    def _work(self) -> None:
        undecoded: deque[Future[None]] = deque()
        while (items := self._queue.take(self._max_tokens)) is not None:
            found = self._run(items)
            undecoded.append(self._decoding.submit(self._decode, items, found))
            if len(undecoded) > MAX_UNDECODED:
                undecoded.popleft().result()

    def _run(self, items: Sequence[Item]) -> list[dict[str, Logits] | Failure]:
        start, now = perf_counter(), monotonic()
        found = self._attempt(lambda some: self._answering.run([item.question for item in some]), items)
        self._measure(items, perf_counter() - start, now)
        return found

    def _decode(self, items: Sequence[Item], found: Sequence[dict[str, Logits] | Failure]) -> None:
        """Turn logits into answers; those of requests with one `top_k` together."""
        by_top_k: dict[int | None, dict[Item, dict[str, Logits]]] = {}
        for item, logits in zip(items, found, strict=True):
            if isinstance(logits, Failure):
                item.job.put(item.place, logits)
            else:
                by_top_k.setdefault(item.job.top_k, {})[item] = logits
        for top_k, decoded in by_top_k.items():
            for item, answer in zip(decoded, self._decoded(decoded, top_k), strict=True):
                item.job.put(item.place, answer)

    def _decoded(self, logits: Mapping[Item, dict[str, Logits]], top_k: int | None) -> list[Found]:
        def decode(some: Sequence[Item]) -> list[Answer]:
            return self._answering.decode(
                [each.question for each in some], [logits[each] for each in some], top_k=top_k
            )

        return self._attempt(decode, list(logits))

    def _attempt(self, work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result | Failure]:
        """Do some work on questions together or, where that fails, on each alone."""
        try:
            return [*work(items)]
        except Exception as error:  # noqa: BLE001  # whatever it is, it is one row's, and others must be answered
            if len(items) == 1:
                return [_failure(error, items[0])]
        self._metrics.retried.inc()
        return [found for item in items for found in self._attempt(work, [item])]

    def _measure(self, items: Sequence[Item], seconds: float, started: float) -> None:
        tokens = sum(item.tokens for item in items)
        self._pace.note(tokens, seconds)
        self._metrics.inference_seconds.observe(seconds)
        self._metrics.tokens.inc(tokens)
        padded = max(item.length for item in items) * sum(item.num_sequences for item in items)
        self._metrics.batch_tokens.observe(padded)
        self._metrics.batch_questions.observe(len(items))
        for item in items:
            self._metrics.queue_seconds.observe(started - item.since)


def _failure(error: Exception, item: Item) -> Failure:
    """Return why a question has no answer; what is no row's fault goes to the log."""
    if isinstance(error, DataError):
        return Failure(str(error), internal=False)
    _LOG.error("request %s, question %d failed", item.job.request_id, item.place, exc_info=error)
    return Failure(f"internal error; the log tells of it under request {item.job.request_id}", internal=True)
