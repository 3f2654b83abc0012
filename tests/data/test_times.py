"""What is a time, and where the order of times is cut."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from mtl_transformers.data.times import sides_by_time, times_of
from mtl_transformers.errors import DataError


def order(values: list[object], kind: pa.DataType | None = None) -> list[int]:
    return np.argsort(times_of(pa.chunked_array([pa.array(values, kind)]), where="here"), kind="stable").tolist()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([3, 1, 2], None),
        ([0.3, -1.5, 0.25], None),
        ([date(2024, 3, 1), date(2023, 12, 31), date(2024, 2, 29)], None),
        ([datetime(2024, 1, 1, 3), datetime(2024, 1, 1, 1), datetime(2024, 1, 1, 2)], None),
        ([datetime(2024, 1, 3), datetime(2024, 1, 1), datetime(2024, 1, 2)], pa.timestamp("ns")),
        ([datetime(2024, 1, 3, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)], None),
        (["2024-03-01", "2023-12-31T23:59:59", " 2024-02-29 12:00 "], None),
        (["2024-01-01T12:00+00:00", "2024-01-01T12:30+02:00", "2024-01-01T11:00Z"], pa.large_string()),
        (["2024-01-01T12:00Z", "2024-01-01T11:00", "2024-01-01T11:30"], None),
        ([2**60 + 2, 2**60, 2**60 + 1], None),
    ],
)
def test_later_times_are_larger(values: list[object], kind: pa.DataType | None) -> None:
    assert order(values, kind) == [1, 2, 0]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["2024-01-01", "yesterday"], r"here, row 2: 'yesterday' is no time; expected ISO text"),
        ([1, None, None], r"here: 2 rows have no time, the first is row 2"),
        ([1.0, float("nan")], r"here: 1 rows have no time, the first is row 2"),
        (["2024-01-01", None], r"here: 1 rows have no time, the first is row 2"),
        ([True], r"here holds bool; a time is a date"),
        ([[1]], r"here holds list"),
    ],
)
def test_what_is_no_time_is_refused_with_its_row(values: list[object], told: str) -> None:
    with pytest.raises(DataError, match=told):
        order(values)


def test_the_newest_rows_are_the_last_side() -> None:
    assert sides_by_time(np.array([5, 1, 4, 2, 3, 0, 6, 9, 8, 7]), [0.7, 0.2, 0.1]).tolist() == [
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        2,
        1,
        1,
    ]


def test_equal_times_are_on_one_side_and_the_cut_is_the_nearest() -> None:
    """Half of ten is five; the times 1 to 1 end after four rows, those of 2 after nine."""
    times = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 3])
    assert sides_by_time(times, [0.5, 0.0, 0.5]).tolist() == [0] * 4 + [2] * 6
    assert sides_by_time(times, [0.8, 0.0, 0.2]).tolist() == [0] * 9 + [2]
