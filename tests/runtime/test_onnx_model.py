"""The graph answers as the model that it was made of: each kind, form and length, alone and beside others."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from answers import assert_same
from every_kind import ROWS, TASKS

from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.runtime import OnnxModel

ROUNDING = 1e-4


@pytest.mark.parametrize("task", TASKS)
def test_each_kind_answers_as_torch_does(torch_model: MultiTaskModel, onnx_model: OnnxModel, task: str) -> None:
    expected = torch_model.predict(list(ROWS), tasks=[task], top_k=3)
    assert_same(expected, onnx_model.predict(list(ROWS), tasks=[task], top_k=3), rounding=ROUNDING)
    assert expected[0] != expected[1]  # an answer that does not depend on the row proves nothing


def test_all_tasks_at_once_answer_as_each_alone(onnx_model: OnnxModel) -> None:
    together = onnx_model.predict(list(ROWS))
    assert list(together[0]) == list(TASKS)
    for name in TASKS:
        alone = onnx_model.predict(list(ROWS), tasks=[name])
        assert_same(alone, [{name: of_row[name]} for of_row in together], rounding=ROUNDING)


def test_plain_texts_words_and_pairs_are_read_in_each_form(torch_model: MultiTaskModel, onnx_model: OnnxModel) -> None:
    given: list[tuple[list[Any], list[str]]] = [
        (["Refund <b>MY card</b> in Berlin 🎉"], ["intent", "entities", "tags"]),
        ([{"tokens": ["from", "New", "York"]}], ["tags"]),
        ([{"body": ["refund", "it"]}], ["entities"]),
        ([{"query": "where", "candidate": "Quito and the"}], ["order"]),
    ]
    for rows, tasks in given:
        expected = torch_model.predict(rows, tasks=tasks)
        assert_same(expected, onnx_model.predict(rows, tasks=tasks), rounding=ROUNDING)


def test_cleaning_and_the_way_back_travel_with_the_graph(onnx_model: OnnxModel) -> None:
    shouted = onnx_model.predict(["<p>REFUND my CARD in BERLIN</p>"], tasks=["intent", "entities"])[0]
    quiet = onnx_model.predict(["refund my card in berlin"], tasks=["intent", "entities"])[0]
    assert_same(shouted["intent"], quiet["intent"])
    assert isinstance(shouted["entities"], list)
    assert isinstance(quiet["entities"], list)
    assert shouted["entities"]
    for there, here in zip(shouted["entities"], quiet["entities"], strict=True):
        assert there["start"] == here["start"] + len("<p>")
        assert there["text"] != there["text"].lower() == here["text"]


def test_the_size_of_a_pass_changes_no_answer(graph_dir: Any, onnx_model: OnnxModel) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(["refund", "card", "Berlin", "!"], k=rng.randint(1, 40))) for _ in range(30)]
    small = OnnxModel.from_pretrained(graph_dir, max_tokens=1, num_threads=1)
    assert_same(onnx_model.predict(texts), small.predict(texts), rounding=ROUNDING)


def test_threads_that_share_a_graph_get_the_answers_of_one(onnx_model: OnnxModel) -> None:
    texts = [" ".join(["refund", "card", "Berlin"][: 1 + n % 3] * (1 + n % 7)) for n in range(21)]
    expected = [onnx_model.predict([text], tasks=["intent", "entities"])[0] for text in texts]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda n: onnx_model.predict([texts[n % 21]], tasks=["intent", "entities"])[0], range(210))
        for number, answer in enumerate(found):
            assert_same(answer, expected[number % 21])


def test_bad_rows_and_names_are_told_as_by_torch(onnx_model: OnnxModel, torch_model: MultiTaskModel) -> None:
    cases: list[tuple[list[Any], dict[str, Any], type[Exception]]] = [
        (["refund", ""], {"tasks": ["intent"]}, DataError),
        (["refund"], {"tasks": ["intnet"]}, ConfigError),
        (["refund"], {"top_k": 0}, ConfigError),
        ([{"bdy": "refund"}], {}, DataError),
        ([{"query": "a", "candidate": 3}], {"tasks": ["order"]}, DataError),
    ]
    for rows, options, kind in cases:
        with pytest.raises(kind) as ours:
            onnx_model.predict(rows, **options)
        with pytest.raises(kind) as theirs:
            torch_model.predict(rows, **options)
        assert str(ours.value) == str(theirs.value)
    kept = onnx_model.predict(["refund", "", "card"], tasks=["intent"], errors="keep")
    assert [list(of_row) for of_row in kept] == [["intent"], ["error"], ["intent"]]


def test_a_warm_graph_answers_as_a_cold_one(graph_dir: Any, onnx_model: OnnxModel) -> None:
    warm = OnnxModel.from_pretrained(graph_dir)
    warm.warm_up()
    assert_same(warm.predict(list(ROWS)), onnx_model.predict(list(ROWS)))
