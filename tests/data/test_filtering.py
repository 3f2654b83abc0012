import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.filtering import check_texts, drop_empty
from mtl_transformers.data.origins import Origin, Places
from mtl_transformers.data.spec import Source
from mtl_transformers.errors import DataError

WORDS = datasets.Features({"text": datasets.List(datasets.Value("string"))})


def drop(table: datasets.Dataset, *text: str) -> tuple[datasets.Dataset, int]:
    kept, numbers = drop_empty(table, dataset="toy", split="train", text=text)
    assert kept[:] == table[numbers.tolist()]
    return kept, len(table) - len(numbers)


def check(table: datasets.Dataset, *text: str) -> None:
    places = Places(Origin(Source("toy", "memory"), {}, {"train": len(table)}), np.arange(len(table)))
    check_texts(table, places, dataset="toy", split="train", text=text)


def test_null_empty_and_blank_texts_are_dropped_with_a_count() -> None:
    table = datasets.Dataset.from_dict({"text": ["a", None, "", " \t\n\u00a0\u3000", " b "], "label": [0, 1, 2, 3, 4]})
    kept, dropped = drop(table, "text")
    assert (kept.to_dict(), dropped) == ({"text": ["a", " b "], "label": [0, 4]}, 3)


def test_word_lists_without_a_word_are_dropped() -> None:
    rows = [["a"], [], None, ["", " "], [None], ["", "b"]]
    kept, dropped = drop(datasets.Dataset.from_dict({"text": rows}, features=WORDS), "text")
    assert (list(kept["text"]), dropped) == ([["a"], ["", "b"]], 4)


def test_a_pair_is_dropped_when_either_side_is_empty() -> None:
    table = datasets.Dataset.from_dict({"a": ["x", "", "x", None], "b": ["y", "y", " ", ""]})
    kept, dropped = drop(table, "a", "b")
    assert (kept.to_list(), dropped) == ([{"a": "x", "b": "y"}], 3)


def test_a_table_without_empty_texts_is_returned_as_it_is() -> None:
    table = datasets.Dataset.from_dict({"text": ["a", "b"]})
    assert drop(table, "text") == (table, 0)
    check(table, "text")


def test_a_null_label_is_no_reason_to_drop() -> None:
    assert drop(datasets.Dataset.from_dict({"text": ["a"], "label": [None]}), "text")[1] == 0


def test_dropping_every_row_is_an_error() -> None:
    with pytest.raises(DataError, match=r"'toy', split 'train': every text of text is empty"):
        drop(datasets.Dataset.from_dict({"text": ["", None]}), "text")
    with pytest.raises(DataError, match="every text"):
        drop(datasets.Dataset.from_dict({"text": [None, None]}), "text")


def test_the_first_empty_text_is_named_with_the_remedy() -> None:
    table = datasets.Dataset.from_dict({"a": ["x"] * 4, "b": ["y", "y", "", None]})
    where = r"dataset 'toy', split 'train', memory, train, row 3, column 'b': the text is null or empty \(2 rows are\)"
    with pytest.raises(DataError, match=where + r".*data\.toy\.filter\.drop_empty: true"):
        check(table, "a", "b")


def test_rows_are_counted_across_batches_and_through_a_selection() -> None:
    table = datasets.Dataset.from_dict({"text": [f"t{row}" for row in range(20_005)] + [""]})
    with pytest.raises(DataError, match="row 20006"):
        check(table, "text")
    with pytest.raises(DataError, match="row 2,"):
        check(table.select([4, 20_005, 3]), "text")
    assert list(drop(table.select([4, 20_005, 3]), "text")[0]["text"]) == ["t4", "t3"]


def test_sliced_word_lists_keep_their_rows() -> None:
    table = datasets.Dataset.from_dict({"text": [["a"], [], ["b"], ["c", None]]}, features=WORDS)
    kept, dropped = drop(table.select(range(1, 4)), "text")
    assert (list(kept["text"]), dropped) == ([["b"], ["c", None]], 1)


def test_a_null_among_words_is_an_error_even_after_dropping() -> None:
    table = datasets.Dataset.from_dict({"text": [["a"], ["b", "c"], ["d", None]]}, features=WORDS)
    with pytest.raises(DataError, match=r"row 3, column 'text': one of the words is null"):
        check(drop(table, "text")[0], "text")
    with pytest.raises(DataError, match="row 2,"):
        check(table.select([0, 2]), "text")


def test_large_strings_are_texts() -> None:
    arrow = pa.table({"text": pa.array(["a", ""], pa.large_string())})
    assert drop(datasets.Dataset(arrow), "text")[1] == 1


@pytest.mark.parametrize("values", [[1, 2], [[1], [2]], [{"x": "a"}, {"x": "b"}]])
def test_a_column_that_holds_no_text_is_an_error(values: list[object]) -> None:
    with pytest.raises(DataError, match=r"column 'text' holds .*data\.toy\.text needs text or lists of words"):
        check(datasets.Dataset.from_dict({"text": values}), "text")


def test_a_missing_text_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"columns body and no 'bdy'; did you mean 'body'"):
        check(datasets.Dataset.from_dict({"body": ["a"]}), "bdy")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["", " ", "a", None]), max_size=3) | st.none(), min_size=1, max_size=12))
def test_word_lists_are_kept_exactly_when_a_word_has_a_character(rows: list[list[str | None] | None]) -> None:
    kept = [row for row in rows if any(word and word.strip() for word in row or ())]
    table = datasets.Dataset.from_dict({"text": rows}, features=WORDS)
    if kept:
        assert list(drop(table, "text")[0]["text"]) == kept
