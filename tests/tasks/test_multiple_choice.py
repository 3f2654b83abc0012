import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from little import dataset, raw_config, riddles

from mtl_transformers import MultiTaskModel, load_config, train
from mtl_transformers.config import Config
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.bulk import predict_file
from mtl_transformers.tasks.kinds import task_from_json
from mtl_transformers.tasks.multiple_choice import MultipleChoice, MultipleChoiceOptions
from mtl_transformers.text.encoding import Features
from mtl_transformers.training.scoring import evaluate_directory

Given = str | tuple[str, ...]


def fit(cells: Iterable[tuple[Any, ...]], *, options: Given = "options") -> MultipleChoice:
    chosen = MultipleChoiceOptions(options=options, label="answer")
    return MultipleChoice.fit("choice", chosen, metrics=(), cells=cells, class_names=None)


def row(num_options: int) -> Features:
    return Features(((5, 6),) * num_options, ())


TASK = fit([(0, ["a", "b"]), (1, ["a", "b"]), (1, ["a", "b", "c"]), (2, ["a", "b", "c"]), (None, ["a"])])
COLUMNS = fit([(0, "a", "b", "c")], options=("A", "B", "C"))


def place(label: Any, *options: Any, task: MultipleChoice = TASK) -> Any:
    return task.encode((label, list(options)) if task is TASK else (label, *options), row(1), text="")


# labels


def test_the_places_of_the_right_options_are_counted() -> None:
    assert TASK.counts == (1, 2, 1)


def test_a_label_is_a_place_or_a_text() -> None:
    assert place(2, "x", "y", "z") == 2
    assert place(1.0, "x", "y") == 1  # of a column with holes
    assert place("y", "x", "y") == 1
    assert place("1", "x", "y") == 1  # a place as text, as SWAG has it
    assert place(None, "x") is None


def test_with_several_columns_a_label_may_name_one() -> None:
    assert place("B", "x", "y", "z", task=COLUMNS) == 1
    assert place("z", "x", "y", "z", task=COLUMNS) == 2
    assert place(0, "x", "y", "z", task=COLUMNS) == 0


def test_null_options_are_skipped_and_labels_count_the_others() -> None:
    assert place("C", "x", None, "z", task=COLUMNS) == 1
    assert place("z", "x", None, "z", task=COLUMNS) == 1
    assert place(1, "x", None, "z", task=COLUMNS) == 1
    with pytest.raises(DataError, match=r"label 2 is outside 0 to 1, the places of the row's options"):
        place(2, "x", None, "z", task=COLUMNS)
    with pytest.raises(DataError, match=r"label 'B' is none of the row's options 'A', 'C', 'x', 'z'"):
        place("B", "x", None, "z", task=COLUMNS)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (2, "label 2 is outside 0 to 1"),
        (-1, "label -1 is outside 0 to 1"),
        ("7", "label 7 is outside 0 to 1"),
        ("wrld", r"label 'wrld' is none of the row's options 'hello', 'world'; did you mean 'world'\?"),
        (0.5, "is a fraction"),
        ([1], "is a list"),
    ],
)
def test_a_label_that_is_none_of_the_rows_options_is_refused(label: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        place(label, "hello", "world")


def test_a_label_that_may_mean_two_options_is_refused() -> None:
    with pytest.raises(DataError, match="label '1' is the text of option 0 and the number of option 1"):
        place("1", "1", "2")
    assert place(1, "1", "2") == 1
    assert place("2", "1", "2") == 1  # there is no option of number 2
    assert place("1", "0", "1") == 1  # both say the same


def test_only_null_labels_are_refused() -> None:
    with pytest.raises(DataError, match="every label is null"):
        fit([(None, ["a"])])


def test_json_keeps_a_fitted_task() -> None:
    for task in (TASK, COLUMNS):
        assert task_from_json(json.loads(json.dumps(task.to_json()))) == task


# inputs


@pytest.mark.parametrize(
    ("text", "options", "columns", "num_context"),
    [
        (("text",), "options", ("text", "options"), 1),
        (("options",), "options", ("options",), 0),
        (("story", "question"), "options", ("story", "question", "options"), 2),
        (("a",), ("a", "b"), ("a", "b"), 0),
        (("story",), ("a", "b"), ("story", "a", "b"), 1),
        (("story", "a"), ("a", "b"), ("story", "a", "b"), 1),
    ],
)
def test_text_columns_that_are_no_options_are_the_context(
    text: tuple[str, ...], options: Given, columns: tuple[str, ...], num_context: int
) -> None:
    chosen = MultipleChoiceOptions(options=options, label="answer")
    given = MultipleChoice.input_of(chosen, text=text, form="text", max_length=9)
    assert (given.columns, given.num_context, given.form, given.stride) == (columns, num_context, "options", None)


# loss


def target(sizes: Sequence[int], labels: Sequence[int | None], weights: Sequence[float] | None = None) -> Any:
    first = np.cumsum([0, *sizes])[:-1].tolist()
    return TASK.target([row(size) for size in sizes], first_sequences=first, labels=labels, weights=weights)


def test_the_loss_is_the_cross_entropy_within_a_rows_options() -> None:
    logits = torch.tensor([[1.0], [2.0], [0.5], [-1.0], [3.0]])
    found = target([2, 3], [0, 2])
    assert (found.num_items, found.num_rows, found.groups.tolist()) == (2, 2, [0, 0, 1, 1, 1])
    by_hand = [
        math.log(math.exp(1.0) + math.exp(2.0)) - 1.0,
        math.log(math.exp(0.5) + math.exp(-1.0) + math.exp(3.0)) - 3.0,
    ]
    assert TASK.loss(logits, found).item() == pytest.approx(sum(by_hand))
    weighed = target([2, 3], [0, 2], weights=[2.0, 0.5])
    assert TASK.loss(logits, weighed).item() == pytest.approx(2.0 * by_hand[0] + 0.5 * by_hand[1])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 99))
def test_rows_together_have_the_sum_of_their_losses_and_their_gradients(sizes: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sum(sizes), 1, generator=generator, requires_grad=True)
    labels = [seed % size for size in sizes]
    together = TASK.loss(logits, target(sizes, labels))
    one_by_one = sum(
        TASK.loss(part, target([size], [label]))
        for part, size, label in zip(logits.split(sizes), sizes, labels, strict=True)
    )
    assert isinstance(one_by_one, torch.Tensor)
    torch.testing.assert_close(together, one_by_one)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits)[0] for loss in (together, one_by_one)))


def test_a_row_without_a_label_adds_nothing() -> None:
    logits = torch.tensor([[1.0], [2.0], [0.5], [-1.0], [3.0]])
    both = target([2, 3], [None, 2])
    assert both.sequences.tolist() == [2, 3, 4]
    assert torch.equal(TASK.loss(logits[both.sequences], both), TASK.loss(logits[2:], target([3], [2])))


# predictions


def decoded(*logits: Sequence[float]) -> list[Any]:
    cells = [np.array(of_row, dtype=np.float32)[:, None] for of_row in logits]
    return TASK.decode(cells, [row(len(of)) for of in logits], texts=[""] * len(logits), form="options")


def test_the_most_probable_option_is_chosen_and_every_probability_given() -> None:
    (first, second) = decoded([0.0, math.log(3.0)], [1.0, 1.0, 1.0])
    assert first == {"choice": 1, "score": pytest.approx(0.75), "scores": pytest.approx([0.25, 0.75])}
    assert second == {"choice": 0, "score": pytest.approx(1 / 3), "scores": pytest.approx([1 / 3] * 3)}


def test_accuracy_is_the_share_of_right_choices() -> None:
    answers = decoded([0.0, 1.0], [0.0, 1.0], [2.0, 1.0])
    assert TASK.score([1, 0, 0], answers, [row(2)] * 3) == {"accuracy": pytest.approx(2 / 3)}


def test_the_majority_is_the_most_frequent_place_that_the_row_has() -> None:
    assert TASK.majority(row(3)) == {"choice": 1, "score": 0.5, "scores": [0.25, 0.5, 0.25]}
    assert TASK.majority(row(2)) == {
        "choice": 1,
        "score": pytest.approx(2 / 3),
        "scores": pytest.approx([1 / 3, 2 / 3]),
    }
    assert TASK.majority(row(1)) == {"choice": 0, "score": 1.0, "scores": [1.0]}
    assert TASK.majority(row(4)) == {"choice": 1, "score": 0.5, "scores": [0.25, 0.5, 0.25, 0.0]}
    assert TASK.majority(row(0)) == {"choice": 0, "score": 0.0, "scores": []}


# whole runs


def config(place: Path, encoder: Path, rows: Iterable[Any], **changes: Any) -> Config:
    text, options = changes.pop("text", "text"), changes.pop("options", "options")
    data = {"riddles": dataset(place, "riddles", text=text, train=rows, validation=riddles(30, seed=1))}
    tasks = {"choice": {"data": "riddles", "kind": "multiple_choice", "options": options, "label": "answer"}}
    return load_config(raw_config(place, encoder, data=data, tasks=tasks), changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> tuple[Config, Any]:
    place = tmp_path_factory.mktemp("riddles")
    made = config(place, tiny_bert, riddles(160, holes=0.1), **{"training.epochs": 5})
    return made, train(made)


def test_a_planted_option_is_learned_and_what_is_scored_is_what_is_served(trained: tuple[Config, Any]) -> None:
    made, result = trained
    of = result.scores["choice"]
    assert of.metrics["accuracy"] > 0.9 > of.baseline["accuracy"]
    model = MultiTaskModel.from_pretrained(result.best, precision="fp32")
    rows = riddles(30, seed=1)
    answers: list[Any] = model.predict([{"text": row["text"], "options": row["options"]} for row in rows])
    right = [answer["choice"]["choice"] == row["answer"] for answer, row in zip(answers, rows, strict=True)]
    assert sum(right) / len(right) == of.metrics["accuracy"]
    assert [len(answer["choice"]["scores"]) for answer in answers] == [len(row["options"]) for row in rows]
    assert evaluate_directory(model, made, split="validation").scores["choice"].metrics == of.metrics


def test_a_table_has_the_choice_and_its_score(trained: tuple[Config, Any], tmp_path: Path) -> None:
    model = MultiTaskModel.from_pretrained(trained[1].best)
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in riddles(5, seed=2)))
    predict_file(model, source, tmp_path / "out.csv")
    header, first, *_ = (tmp_path / "out.csv").read_text().splitlines()
    assert header == "choice,choice_score"
    assert first.split(",")[0] in ("0", "1", "2", "3")


def test_a_single_text_is_no_choice(trained: tuple[Config, Any]) -> None:
    model = MultiTaskModel.from_pretrained(trained[1].best)
    with pytest.raises(DataError, match="task 'choice': 'options' is a single text; expected a list of options"):
        model.predict([{"text": "where", "options": "Berlin"}])


def test_options_without_context_and_options_in_columns_train(tmp_path: Path, tiny_bert: Path) -> None:
    short = {"training.epochs": None, "training.steps": 2}
    alone = train(config(tmp_path / "a", tiny_bert, riddles(20), text="options", **short))
    assert alone.scores["choice"].num_rows == 30
    rows = [{"text": row["text"], "answer": row["answer"]} | columns(row["options"]) for row in riddles(40)]
    data = {"riddles": dataset(tmp_path / "b", "riddles", text="text", train=rows, validation=rows[:9])}
    names = ["A", "B", "C", "D"]
    tasks = {"choice": {"data": "riddles", "kind": "multiple_choice", "options": names, "label": "answer"}}
    result = train(load_config(raw_config(tmp_path / "b", tiny_bert, data=data, tasks=tasks), short))
    model = MultiTaskModel.from_pretrained(result.best, precision="fp32")
    assert len(model.predict([{"text": "where", "A": "x", "B": "y"}])[0]["choice"]["scores"]) == 2  # type: ignore[call-overload]
    as_served = evaluate_directory(model, load_config(tmp_path / "b" / "run" / "config.yaml"), split="validation")
    assert as_served.scores["choice"].metrics == result.scores["choice"].metrics


def columns(options: Sequence[str]) -> dict[str, str | None]:
    return {name: options[n] if n < len(options) else None for n, name in enumerate("ABCD")}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"options": []}, r"riddles-train.jsonl, line 3.*the row has a label and no options"),
        ({"options": [], "answer": None}, r"riddles-train.jsonl, line 3.*: expected at least one text"),
        ({"options": ["x", None]}, r"riddles-train.jsonl, line 3.*None: expected a text"),
        ({"answer": 9}, r"task 'choice'.*riddles-train.jsonl, line 3.*label 9 is outside"),
    ],
)
def test_a_row_that_cannot_be_is_named(wrong: dict[str, Any], message: str, tmp_path: Path, tiny_bert: Path) -> None:
    rows = riddles(9)
    rows[2] |= wrong
    with pytest.raises(DataError, match=message):
        train(config(tmp_path, tiny_bert, rows))


def test_a_missing_column_of_options_is_named(tmp_path: Path, tiny_bert: Path) -> None:
    with pytest.raises(DataError, match=r"tasks.choice.*no 'option'; did you mean 'options'\?"):
        train(config(tmp_path, tiny_bert, riddles(9), options="option"))


def test_a_column_that_is_named_twice_is_refused(tmp_path: Path, tiny_bert: Path) -> None:
    with pytest.raises(ConfigError, match=r"tasks.choice.options: 'A' is named twice"):
        config(tmp_path, tiny_bert, riddles(9), options=["A", "B", "A"])
