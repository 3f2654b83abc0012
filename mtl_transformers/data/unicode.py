"""Refuses text that is no UTF-8: Arrow's readers of parquet and of packed JSON take any bytes, and fail much later."""

from __future__ import annotations

from collections.abc import Mapping

import datasets
import pyarrow as pa

from mtl_transformers.data.origins import Origin
from mtl_transformers.errors import DataError


def check_unicode(tables: Mapping[str, datasets.Dataset], origin: Origin) -> None:
    """Read the text of all columns once.

    Raises:
        DataError: with file and row.
    """
    start = 0
    for split, table in tables.items():
        try:
            table.data.table.validate(full=True)
        except pa.ArrowInvalid as error:
            row, column = _first_fault(table)
            (place,) = origin.places([start + row])
            raise DataError(
                f"dataset {origin.source.name!r}, split {split!r}, {place}, column {column!r}: the text is no UTF-8. "
                "Save the file as UTF-8; if it has another encoding, set options.encoding"
            ) from error
        start += len(table)


def _first_fault(table: datasets.Dataset) -> tuple[int, str]:
    """Return the row and the column of the first text that is no UTF-8."""
    for row in range(len(table)):
        for name in table.column_names:
            try:
                table.data.column(name)[row].as_py()
            except UnicodeDecodeError:
                return row, name
    return 0, ", ".join(table.column_names)
