"""The model that answers: which tasks, from what, in how many encoder passes, and what it refuses."""

import json
import logging
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sealing import seal

from mtl_transformers.errors import ConfigError, DataError, ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.inference.precision import has_fast_bf16
from mtl_transformers.runtime.answering import chunked

FULL = {
    "body": "refund my card in Berlin please",
    "first": "a parcel",
    "second": "the password",
    "tokens": ["from", "New", "York"],
}
BODY_TASKS = ["intent", "topics", "mood", "entities", "urgency", "brief", "twin"]
TEXTS = (
    "refund my card",
    "the parcel to Berlin has not arrived and I want it very much !",
    "password",
    "Zurich or Quito, order and app",
    "please my parcel of an order with a very long text that goes on and on and on and on and on until it is cut",
)


@contextmanager
def encoder_passes(model: MultiTaskModel) -> Iterator[list[int]]:
    """Yield a list that grows by the number of sequences of each pass."""
    passes: list[int] = []
    hook = model.network.encoder.register_forward_hook(lambda _, given, __: passes.append(len(given[0])))
    yield passes
    hook.remove()


def assert_same(one: Any, other: Any) -> None:
    """Compare predictions: names and labels exactly, numbers to 1e-5."""
    if isinstance(one, Mapping):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, float):
        assert one == pytest.approx(other, abs=1e-5)
    else:
        assert one == other


# which tasks


def test_a_row_with_all_columns_is_answered_by_every_task_in_order(model: MultiTaskModel) -> None:
    (answer,) = model.predict([FULL])
    assert list(answer) == list(model.tasks)


def test_labels_in_the_row_change_nothing(model: MultiTaskModel) -> None:
    labels = {"intent": "no such label", "topics": 7, "entities": None, "relation": []}
    assert model.predict([{**FULL, **labels}]) == model.predict([FULL])


def test_predictions_are_plain_json(model: MultiTaskModel) -> None:
    answers = model.predict([FULL, FULL], top_k=2)
    assert json.loads(json.dumps(answers)) == answers


def test_a_plain_text_stands_for_the_column_of_every_dataset_that_has_one(model: MultiTaskModel) -> None:
    (answer,) = model.predict(["refund in Berlin"])
    assert answer.keys() == model.tasks.keys() - {"relation"}
    same = model.predict([{"body": "refund in Berlin", "tokens": "refund in Berlin"}])
    assert_same([answer], same)


def test_tasks_whose_columns_are_not_given_are_named_once_in_the_log(
    model_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32")
    with caplog.at_level(logging.WARNING):
        first = fresh.predict([{"body": "refund"}])
        second = fresh.predict([{"body": "parcel"}])
    assert list(first[0]) == list(second[0]) == BODY_TASKS
    assert caplog.messages == ["not answered, because their columns are not given: relation, names"]


def test_named_tasks_are_answered_in_the_order_named(model: MultiTaskModel) -> None:
    (answer,) = model.predict([FULL], tasks=["names", "intent", "names"])
    assert list(answer) == ["names", "intent"]
    (alone,) = model.predict([FULL])
    assert_same(answer, {name: alone[name] for name in answer})


def test_a_named_task_whose_columns_are_missing_is_an_error(model: MultiTaskModel) -> None:
    with pytest.raises(DataError, match=r"task 'relation' reads 'first', 'second'; the rows have 'body'$"):
        model.predict([{"body": "refund"}], tasks=["intent", "relation"])


def test_a_text_is_no_pair(model: MultiTaskModel) -> None:
    with pytest.raises(DataError, match=r"task 'relation' reads .*; a plain text stands for one column"):
        model.predict(["refund"], tasks=["relation"])


def test_rows_that_no_task_reads_are_an_error_that_says_what_the_tasks_read(model: MultiTaskModel) -> None:
    with pytest.raises(DataError, match=r"no task can be answered: the rows have 'text'; intent reads 'body'; .*"):
        model.predict([{"text": "refund"}])


def test_an_unknown_task_is_an_error_with_the_nearest(model: MultiTaskModel) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown task 'intend'; the model answers intent, .*; did you mean 'intent'"
    ):
        model.predict([], tasks=["intend"])


def test_the_name_of_a_task_is_no_list_of_names(model: MultiTaskModel) -> None:
    with pytest.raises(ConfigError, match="put 'intent' into a list"):
        model.predict(["refund"], tasks="intent")


def test_which_tasks_are_answered_does_not_depend_on_the_order_of_rows(model: MultiTaskModel) -> None:
    rows = [{"body": "refund"}, {"body": "parcel", "tokens": ["a"]}]
    for given, number in ((rows, 1), (rows[::-1], 2)):
        with pytest.raises(DataError, match=rf"^row {number}, 'tokens': no column 'tokens'; it has 'body'$"):
            model.predict(given)


# rows


def test_no_rows_give_no_answers(model: MultiTaskModel) -> None:
    assert model.predict([]) == []
    assert model.predict([], tasks=["intent"]) == []


def test_answers_come_in_the_order_of_the_rows_and_ignore_their_neighbours(model: MultiTaskModel) -> None:
    rows = [*TEXTS, *TEXTS[::-1]]
    together = model.predict(rows)
    alone = [model.predict([row])[0] for row in rows]
    assert_same(together, alone)
    order = random.Random(0).sample(range(len(rows)), len(rows))
    assert_same(model.predict([rows[n] for n in order]), [alone[n] for n in order])
    with pytest.raises(AssertionError):  # the rows do differ
        assert_same(alone[0], alone[1])


def test_the_size_of_a_forward_pass_changes_no_answer(model_dir: Path, model: MultiTaskModel) -> None:
    small = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32", max_tokens=16)
    with encoder_passes(small) as passes:
        answers = small.predict(TEXTS)
    assert len(passes) > 2
    assert_same(answers, model.predict(TEXTS))


def test_a_stream_of_chunks_is_answered_like_a_list(model: MultiTaskModel) -> None:
    chunks = list(model.predict_chunks(chunked(TEXTS, 2)))
    assert [len(chunk) for chunk in chunks] == [2, 2, 1]
    assert_same([answer for chunk in chunks for answer in chunk], model.predict(TEXTS))


def test_the_first_chunk_decides_which_tasks_a_stream_is_answered_for(model: MultiTaskModel) -> None:
    chunks = [[{"body": "refund"}], [{"body": "parcel", "tokens": ["a"]}]]
    assert [list(answer) for (answer,) in model.predict_chunks(chunks)] == [BODY_TASKS, BODY_TASKS]


def test_an_error_counts_rows_from_the_start_of_a_stream(model: MultiTaskModel) -> None:
    with pytest.raises(DataError, match=r"^row 3, 'body': ''"):
        list(model.predict_chunks([[{"body": "a"}, {"body": "b"}], [{"body": ""}]]))


@pytest.mark.parametrize("empty", [None, "", " \n", 7, [], ["a", None], "half \ud83d"])
def test_a_row_without_text_is_an_error_that_names_it(model: MultiTaskModel, empty: Any) -> None:
    with pytest.raises(DataError, match=r"^row 2, 'body': "):
        model.predict([{"body": "refund"}, {"body": empty}])


@pytest.mark.parametrize("rows", ["refund", {"body": "refund"}, [b"refund"], [["refund"]], ["refund", {"body": "a"}]])
def test_what_is_no_list_of_rows_is_refused(model: MultiTaskModel, rows: Any) -> None:
    with pytest.raises(DataError, match=r"list|expected a text or a mapping|in one form"):
        model.predict(rows)


def test_a_text_that_yields_no_token_is_answered(model: MultiTaskModel) -> None:
    (answer,) = model.predict(["\u200b"])
    assert answer["names"] == []
    assert isinstance(answer["intent"], dict)


# text and words


def test_raw_text_for_a_task_trained_on_words_is_split_as_the_tokenizer_splits(model: MultiTaskModel) -> None:
    text = "Hi,  New York!"
    (answer,) = model.predict([text], tasks=["names"])
    assert [(span["text"], span["start"], span["end"]) for span in answer["names"]] == [
        ("Hi", 0, 2),
        (",", 2, 3),
        ("New", 5, 8),
        ("York", 9, 13),
        ("!", 13, 14),
    ]
    assert all("word_start" not in span for span in answer["names"])


def test_words_keep_their_places_and_offsets_count_in_the_words_joined_by_one_space(model: MultiTaskModel) -> None:
    words = ["Hi,", "", "New York"]
    (answer,) = model.predict([{"tokens": words}], tasks=["names"])
    places = [
        (span["text"], span["start"], span["end"], span["word_start"], span["word_end"]) for span in answer["names"]
    ]
    assert places == [("Hi,", 0, 3, 0, 1), ("New York", 5, 13, 2, 3)]
    assert " ".join(words)[5:13] == "New York"


def test_words_are_answered_by_tasks_that_were_trained_on_text(model: MultiTaskModel) -> None:
    words = ["refund", "my", "card"]
    (given,) = model.predict([{"body": words}], tasks=["intent", "entities"])
    (text,) = model.predict([{"body": " ".join(words)}], tasks=["intent", "entities"])
    assert_same(given["intent"], text["intent"])
    assert [(span["start"], span["end"]) for span in given["entities"]] == [
        (span["start"], span["end"]) for span in text["entities"]
    ]
    assert all("word_start" in span for span in given["entities"])


def test_texts_and_words_may_be_mixed(model: MultiTaskModel) -> None:
    rows: list[Mapping[str, Any]] = [{"tokens": "Hi, you"}, {"tokens": ["Hi,", "you"]}, {"tokens": "you"}]
    together = model.predict(rows, tasks=["names"])
    assert_same(together, [model.predict([row], tasks=["names"])[0] for row in rows])
    assert [len(answer["names"]) for answer in together] == [3, 2, 1]


def test_both_texts_of_a_pair_count(model: MultiTaskModel) -> None:
    rows = [
        {"first": "refund", "second": "parcel"},
        {"first": "refund", "second": "password"},
        {"first": "parcel", "second": "refund"},
    ]
    scores = {answer["relation"]["scores"]["same"] for answer in model.predict(rows, tasks=["relation"], top_k=2)}  # type: ignore[call-overload]
    assert len(scores) == 3


# truncation


def test_long_texts_are_cut_and_counted_once_for_each_input(
    model: MultiTaskModel, caplog: pytest.LogCaptureFixture
) -> None:
    short, middle, long = "refund", "my card is of an order with you", "word " * 50
    with caplog.at_level(logging.WARNING):
        model.predict([short, middle, long], tasks=["intent", "brief", "entities"])
    assert caplog.messages == [
        "1 of 3 texts were too long and lost their ends (intent, entities)",
        "2 of 3 texts were too long and lost their ends (brief)",
    ]


def test_the_count_of_cut_texts_is_over_the_whole_stream(
    model: MultiTaskModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        list(model.predict_chunks(chunked(["word " * 50, "word", "word " * 60], 1), tasks=["intent"]))
    assert caplog.messages == ["2 of 3 texts were too long and lost their ends (intent)"]


def test_what_lies_behind_the_cut_changes_nothing(model: MultiTaskModel) -> None:
    start = "my card " * 20
    cut, longer = model.predict([start, start + "Berlin refund parcel"], tasks=["intent", "names"])
    assert_same(cut, longer)


# encoder passes


def test_tasks_with_an_equal_input_share_one_encoder_pass(model: MultiTaskModel) -> None:
    with encoder_passes(model) as passes:
        model.predict([FULL], tasks=["intent", "topics", "mood", "entities", "urgency", "twin"])
    assert passes == [1]


def test_each_other_input_is_another_sequence_of_the_pass(model: MultiTaskModel) -> None:
    with encoder_passes(model) as passes:
        model.predict([FULL, FULL])
    assert passes == [8]  # of each row: body, the pair, the words, and eight tokens of body


def test_a_text_given_for_several_columns_is_encoded_once_for_each_length(model: MultiTaskModel) -> None:
    with encoder_passes(model) as passes:
        model.predict(["refund my card"])
    assert passes == [2]


def test_each_head_reads_the_rows_that_ask_for_it_and_no_others(model: MultiTaskModel) -> None:
    rows = model.answering.ask(["refund my card", "the parcel to Berlin"], ["intent", "topics"])
    one, other = (row.questions[0] for row in rows)
    with encoder_passes(model) as passes:
        apart = model.answering.run([replace(one, tasks=("intent",)), replace(other, tasks=("topics",))])
    assert passes == [2]
    assert [list(of_row) for of_row in apart] == [["intent"], ["topics"]]
    together = model.answering.run([one, other])
    np.testing.assert_allclose(apart[0]["intent"], together[0]["intent"], atol=1e-5)
    np.testing.assert_allclose(apart[1]["topics"], together[1]["topics"], atol=1e-5)


# rows that cannot be read


BAD_ROWS = {
    "null": None,
    "a number": 3,
    "an empty text": "",
    "half a surrogate pair": "a\ud800",
    "bytes": b"refund",
}


@pytest.mark.parametrize("bad", BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_a_row_that_cannot_be_read_has_a_message_and_does_not_change_its_neighbours(
    model: MultiTaskModel, bad: Any
) -> None:
    rows = ["refund my card", bad, "the parcel to Berlin"]
    first, kept, last = model.predict(rows, tasks=["intent", "entities"], errors="keep")
    assert list(kept) == ["error"]
    assert_same([first, last], model.predict([rows[0], rows[2]], tasks=["intent", "entities"]))
    with pytest.raises(DataError, match="row 2"):
        model.predict(rows, tasks=["intent", "entities"])


def test_rows_that_all_cannot_be_read_are_messages(model: MultiTaskModel) -> None:
    kept = model.predict([{"body": None}, {"body": 1}], tasks=["intent"], errors="keep")
    assert [list(of_row) for of_row in kept] == [["error"], ["error"]]
    assert kept[0]["error"] == "'body': None: expected a text that is not empty"


# threads


def test_threads_that_share_a_model_get_the_answers_of_one(model: MultiTaskModel) -> None:
    rng = random.Random(0)
    texts = [" ".join(rng.choices(TEXTS, k=rng.randint(1, 4))) for _ in range(40)]
    tasks = [["intent"], ["brief", "entities"], ["urgency"]]  # of several lengths and forms
    expected = [[model.predict([text], tasks=of)[0] for text in texts] for of in tasks]

    def ask(number: int) -> tuple[int, int, Any]:
        which, place = number % len(tasks), number % len(texts)
        return which, place, model.predict([texts[place]], tasks=tasks[which])[0]

    with ThreadPoolExecutor(8) as pool:
        for which, place, found in pool.map(ask, range(240)):
            assert_same(found, expected[which][place])


def test_a_warm_model_answers_as_a_cold_one(model_dir: Path) -> None:
    cold, warm = (MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp32") for _ in range(2))
    with encoder_passes(warm) as passes:
        warm.warm_up()
    assert sum(passes) >= 2 * len(warm.tasks)
    assert_same(warm.predict([FULL]), cold.predict([FULL]))


# options


def test_top_k_adds_the_probabilities_of_the_k_best_labels(model: MultiTaskModel) -> None:
    (two,) = model.predict(["refund"], tasks=["intent"], top_k=2)
    (every,) = model.predict(["refund"], tasks=["intent"], top_k=9)
    assert isinstance(two["intent"], dict)
    assert isinstance(every["intent"], dict)
    assert len(two["intent"]["scores"]) == 2
    assert next(iter(two["intent"]["scores"])) == two["intent"]["label"]
    assert every["intent"]["scores"].keys() == {"billing", "delivery", "account"}
    assert sum(every["intent"]["scores"].values()) == pytest.approx(1.0)
    assert "scores" not in model.predict(["refund"], tasks=["intent"])[0]["intent"]


def test_top_k_below_one_is_refused(model: MultiTaskModel) -> None:
    with pytest.raises(ConfigError, match="top_k 0: expected 1 or more"):
        model.predict(["refund"], top_k=0)


def test_a_precision_that_is_asked_for_is_used(model_dir: Path, model: MultiTaskModel) -> None:
    low = MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="bf16")
    exact, rounded = (of.predict(["refund my card"], tasks=["urgency"])[0]["urgency"]["value"] for of in (model, low))
    assert exact != rounded
    assert exact == pytest.approx(rounded, rel=0.1)


@pytest.mark.parametrize("stored", ["fp32", "bf16", "fp16"])
def test_the_stored_precision_is_used_where_the_device_has_it(model_dir: Path, tmp_path: Path, stored: str) -> None:
    path = edited(model_dir, tmp_path, lambda tasks: tasks.update(precision=stored))
    here = {"fp32": "fp32", "fp16": "fp32", "bf16": "bf16" if has_fast_bf16(torch.device("cpu")) else "fp32"}
    assert MultiTaskModel.from_pretrained(path, device="cpu").precision == here[stored]


def test_a_precision_or_device_that_cannot_be_had_is_refused(model_dir: Path) -> None:
    with pytest.raises(ConfigError, match="precision fp16 needs a GPU"):
        MultiTaskModel.from_pretrained(model_dir, device="cpu", precision="fp16")
    with pytest.raises(ConfigError, match=r"device 'gpu' cannot be used: .* Expected cpu, cuda or cuda:<n>"):
        MultiTaskModel.from_pretrained(model_dir, device="gpu")


# the directory


def edited(model_dir: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """Return a copy of a model directory with another tasks.json."""
    path = shutil.copytree(model_dir, tmp_path / "copy")
    tasks = json.loads((path / "tasks.json").read_text(encoding="utf-8"))
    edit(tasks)
    (path / "tasks.json").write_text(json.dumps(tasks), encoding="utf-8")
    return seal(path)


def entry(task: str, *keys: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Return an edit of one value of a task's entry."""

    def edit(tasks: dict[str, Any]) -> None:
        place = tasks["tasks"][task]
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value

    return edit


def without(task: str, key: str) -> Callable[[dict[str, Any]], object]:
    return lambda tasks: tasks["tasks"][task].pop(key)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (entry("intent", "labels", value=["a", "b"]), "it has 2 outputs, its head has 3"),
        (entry("intent", "head", "out_features", value=2), "it has 3 outputs, its head has 2"),
        (entry("intent", "head", "activation", value="no such"), "the key 'no such' is missing or its value unknown"),
        (entry("intent", "head", "in_features", value=-1), "its head reads -1 features, the encoder gives 32"),
        (entry("intent", "head", value={}), "must have exactly the keys"),
        (entry("intent", "name", value="other"), "its entry is that of 'other'"),
        (entry("intent", "kind", value="clasification"), "is of kind 'clasification'"),
        (entry("intent", "labels", value=None), "malformed"),
        (entry("intent", "colour", value="red"), "'colour'"),
        (entry("intent", "options", "colour", value="red"), "colour"),
        (entry("intent", "input", value=None), "malformed"),
        (entry("intent", "input", "form", value="windows"), "form: 'windows' is not of the type"),
        (entry("entities", "input", "form", value="pair"), "cannot read the form 'pair'"),
        (entry("intent", "input", "columns", value=["a", "b"]), "does not read the columns"),
        (entry("intent", "input", "columns", value="body"), "does not read the columns"),
        (entry("intent", "input", "max_length", value=65), "max_length 65 does not lie between 1 and the encoder's 64"),
        (entry("intent", "input", "max_length", value="long"), "malformed"),
        (entry("entities", "head", "vectors", value="sequence"), "reads a token, its head reads a sequence"),
        (without("intent", "input"), "the key 'input' is missing"),
        (without("intent", "rows_seen"), "the key 'rows_seen' is missing"),
        (without("intent", "labels"), "'labels'"),
    ],
)
def test_an_entry_that_is_malformed_or_does_not_fit_its_head_is_refused(
    model_dir: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        MultiTaskModel.from_pretrained(edited(model_dir, tmp_path, edit), device="cpu")
    assert "tasks.json: task '" in str(caught.value)


def test_an_unknown_precision_is_refused(model_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="precision 'int3' is unknown"):
        MultiTaskModel.from_pretrained(edited(model_dir, tmp_path, lambda tasks: tasks.update(precision="int3")))


def test_what_was_saved_is_what_is_loaded(model_dir: Path, model: MultiTaskModel) -> None:
    stored = json.loads((model_dir / "tasks.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(model.tasks_json())) == stored


def test_a_task_is_served_by_its_name_not_by_its_place(model_dir: Path, tmp_path: Path, model: MultiTaskModel) -> None:
    def reverse(tasks: dict[str, Any]) -> None:
        tasks["tasks"] = dict(reversed(tasks["tasks"].items()))

    turned = MultiTaskModel.from_pretrained(edited(model_dir, tmp_path, reverse), device="cpu", precision="fp32")
    assert list(turned.tasks) == list(model.tasks)[::-1]
    rows: Sequence[Mapping[str, Any]] = [FULL]
    assert_same(turned.predict(rows, tasks=list(model.tasks)), model.predict(rows))
