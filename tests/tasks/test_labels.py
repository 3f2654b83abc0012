import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.errors import DataError
from mtl_transformers.tasks import labels


def order(found: list[labels.Label], **names: list[str] | None) -> tuple[labels.Label, ...]:
    return labels.ordered(found, **{"label_names": None, "class_names": None, **names})


def test_names_are_sorted_as_text() -> None:
    assert order(["refund", "Login", "card"]) == ("Login", "card", "refund")


def test_numbers_are_sorted_numerically() -> None:
    assert order([10, 9, -1, 2]) == (-1, 2, 9, 10)


def test_numbers_written_as_text_are_sorted_numerically_too() -> None:
    assert order(["10", "9", "2"]) == ("2", "9", "10")
    assert order(["10", "9", "two"]) == ("10", "9", "two")  # one name among them: text


def test_the_order_of_a_class_label_is_kept() -> None:
    assert order(["a", "b"], class_names=["b", "a", "never seen"]) == ("b", "a", "never seen")


def test_label_names_go_before_the_class_label() -> None:
    assert order(["a", "b"], class_names=["b", "a"], label_names=["a", "b"]) == ("a", "b")


@given(st.lists(st.integers(), unique=True))
def test_the_order_does_not_depend_on_the_rows(numbers: list[int]) -> None:
    assert order(numbers) == order(numbers[::-1]) == tuple(sorted(numbers))


def test_names_mixed_with_numbers_are_refused_with_both() -> None:
    with pytest.raises(DataError, match=r"mix names \('x'\) and numbers \('1', '2'\)"):
        order([1, "x", 2])


def test_a_label_name_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="'a' is given more than once among 'a', 'b', 'a'"):
        order(["a"], label_names=["a", "b", "a"])


@pytest.mark.parametrize("value", ["a", "", 3, -1, True])
def test_names_and_whole_numbers_are_labels_as_they_are(value: labels.Label) -> None:
    assert labels.plain(value) is value


def test_whole_floats_of_a_column_with_holes_are_integers_and_nan_is_null() -> None:
    assert [labels.plain(value) for value in (1.0, -3.0, math.nan, None)] == [1, -3, None, None]


@pytest.mark.parametrize(("value", "what"), [(0.5, "fraction"), (["a"], "list"), ({"a": 1}, "dict")])
def test_other_values_are_no_labels(value: object, what: str) -> None:
    with pytest.raises(DataError, match=what):
        labels.plain(value)


def test_a_label_is_found_by_name() -> None:
    assert labels.places(("a", "b"), named=False) == {"a": 0, "b": 1}
    assert labels.places((3, 7), named=False) == {"3": 0, "7": 1}


def test_ids_index_an_order_of_names() -> None:
    assert labels.places(("neg", "pos"), named=True) == {"neg": 0, "pos": 1, "0": 0, "1": 1}


def test_ids_do_not_index_names_that_are_numbers() -> None:
    """Else the label 1 of names 1, 2, 3 would be trained as 2."""
    assert labels.places(("1", "2", "3"), named=True) == {"1": 0, "2": 1, "3": 2}


def test_rows_are_counted_by_name_and_by_id() -> None:
    known = labels.places(("neg", "pos"), named=True)
    assert labels.counts_in_order({"neg": 2, "other": 9}, known, 2) == (2, 0)
    assert labels.counts_in_order({0: 2, 1: 5}, known, 2) == (2, 5)


def test_rows_of_other_labels_only_are_refused() -> None:
    with pytest.raises(DataError, match=r"one of the labels 'neg', 'pos'; they have 'other'"):
        labels.counts_in_order({"other": 1}, labels.places(("neg", "pos"), named=True), 2)


def test_an_unknown_label_names_the_known_ones_the_nearest_and_what_to_do() -> None:
    known = ("card", "charge_back", "login")
    error = labels.unknown("chargeback", known, labels.places(known, named=False))
    assert str(error) == (
        "label 'chargeback' is not among the 3 training labels ('card', 'charge_back', 'login'); "
        "did you mean 'charge_back'? Fix the data, or set unknown_label: ignore"
    )
    assert error.label == "chargeback"


def test_an_unknown_id_names_the_ids() -> None:
    known = ("neg", "pos")
    assert "or their ids 0 to 1" in str(labels.unknown(7, known, labels.places(known, named=True)))


def test_a_long_list_of_labels_is_cut() -> None:
    assert labels.listed(list(range(12))) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"
