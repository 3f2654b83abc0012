"""What a server counts, as Prometheus reads it. One registry for each server; nothing is global."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from mtl_transformers.serving.errors import STATUS, Reason
from mtl_transformers.serving.queueing import Queue

NO_TASK = "none"  # of requests that ended before it was clear what they ask
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUESTIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536)


@dataclass(slots=True)
class Counted:
    """How a request ends, as far as that is known.

    Attributes:
        tasks: that it asked for.
        status: of its response.
    """

    tasks: Sequence[str] = (NO_TASK,)
    status: int = 500


class Metrics:
    """The counters of one server.

    Args:
        queue: whose length is told.
        tasks: names that may stand in a label; so no client makes new ones.
    """

    def __init__(self, queue: Queue, tasks: Iterable[str]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._tasks = {*tasks, NO_TASK}
        self._requests = self._counter("mtl_requests", "Requests to /predict.", "task", "status")
        refused = self._counter("mtl_refused", "Requests that were not answered.", "reason")
        self._refused = {reason: refused.labels(reason) for reason in STATUS}
        self._in_flight = self._gauge("mtl_in_flight", "Requests to /predict that are being answered.")
        self.dropped = self._counter("mtl_dropped_clients", "Requests whose client left.")
        self.rows = self._counter("mtl_rows", "Rows that were asked for.")
        self.row_errors = self._counter("mtl_row_errors", "Rows that could not be answered.")
        self.retried = self._counter("mtl_retried_passes", "Passes that failed and were tried row by row.")
        self.tokens = self._counter("mtl_tokens", "Tokens that went through the encoder, without padding.")
        self.batch_tokens = self._histogram("mtl_batch_tokens", "Padded tokens of a pass.", TOKENS)
        self.batch_questions = self._histogram("mtl_batch_questions", "Questions of a pass.", QUESTIONS)
        self.queue_seconds = self._histogram("mtl_queue_seconds", "How long a question waited.", SECONDS)
        self.inference_seconds = self._histogram("mtl_inference_seconds", "How long a pass took.", SECONDS)
        self._request_seconds = self._histogram("mtl_request_seconds", "How long a request took.", SECONDS)
        questions = self._gauge("mtl_queue_questions", "Questions that wait for the encoder.")
        questions.set_function(lambda: queue.num_questions)
        tokens = self._gauge("mtl_queue_tokens", "Tokens that wait for the encoder.")
        tokens.set_function(lambda: queue.num_tokens)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(name, about, labels, registry=self._registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, registry=self._registry)

    def _histogram(self, name: str, about: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, about, buckets=buckets, registry=self._registry)

    @contextmanager
    def request(self) -> Iterator[Counted]:
        """Count a request to /predict under each task that it asked for, when it has ended."""
        counted, start = Counted(), perf_counter()
        self._in_flight.inc()
        try:
            yield counted
        finally:
            self._in_flight.dec()
            self._request_seconds.observe(perf_counter() - start)
            for task in {task if task in self._tasks else NO_TASK for task in counted.tasks}:
                self._requests.labels(task, str(counted.status)).inc()

    def refused(self, reason: Reason) -> None:
        """Count a request that is not answered."""
        self._refused[reason].inc()

    def exposition(self) -> tuple[bytes, str]:
        """Return the text that Prometheus reads, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_PLAIN_0_0_4
