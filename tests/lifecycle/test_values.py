"""Nested values are compared key by key, lists by the names of their places where these are known."""

import pytest

from mtl_transformers.lifecycle.values import Names, Value, name_differences, value_differences


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [Value("a", 1, 2)]),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [Value("a.c", 2, 3)]),
        ({"a": 1}, {}, [Value("a", 1, None)]),
        ({"a": None}, {}, []),
        ({"a": {"b": 1}}, {"a": None}, [Value("a.b", 1, None)]),
        ({"a": 1}, {"a": True}, [Value("a", 1, True)]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [Value("a", [1, 2], [1, 3])]),
        ({"a": [{"name": "x", "n": 1}]}, {"a": [{"name": "x", "n": 2}]}, [Value("a.x.n", 1, 2)]),
    ],
)
def test_what_differs_is_told_by_its_path(before, after, expected):
    assert value_differences(before, after) == expected


def test_a_list_with_a_place_for_each_name_is_told_by_names():
    found = value_differences({"thresholds": [0.5, 0.5]}, {"thresholds": [0.5, 0.4]}, names=("app", "card"))
    assert found == [Value("thresholds.card", 0.5, 0.4)]


def test_some_keys_are_not_looked_at():
    assert value_differences({"name": 1, "b": {"name": 1}}, {"name": 2, "b": {"name": 2}}, without=["name"]) == [
        Value("b.name", 1, 2)
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("abc", "abc", Names()),
        ("abc", "acb", Names(reordered=True)),
        ("abc", "abd", Names(added=("d",), removed=("c",))),
        ("abc", "xba", Names(added=("x",), removed=("c",), reordered=True)),
    ],
)
def test_names_are_added_removed_and_reordered(before, after, expected):
    assert name_differences(tuple(before), tuple(after)) == expected
    assert expected.is_empty == (before == after)
