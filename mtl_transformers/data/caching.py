"""Tables that are computed once: what is made from a table is stored under a hash of the content it was made from.

Owns the place of the cache, its keys and its writing; does not know what is computed. The keys are ours because those
of `datasets` change with the state of a tokenizer, and know files where we mean content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from mtl_transformers.data.loading import quiet_datasets

BATCH_ROWS = 1000  # rows that are in memory at once


def cached_map(
    table: datasets.Dataset,
    function: Callable[[Mapping[str, list[Any]], list[int]], Mapping[str, Sequence[Any]]],
    *,
    features: Mapping[str, Any],
    key: str,
) -> datasets.Dataset:
    """Compute a table from another, a batch of consecutive rows at once, or read it where its key is known.

    Args:
        table: the rows.
        function: from columns and row numbers of a batch to the new columns.
        features: type of each new column.
        key: names the result; whatever the result depends on is hashed in it.
    """
    with quiet_datasets():
        return table.with_format(None).map(
            function,
            batched=True,
            batch_size=BATCH_ROWS,
            with_indices=True,
            remove_columns=table.column_names,
            features=datasets.Features(dict(features)),
            cache_file_name=_file(key),
            new_fingerprint=key,
        )


def contiguous(table: datasets.Dataset) -> datasets.Dataset:
    """Write the selected rows of a table one after another, so that reading all of them is quick.

    `datasets` gathers the rows of a shuffled or filtered table one by one, whenever they are read.
    """
    with quiet_datasets():
        # the file's name would be the same by default, but stand beside the table, in the folder of a user
        return table.flatten_indices(cache_file_name=_file(digest("rows", table._fingerprint)))


def content_key(table: datasets.Dataset, columns: Sequence[str]) -> str:
    """Hash the content of some columns, row by row, whatever file or order of reading it came from."""
    sink = blake2b(digest_size=16)
    for batch in table.select_columns(list(columns)).with_format("arrow").iter(batch_size=BATCH_ROWS):
        for name in columns:  # the buffers of equal columns may differ in what no row shows
            sink.update(repr(batch.column(name).to_pylist()).encode())
    return sink.hexdigest()


def values_key(table: datasets.Dataset) -> str:
    """Hash the numbers and texts of all columns, in lists and objects too; quick.

    The same however the rows are stored.
    """
    sink = blake2b(json.dumps(table.column_names).encode(), digest_size=16)
    for batch in table.with_format("arrow").iter(batch_size=BATCH_ROWS):
        for column in batch.columns:
            _hash_values(column.combine_chunks(), sink.update)
    return sink.hexdigest()


def _hash_values(values: pa.Array, update: Callable[[bytes], None]) -> None:
    """Hash an array level by level: the lengths of its lists, then what is in them; null is no value."""
    update(len(values).to_bytes(8, "big") + values.is_valid().to_numpy(zero_copy_only=False).tobytes())
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        update(values.value_lengths().fill_null(0).to_numpy().astype(np.int64).tobytes())
        _hash_values(values.flatten(), update)
    elif pa.types.is_struct(values.type):
        for field in values.flatten():
            _hash_values(field, update)
    elif pa.types.is_string(values.type):
        encoded = [text.encode() for text in values.drop_null().to_pylist()]
        update(b"".join(len(text).to_bytes(8, "big") + text for text in encoded))
    else:
        update(values.drop_null().to_numpy(zero_copy_only=False).tobytes())


def digest(*parts: str) -> str:
    """Hash some strings; where one ends and the next begins counts."""
    sink = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode()
        sink.update(len(encoded).to_bytes(8, "big") + encoded)
    return sink.hexdigest()


def _file(key: str) -> str:
    place = Path(datasets.config.HF_DATASETS_CACHE) / "mtl_transformers"
    place.mkdir(parents=True, exist_ok=True)
    return str(place / f"{key}.arrow")
