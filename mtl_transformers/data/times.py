"""Puts rows in the order of a time column, and cuts that order.

Owns what a time is: a date, a timestamp, a number, or ISO 8601 text (without an offset: UTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mtl_transformers.errors import DataError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def times_of(column: pa.ChunkedArray, *, where: str) -> NDArray[Any]:
    """``[N]`` the times of a column as numbers, later ones larger.

    Raises:
        DataError: another type, a null or NaN, text that is no time; with the first row.
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pa.chunked_array([pa.array(_read(column.to_pylist(), where=where), pa.float64())])
    elif pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("ns" if kind == pa.timestamp("ns") else "us")), pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            f"{where} holds {kind}; a time is a date, a timestamp, a number, or ISO text as 2024-05-01T12:00"
        )
    missing = np.flatnonzero(pc.is_null(column, nan_is_null=True).to_numpy())
    if len(missing):
        raise DataError(
            f"{where}: {len(missing)} rows have no time, the first is row {missing[0] + 1}; "
            "fill the column, or leave these rows out of the files"
        )
    times: NDArray[Any] = column.to_numpy()
    return times


def _read(texts: Sequence[str | None], *, where: str) -> list[float | None]:
    """Return seconds since 1970."""
    times: list[float | None] = []
    for row, text in enumerate(texts):
        try:
            time = None if text is None else datetime.fromisoformat(text.strip())
        except ValueError:
            raise DataError(
                f"{where}, row {row + 1}: {text!r} is no time; expected ISO text as 2024-05-01T12:00"
            ) from None
        if time is not None and time.tzinfo is None:
            time = time.replace(tzinfo=UTC)
        times.append(None if time is None else (time - _EPOCH).total_seconds())
    return times


def sides_by_time(times: NDArray[Any], shares: Sequence[float]) -> NDArray[np.int64]:
    """Cut rows in the order of their times, so that equal times are on one side.

    Each cut is where the rows before it come nearest to their share; of two cuts as near, the earlier.

    Args:
        times: ``[N]``.
        shares: of the rows for each side, the oldest side first; they add up to 1.

    Returns:
        ``[N]`` places in ``shares``.
    """
    _, which, counts = np.unique(times, return_inverse=True, return_counts=True)
    until = np.concatenate([[0], np.cumsum(counts)])
    cuts = [int(np.argmin(np.abs(until - share * len(times)))) for share in np.cumsum(shares[:-1])]
    sides: NDArray[np.int64] = np.searchsorted(cuts, which, side="right").astype(np.int64)
    return sides
