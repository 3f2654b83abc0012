from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtl_transformers.data.filtering import check_texts, filter_rows
from mtl_transformers.data.origins import Origin, Places
from mtl_transformers.data.spec import DatasetSpec, Filters, Source
from mtl_transformers.errors import DataError

WORDS = datasets.Features({"text": datasets.List(datasets.Value("string"))})


def drop(table: datasets.Dataset, *text: str) -> tuple[datasets.Dataset, int]:
    """Drop rows without text."""
    spec = DatasetSpec(Source("toy", "memory"), text, filters=Filters(drop_empty=True))
    kept, counts = filter_rows(table, spec, split="train")
    assert counts == {"drop_empty": len(table) - len(kept)}
    return table.select(kept), counts["drop_empty"]


def filtered(
    rows: list[dict[str, object]],
    *,
    split: str = "train",
    text: tuple[str, ...] = ("text",),
    labels: tuple[str, ...] = ("label",),
    word_labels: tuple[str, ...] = (),
    **filters: Any,
) -> tuple[list[int], dict[str, int]]:
    """Return the numbers of the rows that stay, and the counts."""
    spec = DatasetSpec(
        Source("toy", "memory"), text, filters=Filters(**filters), labels=labels, word_labels=word_labels
    )
    kept, counts = filter_rows(datasets.Dataset.from_list(rows), spec, split=split)
    return kept.tolist(), counts


def rows_of(*rows: tuple[object, object]) -> list[dict[str, object]]:
    return [{"text": text, "label": label} for text, label in rows]


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
    kept, dropped = drop(table, "text")
    assert (kept[:], dropped) == (table[:], 0)
    check(table, "text")


def test_a_null_label_is_no_reason_to_drop() -> None:
    assert drop(datasets.Dataset.from_dict({"text": ["a"], "label": [None]}), "text")[1] == 0


def test_dropping_every_row_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"'toy', split 'train': data\.toy\.filter\.drop_empty leaves no row of 2; check"
    ):
        drop(datasets.Dataset.from_dict({"text": ["", None]}), "text")
    with pytest.raises(DataError, match="leaves no row"):
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


# words


def test_rows_with_too_few_or_too_many_words_are_dropped_and_counted_apart() -> None:
    rows = rows_of(("one", 0), ("one two", 0), (" one  two\tthree ", 0), ("1 2 3 4", 0))
    assert filtered(rows, min_words=2, max_words=3) == ([1, 2], {"min_words": 1, "max_words": 1})
    assert filtered(rows, split="test", min_words=3) == ([2, 3], {"min_words": 2})


def test_the_words_of_a_pair_are_counted_together_and_lists_are_words() -> None:
    pairs = [{"a": "x", "b": "y z"}, {"a": "x", "b": "y"}]
    assert filtered(pairs, text=("a", "b"), labels=(), min_words=3)[0] == [0]
    assert filtered(rows_of((["x", "y"], 0), (["x"], 0)), max_words=1)[0] == [1]


# duplicates


def test_of_equal_text_and_label_the_first_row_stays() -> None:
    rows = rows_of(
        ("Pay!", "a"), ("other", "a"), ("pay", "b"), ("PAY", "a"), ("pay", None), ("Pay.", None), ("pay", "b")
    )
    assert filtered(rows, drop_duplicates=True) == ([0, 1, 2, 4], {"drop_duplicates": 3})
    assert filtered(rows, split="test", drop_duplicates=True)[0] == [0, 1, 2, 4]


def test_every_label_column_counts() -> None:
    rows = [{"text": "x", "label": "a", "more": n} for n in (1, 2, 1)]
    assert filtered(rows, labels=("label", "more"), drop_duplicates=True)[0] == [0, 1]
    assert filtered(rows, drop_duplicates=True)[0] == [0]
    assert filtered(rows, labels=(), drop_duplicates=True)[0] == [0]


def test_a_near_duplicate_of_an_equal_label_goes_and_one_of_another_stays() -> None:
    text = "could you please send the new card to my other flat as soon as it is there"
    rows = rows_of((text, "a"), (f"{text} today", "a"), (f"{text} today", "b"), ("where is my card", "a"), (text, "a"))
    assert filtered(rows, drop_duplicates=True, near=0.8) == ([0, 2, 3], {"drop_duplicates": 2})
    assert filtered(rows, drop_duplicates=True) == ([0, 1, 2, 3], {"drop_duplicates": 1})


# conflicts


def test_all_rows_of_a_text_with_two_labels_go_and_null_is_no_label() -> None:
    rows = rows_of(("Pay", "a"), ("pay?", "b"), ("x", "a"), ("x", "a"), ("y", "a"), ("y", None), ("pay", None))
    assert filtered(rows, drop_conflicts=True) == ([2, 3, 4, 5, 6], {"drop_conflicts": 2})


def test_evaluation_keeps_its_conflicts() -> None:
    rows = rows_of(("pay", "a"), ("pay", "b"))
    assert filtered(rows, split="test", drop_conflicts=True) == ([0, 1], {})


def test_a_conflict_in_any_label_column_counts() -> None:
    rows = [{"text": text, "label": "a", "more": more} for text, more in (("x", 1), ("x", 2), ("y", 1), ("y", 1))]
    assert filtered(rows, labels=("label", "more"), drop_conflicts=True)[0] == [2, 3]
    assert filtered(rows, drop_conflicts=True)[0] == [0, 1, 2, 3]


def test_the_order_of_names_in_a_list_is_no_conflict_and_that_of_numbers_is() -> None:
    assert filtered(rows_of(("x", ["a", "b"]), ("x", ["b", "a"])), drop_conflicts=True)[0] == [0, 1]
    rows = rows_of(("x", [0, 1]), ("x", [1, 0]), ("y", [1]))
    assert filtered(rows, drop_conflicts=True)[0] == [2]


def test_labels_of_words_are_compared_where_the_texts_are_written_alike() -> None:
    """Spans count characters: those of another writing differ and say the same."""
    rows = rows_of(("Hi, Bob", [4]), ("Hi Bob", [3]), ("Hi Bob", [0]), ("Bob", [0]))
    assert filtered(rows, word_labels=("label",), drop_conflicts=True)[0] == [0, 3]
    assert filtered(rows, drop_conflicts=True)[0] == [3]


def test_filters_follow_one_another_and_conflicts_come_before_duplicates() -> None:
    rows = rows_of(
        ("", "a"), ("x", "a"), ("pay now", "a"), ("pay now", "b"), ("pay now", "a"), ("go on", "a"), ("go on", "a")
    )
    asked = {"drop_empty": True, "min_words": 2, "drop_conflicts": True, "drop_duplicates": True}
    assert filtered(rows, **asked) == (
        [5],
        {"drop_empty": 1, "min_words": 1, "drop_conflicts": 3, "drop_duplicates": 1},
    )


def test_a_filter_that_leaves_no_row_and_a_missing_label_column_are_errors() -> None:
    with pytest.raises(DataError, match=r"data\.toy\.filter\.min_words leaves no row of 1"):
        filtered(rows_of(("x", 0)), min_words=2)
    with pytest.raises(DataError, match=r"data\.toy\.filter compares labels: .* and no 'lable'; did you mean 'label'"):
        filtered(rows_of(("x", 0)), labels=("lable",), drop_duplicates=True)


def test_no_filter_takes_nothing() -> None:
    assert filtered(rows_of(("x", 0), ("x", 0), ("x", 1))) == ([0, 1, 2], {})
