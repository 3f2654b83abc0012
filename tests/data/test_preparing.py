import json
import logging
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from tiny import tiny_tokenizer
from tokenizers import Tokenizer

from mtl_transformers.data.caching import values_key
from mtl_transformers.data.encoded import EncodedSplit, encode_split
from mtl_transformers.data.origins import Origin, numbered, without_numbers
from mtl_transformers.data.preparing import Tables, check_columns, fit_task, load_tables
from mtl_transformers.data.spec import (
    ColumnSplit,
    DatasetSpec,
    Filters,
    GroupSplit,
    HashSplit,
    Source,
    StratifiedSplit,
    TimeSplit,
)
from mtl_transformers.errors import DataError
from mtl_transformers.model.tokenizer import text_backend, words_backend
from mtl_transformers.tasks.kinds import KINDS
from mtl_transformers.tasks.task import Task
from mtl_transformers.text.encoding import TextEncoder
from mtl_transformers.text.inputs import Encoding

CLASS = datasets.ClassLabel(names=["neg", "pos"])
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def backend(form: str) -> Tokenizer:
    return (words_backend if form == "words" else text_backend)(tiny_tokenizer("bert"))


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def spec(path: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]], **settings: Any) -> DatasetSpec:
    path.mkdir(exist_ok=True)
    files = {split: write(path / f"{split}.jsonl", of_split) for split, of_split in rows.items()}
    return DatasetSpec(Source("toy", "json", files=files), **{"text": ("text",), **settings})


def tables_of(splits: Mapping[str, Mapping[str, list[Any]]], *, features: Any = None, **settings: Any) -> Tables:
    """Tables of rows in memory."""
    made = {split: datasets.Dataset.from_dict(rows, features=features) for split, rows in splits.items()}
    form = settings.pop("form", "text")
    source = Source("toy", "memory")
    origin = Origin(source, {}, {split: len(table) for split, table in made.items()})
    places = {split: without_numbers(table, origin)[1] for split, table in numbered(made).items()}
    return Tables(DatasetSpec(source, **{"text": ("text",), **settings}), made, places, form=form)


def fit(tables: Tables, kind: str = "classification", *, name: str = "intent", **options: Any) -> Task:
    return fit_task(
        tables, KINDS[kind], name=name, options=KINDS[kind].options_type(**{"label": "label", **options}), metrics=()
    )


def encode(
    tables: Tables, split: str, tasks: Mapping[str, Task], *, max_length: int = 16, **given: Any
) -> EncodedSplit:
    encoder = given.get("encoder") or TextEncoder(backend(tables.form), max_length=max_length, uses_token_types=True)
    inputs = {
        name: type(task).input_of(task.options, text=tables.spec.text, form=tables.form, max_length=max_length)
        for name, task in tasks.items()
    }
    encoding = Encoding(encoder, given.get("encoder_key", "k"))
    return encode_split(tables, split, tasks, inputs, encoding=lambda _: encoding)


class Poisoned(TextEncoder):
    """An encoder that must not be asked."""

    def encode(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("encoded again")


def poisoned(max_length: int = 16) -> TextEncoder:
    return Poisoned(backend("text"), max_length=max_length, uses_token_types=True)


def texts(count: int) -> list[dict[str, Any]]:
    return [{"text": f"text {n}", "label": n % 2} for n in range(count)]


# ---- loading


def test_a_tenth_of_train_becomes_validation_where_there_is_none(tmp_path: Path) -> None:
    tables = load_tables(spec(tmp_path, {"train": texts(500)}), seed=0)
    assert {split: len(table) for split, table in tables.splits.items()}.keys() == {"train", "validation"}
    assert len(tables.splits["train"]) + len(tables.splits["validation"]) == 500
    assert 30 <= len(tables.splits["validation"]) <= 70
    assert not set(tables.splits["train"]["text"]) & set(tables.splits["validation"]["text"])


def test_a_given_validation_split_is_left_alone(tmp_path: Path) -> None:
    tables = load_tables(spec(tmp_path, {"train": texts(20), "validation": texts(5)}), seed=0)
    assert [len(tables.splits[split]) for split in ("train", "validation")] == [20, 5]


def test_splits_that_the_spec_asks_for_are_all_that_is_made(tmp_path: Path) -> None:
    tables = load_tables(spec(tmp_path, {"train": texts(200)}, split=HashSplit({"test": 0.2})), seed=0)
    assert list(tables.splits) == ["train", "test"]


def test_a_column_that_names_no_validation_rows_leaves_the_default(tmp_path: Path) -> None:
    rows = [{**row, "part": "test" if n < 50 else "train"} for n, row in enumerate(texts(300))]
    tables = load_tables(spec(tmp_path, {"train": rows}, split=ColumnSplit("part", {})), seed=0)
    assert list(tables.splits) == ["train", "validation", "test"]
    assert len(tables.splits["test"]) == 50


@pytest.mark.parametrize(
    ("split", "validation"),
    [
        (StratifiedSplit({"validation": 0.2}, "label"), {"label": [0] * 10 + [1] * 10}),
        (TimeSplit({"validation": 0.2}, "at"), {"at": list(range(80, 100))}),
    ],
)
def test_a_column_can_say_how_train_is_split(tmp_path: Path, split: Any, validation: dict[str, list[int]]) -> None:
    rows = [{**row, "at": n} for n, row in enumerate(texts(100))]
    tables = load_tables(spec(tmp_path, {"train": rows}, split=split), seed=0)
    assert list(tables.splits) == ["train", "validation"]
    for column, values in validation.items():
        assert sorted(tables.splits["validation"][column]) == values


def test_a_group_is_on_one_side(tmp_path: Path) -> None:
    rows = [{**row, "user": f"u{n % 10}"} for n, row in enumerate(texts(100))]
    tables = load_tables(spec(tmp_path, {"train": rows}, split=GroupSplit({"validation": 0.4}, "user")), seed=0)
    sides = [set(tables.splits[split]["user"]) for split in ("train", "validation")]
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 10


def test_every_filter_counts_what_it_took_and_places_stay_right(tmp_path: Path) -> None:
    rows = [
        {"text": text, "label": label} for text, label in (("a b", 0), ("A b!", 0), ("c", 0), ("d e", 0), ("d e", 1))
    ]
    filters = Filters(min_words=2, drop_conflicts=True, drop_duplicates=True)
    given = {"train": [*rows, {"text": "f g", "label": 1}], "validation": rows}
    tables = load_tables(spec(tmp_path, given, filters=filters, labels=("label",)), seed=0)
    assert list(tables.splits["train"]["text"]) == ["a b", "f g"]
    assert tables.places["train"].of([1])[0].endswith("train.jsonl, line 6")
    assert tables.num_dropped == {
        "train": {"min_words": 1, "drop_conflicts": 2, "drop_duplicates": 1},
        "validation": {"min_words": 1, "drop_duplicates": 1},
    }


def test_rows_are_shuffled_before_the_limit(tmp_path: Path) -> None:
    files = {"train": texts(200), "validation": texts(5)}
    first = load_tables(spec(tmp_path, files, limit={"train": 20}), seed=0)
    shuffled = load_tables(spec(tmp_path, files, limit={"train": 20}, shuffle=True), seed=0)
    assert list(first.splits["train"]["text"]) == [f"text {n}" for n in range(20)]
    numbers = [int(text.split()[1]) for text in shuffled.splits["train"]["text"]]
    assert len(set(numbers)) == 20
    assert max(numbers) > 20
    again = load_tables(spec(tmp_path, files, limit={"train": 20}, shuffle=True), seed=0)
    assert list(again.splits["train"]["text"]) == list(shuffled.splits["train"]["text"])


def test_empty_rows_are_filtered_after_the_limit(tmp_path: Path) -> None:
    rows = [{"text": "" if n < 3 else f"text {n}", "label": 0} for n in range(10)]
    tables = load_tables(
        spec(tmp_path, {"train": rows, "validation": texts(2)}, limit={"train": 5}, filters=Filters(drop_empty=True)),
        seed=0,
    )
    assert list(tables.splits["train"]["text"]) == ["text 3", "text 4"]
    assert tables.num_dropped == {"train": {"drop_empty": 3}, "validation": {"drop_empty": 0}}


def test_an_empty_text_is_refused_unless_it_is_behind_the_limit(tmp_path: Path) -> None:
    rows = {"train": [*texts(5), {"text": None, "label": 0}], "validation": texts(2)}
    with pytest.raises(
        DataError, match=r"dataset 'toy', split 'train', .*train.jsonl, line 6, column 'text'.*drop_empty"
    ):
        load_tables(spec(tmp_path, rows), seed=0)
    assert len(load_tables(spec(tmp_path, rows, limit={"train": 5}), seed=0).splits["train"]) == 5


def test_a_limit_of_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.toy\.limit\.test: the dataset has no test split"):
        load_tables(spec(tmp_path, {"train": texts(30)}, limit={"test": 5}), seed=0)


def test_shuffled_rows_are_stored_one_after_another_and_only_once(tmp_path: Path, datasets_cache: Path) -> None:
    """`datasets` gathers the rows of a shuffled table one by one at every reading."""
    given = spec(tmp_path / "data", {"train": texts(50), "validation": texts(5)}, shuffle=True)
    table = load_tables(given, seed=3).splits["train"]
    assert table.data.column("text").to_pylist() == list(table["text"])
    written = {file: file.stat().st_mtime_ns for file in (datasets_cache / "mtl_transformers").iterdir()}
    assert load_tables(given, seed=3).splits["train"][:] == table[:]
    assert {file: file.stat().st_mtime_ns for file in (datasets_cache / "mtl_transformers").iterdir()} == written
    assert load_tables(given, seed=4).splits["train"][:] != table[:]
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"train.jsonl", "validation.jsonl"}


@pytest.mark.parametrize(
    ("row", "columns", "form"),
    [
        ({"text": "a"}, ("text",), "text"),
        ({"text": ["a", "b"]}, ("text",), "words"),
        ({"one": "a", "two": "b"}, ("one", "two"), "pair"),
    ],
)
def test_the_form_is_told_by_the_columns(
    tmp_path: Path, row: dict[str, Any], columns: tuple[str, ...], form: str
) -> None:
    given = spec(tmp_path, {"train": [row, row], "validation": [row]}, text=columns)
    assert load_tables(given, seed=0).form == form


def test_a_pair_of_words_and_splits_of_unequal_form_are_refused(tmp_path: Path) -> None:
    words, text = [{"a": ["x"], "b": "y"}], [{"a": "x", "b": "y"}]
    with pytest.raises(DataError, match="a pair needs two columns of text"):
        load_tables(spec(tmp_path / "1", {"train": words, "validation": words}, text=("a", "b")), seed=0)
    made = {name: datasets.Dataset.from_list(rows) for name, rows in (("train", text), ("validation", words))}
    datasets.DatasetDict({"train": made["train"]}).save_to_disk(tmp_path / "2")
    datasets.DatasetDict({"train": made["train"], "validation": made["validation"]}).save_to_disk(tmp_path / "3")
    with pytest.raises(DataError, match="the splits disagree: text and words"):
        load_tables(DatasetSpec(Source("toy", str(tmp_path / "3")), text=("a",)), seed=0)


# ---- columns and fitting


def test_a_missing_label_column_is_named_with_the_nearest() -> None:
    tables = tables_of({"train": {"text": ["a"], "lable": [1]}})
    with pytest.raises(
        DataError, match=r"tasks\.intent: dataset 'toy', split 'train'.*no 'label'; did you mean 'lable'"
    ):
        fit(tables)


def test_a_column_must_be_in_every_split() -> None:
    tables = tables_of({"train": {"text": ["a"], "id": [1]}, "test": {"text": ["a"]}})
    with pytest.raises(DataError, match=r"data\.toy\.id: dataset 'toy', split 'test' has the columns text and no 'id'"):
        check_columns(tables, ["id"], needed_by="data.toy.id")


def test_tags_of_a_pair_are_refused() -> None:
    tables = tables_of({"train": {"a": ["x"], "b": ["y"], "label": [["O"]]}}, text=("a", "b"), form="pair")
    with pytest.raises(DataError, match=r"token_classification reads text or words; data.toy.text is a pair"):
        fit(tables, "token_classification")


def test_fitting_needs_a_train_split() -> None:
    with pytest.raises(DataError, match="no train split; the dataset has test"):
        fit(tables_of({"test": {"text": ["a"], "label": [1]}}))


def test_a_class_label_gives_the_order_and_its_minus_1_is_null() -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": CLASS})
    tables = tables_of({"train": {"text": list("abcd"), "label": [1, 0, -1, 1]}}, features=features)
    task = fit(tables)
    assert task.label_counts == {"neg": 1, "pos": 2}
    split = encode(tables, "train", {"intent": task})
    assert split.labels_of([0, 1, 2]) == {"intent": [1, 0, 1]}
    assert (split.num_labelled, split.num_unlabelled) == ({"intent": 3}, 1)


def test_another_order_of_classes_in_another_split_is_mapped_by_name() -> None:
    train = tables_of(
        {"train": {"text": ["a", "b"], "label": [0, 1]}},
        features=datasets.Features({"text": datasets.Value("string"), "label": CLASS}),
    )
    swapped = tables_of(
        {"test": {"text": ["a", "b"], "label": [0, 1]}},
        features=datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["pos", "neg"])}
        ),
    )
    tasks = {"intent": fit(train)}
    assert encode(train, "train", tasks).labels_of([0, 1]) == {"intent": [0, 1]}
    assert encode(swapped, "test", tasks).labels_of([0, 1]) == {"intent": [1, 0]}  # equal texts and ids, not one cache


def test_lists_of_classes_are_read_by_name() -> None:
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.List(CLASS)})
    tables = tables_of({"train": {"text": list("abc"), "label": [[1], [0, 1], []]}}, features=features)
    task = fit(tables, "multi_label")
    assert task.output_names == ("neg", "pos")
    assert encode(tables, "train", {"intent": task}).labels_of([0, 1, 2]) == {"intent": [[0, 1], [1, 1], [0, 0]]}


def test_an_error_of_fitting_names_task_dataset_split_row_and_text() -> None:
    tables = tables_of({"train": {"text": ["fine", "broken"], "label": [1.0, 0.5]}})
    with pytest.raises(
        DataError, match=r"^task 'intent', dataset 'toy', split 'train', memory, .*row 2 \('broken'\): label 0.5"
    ):
        fit(tables)


def test_an_error_of_the_whole_split_names_no_row() -> None:
    with pytest.raises(DataError, match=r"^task 'intent', dataset 'toy', split 'train': every label is null"):
        fit(tables_of({"train": {"text": ["a", "b"], "label": [None, None]}}))


def test_an_unknown_label_names_its_row_both_sets_and_the_nearest() -> None:
    count = 1500  # more than one batch
    names = ["card", "login"] * (count // 2)
    test = [*names[:1200], "lojin", "lojin", "other", *names[1203:]]
    tables = tables_of(
        {
            "train": {"text": [f"text {n}" for n in range(count)], "label": names},
            "test": {"text": [f"text {n}" for n in range(count)], "label": test},
        }
    )
    task = fit(tables)
    with pytest.raises(DataError) as caught:
        encode(tables, "test", {"intent": task})
    assert str(caught.value) == (
        "task 'intent', dataset 'toy', split 'test', memory, test, row 1201 ('text 1200'): label 'lojin' is not among "
        "the 2 training labels ('card', 'login'); did you mean 'login'? Fix the data, or set unknown_label: ignore "
        "(unknown labels of this split: 'lojin', 'other'; 3 rows)"
    )


def test_an_unknown_label_that_is_ignored_is_a_null_label() -> None:
    tables = tables_of(
        {"train": {"text": ["a", "b"], "label": ["x", "y"]}, "test": {"text": ["a", "b"], "label": ["z", "y"]}}
    )
    split = encode(tables, "test", {"intent": fit(tables, unknown_label="ignore")})
    assert (len(split), split.num_unlabelled) == (1, 1)


def test_a_training_label_outside_of_label_names_names_its_row() -> None:
    tables = tables_of({"train": {"text": ["a", "b", "c"], "label": ["x", "y", "z"]}})
    task = fit(tables, label_names=("x", "y"))
    with pytest.raises(DataError, match=r"memory, train, row 3 \('c'\): label 'z' is not among the 2"):
        encode(tables, "train", {"intent": task})


# ---- encoding


MIXED = {
    "text": ["My card", "The app", "No label here", "New York"],
    "intent": ["a", None, None, "b"],
    "topics": [[], ["x"], None, ["y"]],
    "urgency": [0.0, None, None, 2.0],
    "spans": [
        None,
        [{"label": "THING", "start": 4, "end": 7}],
        None,
        [{"label": "PLACE", "start": 0, "end": 8}],
    ],
}


def mixed_tasks(tables: Tables) -> dict[str, Task]:
    return {
        "intent": fit(tables, label="intent"),
        "topics": fit(tables, "multi_label", label="topics"),
        "urgency": fit(tables, "regression", label="urgency"),
        "spans": fit(tables, "token_classification", label="spans", scheme="spans"),
    }


def test_labels_of_all_kinds_come_back_as_they_were_encoded() -> None:
    tables = tables_of({"train": MIXED})
    split = encode(tables, "train", mixed_tasks(tables))
    assert split.labels_of([0, 1, 2]) == {
        "intent": [0, None, 1],
        "topics": [[0, 0], [1, 0], [0, 1]],  # [] is none of them
        "urgency": [[0.0], None, [2.0]],  # 0 is zero
        "spans": [None, [0, 3], [1, 2]],
    }
    assert split.labels_of([2, 0])["intent"] == [1, 0]


def test_rows_without_any_label_are_left_out_and_counted() -> None:
    tables = tables_of({"train": MIXED})
    split = encode(tables, "train", mixed_tasks(tables))
    assert (len(split), split.num_unlabelled) == (3, 1)
    assert split.num_labelled == {"intent": 2, "topics": 3, "urgency": 2, "spans": 2}
    assert split.texts_of(range(3), split.inputs[0].given) == ["My card", "The app", "New York"]
    assert {name: mask.tolist() for name, mask in split.labelled.items()} == {
        "intent": [True, False, True],
        "topics": [True, True, True],
        "urgency": [True, False, True],
        "spans": [False, True, True],
    }


def test_rows_are_named_by_their_id_or_by_their_number_in_the_split() -> None:
    rows = {**MIXED, "key": ["k0", "k1", "k2", "k3"]}
    for settings, expected in (({}, [3, 0]), ({"id": "key"}, ["k3", "k0"])):
        tables = tables_of({"train": rows}, **settings)
        assert encode(tables, "train", mixed_tasks(tables)).ids_of([2, 0]) == expected


def test_features_come_back_as_the_encoder_gave_them() -> None:
    tables = tables_of({"train": MIXED})
    split = encode(tables, "train", mixed_tasks(tables))
    encoder = TextEncoder(backend("text"), max_length=16, uses_token_types=True)
    direct = encoder.encode(["New York", "My card"], form="text", alignment="words")
    for stored, given in zip(split.inputs[0].features_of([2, 0]), direct, strict=True):
        for name in ("input_ids", "token_type_ids", "word_indices", "word_positions", "word_spans"):
            assert [list(part) for part in getattr(stored, name)] == [list(part) for part in getattr(given, name)]
        assert (stored.truncated, stored.length) == (given.truncated, given.length)
    assert split.lengths.tolist() == [row.length for row in split.inputs[0].features_of(range(3))]
    assert split.lengths.dtype == np.int32


def test_rows_that_lost_tokens_are_counted_among_those_that_are_kept() -> None:
    rows = {"text": ["a b c d e f", "a", "a b c d e f", "a b c d e g"], "label": [0, 1, None, 1]}
    tables = tables_of({"train": rows})
    split = encode(tables, "train", {"intent": fit(tables)}, max_length=5)
    assert split.num_truncated == 2
    assert split.lengths.tolist() == [5, 3, 5]


def test_missing_cells_of_several_targets_are_nan_and_not_null() -> None:
    tables = tables_of({"train": {"text": list("abc"), "v": [1.0, None, 0.1], "a": [3, None, None]}})
    split = encode(tables, "train", {"vad": fit(tables, "regression", name="vad", label=("v", "a"))})
    first, second = split.labels_of([0, 1])["vad"]
    assert first == [1.0, 3.0]
    assert second is not None
    assert not isinstance(second, int)
    assert second[0] == 0.1  # to the bit
    assert math.isnan(second[1])


def test_a_split_without_any_label_is_empty_and_answers() -> None:
    tables = tables_of(
        {"train": {"text": ["a", "b"], "label": [0, 1]}, "test": {"text": ["a", "b"], "label": [None, None]}}
    )
    split = encode(tables, "test", {"intent": fit(tables)})
    assert (len(split), split.num_unlabelled, split.num_truncated) == (0, 2, 0)
    assert (
        split.inputs[0].features_of([]),
        split.labels_of([]),
        split.texts_of([], split.inputs[0].given),
        split.ids_of([]),
    ) == (
        [],
        {"intent": []},
        [],
        [],
    )


def test_words_are_encoded_only_where_a_task_reads_tokens() -> None:
    tables = tables_of({"train": MIXED})
    tasks = mixed_tasks(tables)
    without = encode(tables, "train", {"intent": tasks["intent"]})
    assert not without.inputs[0].given.aligned
    assert without.inputs[0].features_of([0])[0].word_spans == []
    assert encode(tables, "train", tasks).inputs[0].given.aligned == "words"


def test_tags_of_words_are_encoded_and_their_number_is_checked_with_the_row() -> None:
    rows = {"text": [["New", "York"], ["so"]], "label": [["B-LOC", "I-LOC"], ["O"]]}
    tables = tables_of({"train": rows}, form="words")
    task = fit(tables, "token_classification")
    split = encode(tables, "train", {"intent": task})
    assert split.labels_of([0, 1]) == {"intent": [[1, 2], [0]]}
    assert split.texts_of([0], split.inputs[0].given) == ["New York"]
    broken = tables_of({"train": {**rows, "label": [["B-LOC", "I-LOC"], ["O", "O"]]}}, form="words")
    with pytest.raises(
        DataError,
        match=r"task 'intent', dataset 'toy', split 'train', memory, train, row 2 \('so'\): 2 tags for 1 words",
    ):
        encode(broken, "train", {"intent": task})


def test_a_span_past_the_end_of_the_text_names_its_row() -> None:
    tables = tables_of(
        {"train": {"text": ["Rio", "Rio"], "label": [[{"label": "A", "start": 0, "end": n}] for n in (3, 4)]}}
    )
    task = fit(tables, "token_classification", scheme="spans")
    with pytest.raises(DataError, match=r"row 2 \('Rio'\): span 'A' from character 0 to 4 ends after the text"):
        encode(tables, "train", {"intent": task})


def test_pairs_are_encoded_together() -> None:
    tables = tables_of({"train": {"a": ["x"] * 2, "b": ["y"] * 2, "label": [0, 1]}}, text=("a", "b"), form="pair")
    split = encode(tables, "train", {"intent": fit(tables)})
    assert set(split.inputs[0].features_of([0])[0].token_type_ids[0]) == {0, 1}
    assert split.texts_of([0], split.inputs[0].given) == ["y"]  # of a pair, characters count in the second text


# ---- the cache


ROWS = {"text": ["My card", "The app"], "label": [0, 1]}


def test_what_was_encoded_is_not_encoded_again() -> None:
    tables = tables_of({"train": ROWS})
    task = fit(tables)
    first = encode(tables, "train", {"intent": task})
    with pytest.raises(AssertionError, match="encoded again"):  # the poison works: another key
        encode(tables, "train", {"intent": task}, encoder=poisoned(), encoder_key="another tokenizer")
    again = encode(tables, "train", {"intent": task}, encoder=poisoned())
    assert again.inputs[0].features_of([0, 1]) == first.inputs[0].features_of([0, 1])
    assert again.labels_of([0, 1]) == first.labels_of([0, 1])


def test_equal_texts_of_another_file_are_not_encoded_again(tmp_path: Path) -> None:
    rows = [{"text": text, "label": label} for text, label in zip(*ROWS.values(), strict=True)]
    named = [{"body": row["text"], "label": row["label"], "more": 1} for row in rows]
    one = load_tables(spec(tmp_path / "1", {"train": rows, "validation": rows}), seed=0)
    encode(one, "train", {"intent": fit(one)})
    other = load_tables(spec(tmp_path / "2", {"train": named[::-1], "validation": named}, text=("body",)), seed=0)
    split = encode(other, "validation", {"intent": fit(other)}, encoder=poisoned())
    assert split.texts_of([0, 1], split.inputs[0].given) == ROWS["text"]
    with pytest.raises(AssertionError, match="encoded again"):  # the order counts
        encode(other, "train", {"intent": fit(other)}, encoder=poisoned())


@pytest.mark.parametrize("change", ["text", "tokenizer", "max_length", "words", "form"])
def test_another_text_tokenizer_length_or_reading_is_encoded_anew(change: str) -> None:
    tables = tables_of({"train": ROWS})
    task = fit(tables)
    encode(tables, "train", {"intent": task})
    rows, given, tasks = ROWS, {"encoder": poisoned()}, {"intent": task}
    if change == "text":
        rows = {**ROWS, "text": ["My card", "The app "]}
    if change == "tokenizer":
        given |= {"encoder_key": "another"}
    if change == "max_length":
        given = {"encoder": poisoned(15), "max_length": 15}  # type: ignore[dict-item]
    if change == "words":
        spans = tables_of({"train": {**ROWS, "spans": [[{"label": "A", "start": 0, "end": 2}], []]}})
        tasks = {"spans": fit(spans, "token_classification", label="spans", scheme="spans")}
        rows = {**ROWS, "spans": [[], []]}  # type: ignore[dict-item]
    if change == "form":
        rows = {**ROWS, "text": [["My card"], ["The app"]]}  # type: ignore[dict-item]
    changed = tables_of({"train": rows}, form="words" if change == "form" else "text")
    with pytest.raises(AssertionError, match="encoded again"):
        encode(changed, "train", tasks, **given)


def test_other_labels_or_options_encode_the_labels_anew_and_the_texts_not() -> None:
    tables = tables_of({"train": ROWS})
    first = encode(tables, "train", {"intent": fit(tables)})
    swapped = tables_of({"train": {**ROWS, "label": [1, 0]}})
    assert first.labels_of([0, 1]) == {"intent": [0, 1]}
    assert encode(swapped, "train", {"intent": fit(swapped)}, encoder=poisoned()).labels_of([0, 1]) == {
        "intent": [1, 0]
    }
    reordered = {"intent": fit(tables, label_names=("1", "0"))}
    assert encode(tables, "train", reordered, encoder=poisoned()).labels_of([0, 1]) == {"intent": [1, 0]}


def test_a_failed_encoding_leaves_nothing_in_the_cache(datasets_cache: Path) -> None:
    tables = tables_of({"train": ROWS, "test": {**ROWS, "label": [0, 7]}})
    task = fit(tables)
    encode(tables, "train", {"intent": task})
    stored = sorted(datasets_cache.rglob("*"))
    with pytest.raises(DataError, match="label 7"):
        encode(tables, "test", {"intent": task})
    assert sorted(datasets_cache.rglob("*")) == stored


def test_the_default_split_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load_tables(spec(tmp_path, {"train": texts(100)}), seed=0)
    assert "data.toy: no validation split" in caplog.text


# ---- places and fingerprints


def test_rows_are_named_for_people_by_id_and_place_from_the_cache_too(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": None if n == 1 else n % 2, "key": f"t{n}"} for n in range(6)]
    for settings, expected in (({}, "{}"), ({"id": "key"}, "t4 ({})")):
        for _ in range(2):
            tables = load_tables(spec(tmp_path, {"train": rows, "validation": rows}, **settings), seed=0)
            split = encode(tables, "train", {"intent": fit(tables)})
            assert split.texts_of([3], split.inputs[0].given) == ["text 4"]  # the unlabelled row is left out
            assert split.places_of([3, 0])[0] == expected.format(f"{tmp_path}/train.jsonl, line 5")


def test_equal_content_of_another_file_keeps_its_own_places(tmp_path: Path) -> None:
    made = {}
    for name in ("1", "2"):
        rows = texts(4) if name == "1" else texts(9)[4:] + texts(4)
        tables = load_tables(spec(tmp_path / name, {"train": texts(4), "validation": rows}), seed=0)
        made[name] = encode(tables, "train", {"intent": fit(tables)})
    assert made["1"].fingerprint == made["2"].fingerprint
    assert [made[name].places_of([0]) for name in made] == [[f"{tmp_path}/{name}/train.jsonl, line 1"] for name in made]


def fingerprint(path: Path, rows: Sequence[Mapping[str, Any]], *, max_length: int = 16, **settings: Any) -> str:
    tables = load_tables(spec(path, {"train": rows, "validation": rows}, **settings), seed=0)
    return encode(tables, "train", {"intent": fit(tables)}, max_length=max_length).fingerprint


def test_a_fingerprint_tells_content_and_not_files_or_caches(
    tmp_path: Path, datasets_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = texts(2100)
    first = fingerprint(tmp_path / "1", rows)
    assert fingerprint(tmp_path / "1", rows) == first  # warm
    assert fingerprint(tmp_path / "2", rows) == first  # another file
    (tmp_path / "1" / "train.jsonl").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cold")
    assert fingerprint(tmp_path / "1", rows) == first
    unlabelled = [*rows[:1000], {"text": "another", "label": None}, *rows[1000:]]
    assert fingerprint(tmp_path / "3", unlabelled) == first  # it is left out


@pytest.mark.parametrize("change", ["text", "label", "name", "order", "row", "shuffle", "limit", "max_length", "null"])
def test_another_text_label_order_or_reading_is_another_fingerprint(tmp_path: Path, change: str) -> None:
    rows, settings = texts(40), {}
    first = fingerprint(tmp_path, rows)
    if change == "text":
        rows[20]["text"] = "text 20 !"
    if change == "label":
        rows[20]["label"] = 1
    if change == "null":
        rows[20]["label"] = None
    if change == "name":
        rows = [{**row, "label": f"l{row['label']}"} for row in rows]
    if change == "order":
        rows[0], rows[1] = rows[1], rows[0]
    if change == "row":
        rows = rows[:-1]
    if change in ("shuffle", "limit", "max_length"):
        settings = {"shuffle": {"shuffle": True}, "limit": {"limit": {"train": 9}}, "max_length": {"max_length": 3}}[
            change
        ]
    assert fingerprint(tmp_path, rows, **settings) != first  # type: ignore[arg-type]


def test_a_fingerprint_is_the_same_in_another_process(tmp_path: Path) -> None:
    """What is hashed is numbers and names; were it Python's own hash, it would differ from process to process."""
    table = datasets.Dataset.from_dict({"a": [[[1, 2], []], None, [[3]]], "b": [0.5, float("nan"), None]})
    assert values_key(table) == "ff7066ef7a753d335365943090f9a47c"
