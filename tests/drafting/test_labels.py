"""What a column could be the label of, by values written by hand."""

from typing import Any

import pytest

from mtl_transformers.drafting.facts import facts_of, num_words
from mtl_transformers.drafting.labels import Label, label_of, separator_of, tags_of


def label(values: list[Any], name: str = "column") -> tuple[str, dict[str, object]] | None:
    found = label_of(name, facts_of(values))
    return (found.kind, dict(found.options)) if isinstance(found, Label) else None


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", "b", None, "a"] * 5, ("classification", {})),
        ([True, False] * 5, ("classification", {})),
        ([0, 1, 2] * 5, ("classification", {})),
        ([1.0, 2.0, None] * 5, ("classification", {})),  # whole numbers in a column with holes
        ([0.5, 1.0, 2.25] * 5, ("regression", {})),
        (list(range(0, 200, 2)) * 2, ("regression", {})),
        ([["a", "b"], [], ["a"]] * 5, ("multi_label", {})),
        (["a;b", "a", "b;c", "c", ""] * 5, ("multi_label", {"separator": ";"})),
        ([[{"label": "X", "start": 0, "end": 2}], []] * 5, ("token_classification", {"scheme": "spans"})),
        ([f"name {n}" for n in range(50)], None),
        ([n * 7919 for n in range(50)], None),
        ([[f"a{n}"] for n in range(50)], None),
        ([[0, 1], [1, 0]] * 5, None),  # nobody knows what the places mean
        ([{"some": 1}] * 5, None),
    ],
)
def test_values_tell_the_kind(values: list[Any], expected: tuple[str, dict[str, object]] | None) -> None:
    assert label(values) == expected


def test_few_whole_numbers_are_an_amount_where_they_are_called_so() -> None:
    stars = [1, 2, 3, 4, 5] * 5
    assert label(stars, "stars") == ("regression", {})
    assert label(stars, "kind") == ("classification", {})


def test_many_whole_numbers_are_classes_where_they_count_up_and_are_called_so() -> None:
    ids = list(range(77)) * 6
    assert label(ids, "label") == ("classification", {})
    assert label(ids, "price") == ("regression", {})
    assert label([10 * n for n in ids], "label") == ("regression", {})


def test_a_separator_is_told_from_a_comma_in_a_name_or_a_sentence() -> None:
    assert separator_of({"red, green": 3, "green": 2, "red": 1, "red, blue": 3, "blue": 2}) == ","
    assert separator_of({"Paris, France": 9, "Rome, Italy": 9}) is None
    assert separator_of({"well, this one is a sentence": 1, "and, so it seems, another": 1}) is None


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-X", "I-X"], "bio"),
        (["O", "B-X", "I-X", "E-X", "S-Y"], "iobes"),
        (["O", "B-X", "L-X", "U-Y"], "bilou"),
        (["O", "B-X", "Q-X"], "plain"),
        (["NOUN", "VERB"], "plain"),
        (["O", "B-X", "NOUN"], "plain"),
    ],
)
def test_the_scheme_is_the_narrowest_that_has_all_prefixes(tags: list[str], scheme: str) -> None:
    assert tags_of(facts_of([tags] * 3)).options == {"scheme": scheme}


def test_nulls_and_lengths_are_counted() -> None:
    facts = facts_of(["one two three", "one", None, "  ", float("nan")])
    assert (facts.form, facts.num_null, facts.num_values, facts.mean_words) == ("text", 3, 2, 2.0)
    assert facts_of([None, float("nan")]).form == "empty"
    assert facts_of(["2026-01-30 10:00", "2026-02-01"]).form == "date"
    assert facts_of(["a", 1]).form == "other"


def test_signs_of_a_script_without_spaces_count_as_words() -> None:
    assert num_words("我的包裹还没有到") >= 8
    assert num_words("my parcel") == 2
