from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_tokenizer

from mtl_transformers.errors import DataError
from mtl_transformers.model.tokenizer import text_backend
from mtl_transformers.tasks.answer_cells import AnswerCounts, GivenAnswer, answers_in
from mtl_transformers.tasks.question_answering import QuestionAnswering, QuestionAnsweringOptions
from mtl_transformers.text.encoding import Features, TextEncoder

CONTEXT = "a b c d e f g h"  # words of one piece each


@cache
def encoder(max_length: int) -> TextEncoder:
    return TextEncoder(text_backend(tiny_tokenizer("bert")), max_length=max_length, uses_token_types=True)


def row_of(context: str = CONTEXT, *, max_length: int = 64) -> Features:
    pairs = [("q", context)]
    return encoder(max_length).encode(pairs, form="pair", alignment="pieces", stride=2)[0]


def answer(text: str, start: int | None) -> dict[str, Any]:
    return {"text": text, "answer_start": start}


def fit(
    cells: Iterable[Any] = ([answer("c", 4)],), *, metrics: Sequence[str] = (), **options: Any
) -> QuestionAnswering:
    return QuestionAnswering.fit(
        "qa",
        QuestionAnsweringOptions(label="answers", **options),
        metrics=metrics,
        cells=((cell,) for cell in cells),
        class_names=None,
    )


def encoded(cell: Any, context: str = CONTEXT) -> Any:
    return fit().encode((cell,), row_of(context), text=context)


# cells


@pytest.mark.parametrize(
    ("cell", "answers"),
    [
        ([answer("b c", 2), answer("c", 4.0)], [("b c", 2), ("c", 4)]),
        ({"text": ["b c", "c"], "answer_start": [2, 4]}, [("b c", 2), ("c", 4)]),
        ({"text": [], "answer_start": []}, []),
        ([], []),
        ("b c", [("b c", None)]),
        (["b c", "c"], [("b c", None), ("c", None)]),
        ([{"text": "c"}], [("c", None)]),
        ({"text": ["c"]}, [("c", None)]),
    ],
)
def test_answers_are_read_in_each_form(cell: Any, answers: list[tuple[str, int | None]]) -> None:
    assert answers_in(cell) == [GivenAnswer(*given) for given in answers]


def test_null_is_not_no_answer() -> None:
    assert answers_in(None) is None
    assert answers_in({"text": None, "answer_start": None}) is None
    assert encoded(None) is None
    assert encoded([]) == []


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (3, "answers 3: expected a list of"),
        ([3], "answer 3: expected a list of"),
        ([{"start": 3}], "expected a list of"),
        ("", "expected a text that is not empty; a question without an answer has"),
        ([answer(" ", 3)], "expected a text that is not empty"),
        ([answer("c", 4.5)], "answer_start 4.5 is no whole number"),
        ([answer("c", True)], "answer_start True is no whole number"),
        ({"text": ["c"], "answer_start": [4, 5]}, "an offset for each of the 1 texts"),
    ],
)
def test_a_cell_of_another_form_is_refused(cell: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        answers_in(cell)


def test_wrong_offsets_are_repaired_and_lost_answers_left_out_and_both_are_counted() -> None:
    cell = [answer("c", 4), answer("d e", 0), answer("H", 14), answer("x", 3)]
    assert encoded(cell) == [{"text": "c", "start": 4}, {"text": "d e", "start": 6}, {"text": "h", "start": 14}]
    assert fit().answer_counts((cell,), text=CONTEXT) == AnswerCounts(repaired=2, lost=1)
    assert fit().answer_counts((None,), text=CONTEXT) == AnswerCounts()
    assert AnswerCounts(1, 2) + AnswerCounts(3, 4) == AnswerCounts(4, 6)


def test_a_row_whose_answers_are_all_lost_is_null_and_not_without_an_answer() -> None:
    assert encoded([answer("x", 3), answer("y", 0)]) is None


# what is fitted


def test_a_task_knows_whether_there_may_be_no_answer() -> None:
    assert (fit().num_answered, fit().num_unanswered) == (1, 0)
    task = fit([["c"], [], None, "d", []])
    assert (task.num_answered, task.num_unanswered) == (2, 2)


@pytest.mark.parametrize(("cells", "message"), [([None], "null"), ([[], []], "no training row has an answer")])
def test_a_task_needs_answers(cells: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(cells)


@pytest.mark.parametrize(("max_length", "stride"), [(512, 128), (384, 96), (32, 8), (3, 1)])
def test_windows_share_128_tokens_or_a_quarter_where_the_dataset_does_not_say(max_length: int, stride: int) -> None:
    read = QuestionAnswering.input_of(fit().options, text=("question", "context"), form="pair", max_length=max_length)
    assert (read.aligned, read.stride) == ("pieces", stride)


def test_the_dataset_says_what_windows_share() -> None:
    read = QuestionAnswering.input_of(fit().options, text=("q", "c"), form="pair", max_length=384, stride=7)
    assert read.stride == 7


# targets and loss


def target_of(task: QuestionAnswering, labels: Sequence[Any], rows: Sequence[Features], **given: Any) -> Any:
    first = np.cumsum([0, *(row.num_sequences for row in rows)])[:-1].tolist()
    return task.target(rows, first_sequences=first, labels=labels, **given)


def marks(target: Any) -> list[tuple[int, int]]:
    """The places, in each window, of the start and of the end."""
    edges = np.flatnonzero(np.diff(target.groups.numpy())) + 1
    windows = np.split(target.labels.numpy(), edges)
    assert all((window.sum(axis=0) == 1).all() for window in windows)
    return [(int(window[:, 0].argmax()), int(window[:, 1].argmax())) for window in windows]


def test_a_window_points_to_the_answer_that_it_holds_whole_else_to_its_first_token() -> None:
    row = row_of(max_length=8)
    assert row.word_indices == ([0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7])
    for text, places in {
        "c d": [(3, 4), (1, 2), (0, 0)],
        "d e": [(0, 0), (2, 3), (0, 0)],  # the first window has d only
        "h": [(0, 0), (0, 0), (4, 4)],
    }.items():
        target = target_of(fit(), [encoded([text])], [row])
        assert marks(target) == places
        assert (target.num_items, target.num_rows) == (3, 1)
    assert marks(target_of(fit(), [[]], [row])) == [(0, 0)] * 3


def test_a_target_reads_the_first_token_and_the_context_of_each_window() -> None:
    row = row_of(max_length=8)
    target = target_of(fit(), [None, encoded(["c"])], [row, row])
    assert target.sequences.tolist() == [3] * 5 + [4] * 5 + [5] * 5
    assert target.positions.tolist() == [0, 3, 4, 5, 6] * 3  # [CLS] q [SEP] and four pieces
    assert target.groups.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert fit().num_vectors(row) == 15


def test_the_first_right_answer_is_trained_and_all_are_scored() -> None:
    label = encoded([answer("f", 10), answer("g", 12)])
    assert marks(target_of(fit(), [label], [row_of()])) == [(6, 6)]
    task = fit()
    for text, f1 in (("f", 1.0), ("g", 1.0), ("h", 0.0)):
        assert task.score([label], [{"answer": text}], [row_of()]) == {"squad_f1": f1}


def test_the_loss_by_hand() -> None:
    rows = [row_of("a b"), row_of("a b c")]
    task = fit()
    labels = [encoded(["a b"], "a b"), []]
    logits = torch.tensor([[0.1, 0.2], [1.0, 0.0], [0.3, 2.0], [0.5, 0.6], [0.0, 0.1], [-1.0, 0.2], [3.0, 0.4]])
    loss = task.loss(logits, target_of(task, labels, rows))

    def entropy(scores: Sequence[float], place: int) -> float:
        return float(np.log(np.exp(scores).sum()) - scores[place])

    first = (entropy([0.1, 1.0, 0.3], 1) + entropy([0.2, 0.0, 2.0], 2)) / 2
    second = (entropy([0.5, 0.0, -1.0, 3.0], 0) + entropy([0.6, 0.1, 0.2, 0.4], 0)) / 2
    assert loss.item() == pytest.approx(first + second, rel=1e-6)
    weighed = task.loss(logits, target_of(task, labels, rows, weights=[2.0, 0.5]))
    assert weighed.item() == pytest.approx(2 * first + 0.5 * second, rel=1e-6)


def test_the_loss_and_its_gradient_are_those_of_torch_within_each_window() -> None:
    rows = [row_of(max_length=8), row_of("c d e")]
    task = fit()
    target = target_of(task, [encoded(["d e"]), encoded(["e"], "c d e")], rows)
    ours = torch.randn(len(target.groups), 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 50
    theirs = ours.clone().requires_grad_()
    ours.requires_grad_()
    loss = task.loss(ours, target)
    expected = torch.zeros((), dtype=torch.float64)
    for window in range(4):
        chosen = target.groups == window
        for column in range(2):
            place = target.labels[chosen, column].argmax()
            expected = expected + torch.nn.functional.cross_entropy(theirs[chosen, column], place) / 2
    loss.backward()
    expected.backward()
    assert torch.allclose(loss, expected)
    assert torch.allclose(ours.grad, theirs.grad)


# predictions


def logits_for(row: Features, start: int, end: int) -> Any:
    """Logits that choose a span of pieces in each window that holds it."""
    logits = []
    for pieces in row.word_indices:
        window = np.zeros((1 + len(pieces), 2), dtype=np.float32)
        for place, piece in enumerate(pieces, start=1):
            window[place] = 9 * (piece == start), 9 * (piece == end)
        logits.append(window)
    return np.concatenate(logits)


def predicted(task: QuestionAnswering, *, top_k: int | None = None) -> Any:
    row = row_of(max_length=8)
    return task.decode([logits_for(row, 3, 4)], [row], texts=[CONTEXT], form="pair", top_k=top_k)[0]


def test_a_prediction_names_as_many_answers_as_the_task_or_the_caller_asks_for() -> None:
    assert predicted(fit()) == {"answer": "d e", "start": 6, "end": 9, "score": pytest.approx(1, abs=0.1)}
    assert len(predicted(fit(n_best=3))["n_best"]) == 3
    assert len(predicted(fit(n_best=3), top_k=5)["n_best"]) == 5
    assert len(predicted(fit(), top_k=2)["n_best"]) == 2


def test_only_a_task_that_was_trained_on_questions_without_an_answer_predicts_none() -> None:
    row = row_of()
    logits = np.zeros((9, 2), dtype=np.float32)
    logits[0] = 5
    for task, text in ((fit(), "a"), (fit([["c"], []]), ""), (fit([["c"], []], no_answer_threshold=10.0), "a")):
        (prediction,) = task.decode([logits], [row], texts=[CONTEXT], form="pair")
        assert isinstance(prediction, dict)
        assert prediction["answer"] == text


def test_gold_answers_have_the_form_of_predictions() -> None:
    gold = fit().gold(encoded([answer("d e", 6), answer("e", 8)]), row_of(), text=CONTEXT, form="pair")
    assert gold == [{"answer": "d e", "start": 6, "end": 9}, {"answer": "e", "start": 8, "end": 9}]


def test_scores_are_means_over_questions() -> None:
    task = fit(metrics=["squad_f1", "exact_match"])
    labels = [encoded(["c d"]), [], encoded(["e"]), []]
    answers: list[Any] = [{"answer": text} for text in ("d", "", "E.", "f")]
    assert task.score(labels, answers, [row_of()] * 4) == {
        "squad_f1": pytest.approx((2 / 3 + 2) / 4),
        "exact_match": 0.5,
    }


def test_the_answer_that_ignores_the_text_is_none() -> None:
    task = fit([["c"], []])
    nothing = task.majority(row_of())
    assert nothing == {"answer": "", "start": None, "end": None, "score": 1.0}
    assert task.score([encoded(["c"]), []], [nothing, nothing], [row_of()] * 2) == {"squad_f1": 0.5}


def test_a_model_that_goes_on_learns_anew_whether_there_may_be_no_answer() -> None:
    assert fit().continued(fit([["c"], []])).num_unanswered == 1
