"""Cells as Python has them, and columns as Arrow has them.

Owns the types of columns; files and answers are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from mtl_transformers.errors import DataError


def fields_of(like: Mapping[str, Any]) -> list[pa.Field]:
    """Return the columns for cells of these types."""
    return [pa.field(name, pa.scalar(cell).type) for name, cell in like.items()]


def type_of(cells: Sequence[Any]) -> pa.DataType:
    """Return the type of some cells; text where all are null or their types differ."""
    try:
        found = pa.array(cells).type
    except (pa.ArrowException, OverflowError):  # numbers and text, or a number that is too large
        return pa.string()
    return pa.string() if pa.types.is_null(found) else found


def column_of(cells: Sequence[Any], field: pa.Field) -> pa.Array:
    """Return cells as a column; in a column of text, anything else as text.

    Raises:
        DataError: a cell does not have the column's type.
    """
    if pa.types.is_string(field.type):
        cells = [None if cell is None else str(cell) for cell in cells]
    try:
        return pa.array(cells, field.type)
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(f"column {field.name!r} began as {field.type}, and a later cell is not: {error}") from error


def plain_type(found: pa.DataType) -> pa.DataType:
    """Return the type of a column's cells, however they are laid out in memory."""
    if pa.types.is_dictionary(found):
        return plain_type(found.value_type)
    if pa.types.is_large_string(found) or pa.types.is_string_view(found):
        return pa.string()
    return found
