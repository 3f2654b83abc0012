from typing import Any

import datasets
import pytest

from mtl_transformers.data.cells import cells_of, class_names, reader_of
from mtl_transformers.errors import DataError

CLASS = datasets.ClassLabel(names=["neg", "pos"])


def table(values: list[Any], feature: Any) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"y": values}, features=datasets.Features({"y": feature}))


def cells(values: list[Any], feature: Any) -> list[Any]:
    return [cell for (cell,) in cells_of(table(values, feature), ["y"])]


def test_the_ids_of_a_class_label_become_names_and_its_minus_1_null() -> None:
    assert cells([1, 0, -1, None], CLASS) == ["pos", "neg", None, None]


def test_minus_1_of_a_plain_column_stays_a_number() -> None:
    assert cells([1, -1, None], datasets.Value("int64")) == [1, -1, None]


def test_lists_of_ids_become_lists_of_names() -> None:
    assert cells([[1, 0], [], None, [-1]], datasets.List(CLASS)) == [["pos", "neg"], [], None, [None]]


def test_the_labels_of_spans_become_names() -> None:
    feature = datasets.List({"label": CLASS, "start": datasets.Value("int32"), "end": datasets.Value("int32")})
    assert cells([[{"label": 1, "start": 0, "end": 2}], []], feature) == [[{"label": "pos", "start": 0, "end": 2}], []]


def test_an_id_that_is_no_class_is_refused_with_the_classes() -> None:
    with pytest.raises(DataError, match=r"label id 2 is outside 0 to 1, the classes of the column \('neg', 'pos'\)"):
        reader_of(CLASS)(2)


def test_several_columns_are_read_row_by_row() -> None:
    both = datasets.Dataset.from_dict({"a": [1, 2], "b": ["x", None], "c": [0, 0]})
    assert list(cells_of(both, ["b", "a"])) == [("x", 1), (None, 2)]


@pytest.mark.parametrize(
    ("feature", "names"),
    [
        (CLASS, ["neg", "pos"]),
        (datasets.List(CLASS), ["neg", "pos"]),
        (datasets.Value("string"), None),
        (datasets.List(datasets.Value("string")), None),
    ],
)
def test_a_column_of_classes_tells_their_names(feature: Any, names: list[str] | None) -> None:
    assert class_names(table([], feature), "y") == names
