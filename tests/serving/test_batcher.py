"""The thread that runs the encoder: what it takes together, and what it does when something fails."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from mtl_transformers.errors import DataError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime.answering import Answering
from mtl_transformers.serving.batcher import Batcher
from mtl_transformers.serving.metrics import Metrics
from mtl_transformers.serving.pace import Pace
from mtl_transformers.serving.queueing import Failure, Found, Queue

TEXTS = ["the refund", "my card", "parcel to Berlin !", "how of it"]
Ask = Callable[..., Future[list[Found]]]


@contextmanager
def batching(answering: Answering, *, max_tokens: int = 1000) -> Iterator[Ask]:
    """Yield what puts texts into the queue as one request."""
    pace = Pace()
    pace.pass_tokens = 1e6  # padding is no matter here
    queue = Queue(pace, max_tokens=10**6, max_wait_s=1e9)
    batcher = Batcher(answering, queue, pace, Metrics(queue, answering.tasks), max_tokens=max_tokens)
    batcher.start()

    def ask(*texts: str, tasks: list[str] | None = None, top_k: int | None = None) -> Future[list[Found]]:
        rows = answering.ask(texts, tasks or ["intent"])
        questions = [question for row in rows for question in row.questions]
        ticket = queue.admitted(1).__enter__()
        return queue.put(ticket, questions, top_k=top_k, request_id="r-1").answers

    yield ask
    batcher.close()


def test_what_waits_while_the_encoder_is_busy_goes_together_when_it_is_free(gated, gate):
    with batching(gated) as ask:
        gate.open.clear()
        first = ask("the")
        gate.wait_for_pass()
        others = [ask(text) for text in TEXTS]
        gate.open.set()
        for each in (first, *others):
            each.result(10)
    assert [len(lengths) for lengths in gate.passes] == [1, 4]


def test_a_question_does_not_wait_where_the_encoder_is_free(gated, gate):
    with batching(gated) as ask:
        for text in TEXTS:
            ask(text).result(10)
    assert [len(lengths) for lengths in gate.passes] == [1, 1, 1, 1]


def test_no_pass_has_more_padded_tokens_than_it_may(gated, gate):
    with batching(gated, max_tokens=30) as ask:
        ask(*["the refund of it"] * 20).result(10)
    assert all(max(lengths) * len(lengths) <= 30 for lengths in gate.passes)
    assert sum(map(len, gate.passes)) == 20


def test_requests_in_one_pass_get_their_own_answers_by_their_own_tasks_and_top_k(gated, gate, model: MultiTaskModel):
    with batching(gated) as ask:
        gate.open.clear()
        ask("the")
        gate.wait_for_pass()
        found = [
            ask(TEXTS[0], tasks=["intent"], top_k=2),
            ask(TEXTS[1], TEXTS[2], tasks=["entities", "mood"]),
            ask(TEXTS[3], tasks=["intent", "topics"], top_k=1),
        ]
        gate.open.set()
        answers = [each.result(10) for each in found]
    assert len(gate.passes) == 2
    expected = [
        model.predict([TEXTS[0]], tasks=["intent"], top_k=2),
        model.predict(TEXTS[1:3], tasks=["entities", "mood"]),
        model.predict([TEXTS[3]], tasks=["intent", "topics"], top_k=1),
    ]
    for ours, theirs in zip(answers, expected, strict=True):
        assert [list(answer) for answer in ours] == [list(answer) for answer in theirs]  # type: ignore[arg-type]
    assert answers[0][0]["intent"]["scores"] == pytest.approx(expected[0][0]["intent"]["scores"])  # type: ignore[index, call-overload]
    assert len(answers[2][0]["intent"]["scores"]) == 1  # type: ignore[index, call-overload, arg-type]


def test_a_poisonous_row_fails_alone_and_its_trace_goes_to_the_log(gated, gate, caplog: pytest.LogCaptureFixture):
    (row,) = gated.ask(["parcel"], ["intent"])
    gate.poison = row.questions[0].features.input_ids[0][1]
    with batching(gated) as ask, caplog.at_level(logging.ERROR):
        found = ask(*TEXTS).result(10)
    assert [isinstance(each, Failure) for each in found] == [False, False, True, False]
    failure = found[2]
    assert isinstance(failure, Failure)
    assert failure.internal
    assert "secret" not in failure.message
    assert "r-1" in failure.message
    assert [len(lengths) for lengths in gate.passes] == [4, 1, 1, 1, 1]
    assert "request r-1, question 2" in caplog.text
    assert "secret: a poisonous row" in caplog.text


def test_the_next_requests_are_answered_after_a_failure(gated, gate):
    (row,) = gated.ask(["parcel"], ["intent"])
    gate.poison = row.questions[0].features.input_ids[0][1]
    with batching(gated) as ask:
        assert isinstance(ask("parcel").result(10)[0], Failure)
        assert "intent" in ask("the refund").result(10)[0]  # type: ignore[operator]


class Refusing(Answering):
    """Does not decode a text, as a decoder of choices does not a single one."""

    def decode(self, questions, logits, *, top_k=None):
        if any(question.text == "refused" for question in questions):
            raise DataError("a single text; expected a list of options")
        return super().decode(questions, logits, top_k=top_k)


def test_a_row_that_cannot_be_decoded_is_its_own_fault(model: MultiTaskModel):
    whole = model.answering
    refusing = Refusing(whole.tasks, encoders=whole.encoders, forward=whole.forward)
    with batching(refusing) as ask:
        found = ask("the refund", "refused", "my card").result(10)
    assert found[1] == Failure("a single text; expected a list of options", internal=False)
    assert all(isinstance(found[place], dict) for place in (0, 2))


def test_what_waits_is_answered_before_the_end(gated, gate):
    with batching(gated) as ask:
        found = [ask(text) for text in TEXTS * 5]
    assert all(each.done() for each in found)
