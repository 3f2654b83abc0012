"""How long the rows of a split are in tokens, and what is lost where they do not fit.

Owns the numbers of an input on a split. How rows are padded is the plan's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtl_transformers.checking.findings import Finding, graver_above, named
from mtl_transformers.data.encoded import EncodedInput, EncodedSplit
from mtl_transformers.data.labelling import rows_of
from mtl_transformers.runtime.text_encoders import TextEncoders
from mtl_transformers.text.inputs import encode

MANY_TRUNCATED = 0.05  # share of the rows
WHOLE = 2**30  # tokens of a sequence that is not cut
MOST_REREAD = 1000  # rows that are encoded again, to see how much they lost
_STEP = 8  # a suggested length is a multiple of it


@dataclass(frozen=True, slots=True)
class CheckedLengths:
    """The tokens of an input's rows on a split.

    Attributes:
        dataset: its name.
        split: its name.
        tasks: those that read the input.
        rows: that have a label of some task.
        max_length: tokens that a sequence may have.
        mean: tokens of a row's longest sequence, as it is read.
        percentiles: likewise, 50, 90, 99 and 100 % of the rows have at most so many.
        mean_sequences: sequences of a row: windows or options.
        truncated: rows that lose tokens.
        tokens_lost: share of all tokens that they lose.
        enough: tokens that 99 % of the rows would need, at most those that the encoder takes.
    """

    dataset: str
    split: str
    tasks: tuple[str, ...]
    rows: int
    max_length: int
    mean: float
    percentiles: dict[str, int]
    mean_sequences: float
    truncated: int
    tokens_lost: float
    enough: int


def checked_lengths(
    encoded: EncodedSplit, read: EncodedInput, encoders: TextEncoders, *, limit: int | None
) -> CheckedLengths:
    """Measure an input on a split.

    Args:
        encoded: the split.
        read: the input on it.
        encoders: of the tokenizer.
        limit: tokens that the encoder takes.
    """
    truncated = truncated_rows(read)
    whole = read.lengths.astype(np.int64)
    sample = truncated[np.linspace(0, len(truncated) - 1, min(len(truncated), MOST_REREAD)).astype(np.int64)]
    lost = 0.0
    if len(sample) and read.given.stride is None:
        lengths = _whole_lengths(encoded, read, encoders, sample)
        lost = float((lengths - whole[sample]).mean()) * len(truncated)
        whole[truncated] = np.resize(lengths, len(truncated))
    enough = -(-int(np.quantile(whole, 0.99, method="higher")) // _STEP) * _STEP if len(whole) else 0
    return CheckedLengths(
        dataset=encoded.dataset,
        split=encoded.split,
        tasks=read.tasks,
        rows=len(encoded),
        max_length=read.given.max_length,
        mean=float(read.lengths.mean()) if len(encoded) else 0.0,
        percentiles=_percentiles(read.lengths),
        mean_sequences=float(read.num_sequences.mean()) if len(encoded) else 0.0,
        truncated=len(truncated),
        tokens_lost=lost / (lost + float((read.lengths * read.num_sequences).sum())) if lost else 0.0,
        enough=min(enough, limit or enough),
    )


def length_findings(encoded: EncodedSplit, read: EncodedInput, checked: CheckedLengths) -> Iterator[Finding]:
    """Yield what is to be said of rows that are cut."""
    if not checked.truncated:
        return
    key = f"data.{encoded.dataset}"
    share = checked.truncated / len(encoded)
    wanted = f"{checked.enough} tokens would be enough for 99 % of them"
    yield Finding(
        severity=graver_above(MANY_TRUNCATED, share),
        topic="lengths",
        place=key,
        split=encoded.split,
        message=f"rows that are cut to {checked.max_length} tokens: {checked.truncated:,} ({share:.1%}); raise "
        f"{key}.max_length if their ends matter ({wanted})",
        count=checked.truncated,
        rows=named(encoded.places, truncated_rows(read).tolist()),
    )


def truncated_rows(read: EncodedInput) -> NDArray[np.int64]:
    """Return the rows of an input that lost tokens."""
    flags = read.features.select_columns(["truncated"]).with_format("numpy")[:]["truncated"]
    return np.flatnonzero(flags)


def _whole_lengths(
    encoded: EncodedSplit, read: EncodedInput, encoders: TextEncoders, rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """``[n]`` tokens that the longest sequence of some rows would have if nothing were cut."""
    given = replace(read.given, max_length=WHOLE, aligned=None, stride=None)
    found = encode(encoders.encoding(given).encoder, rows_of(encoded.table, rows.tolist(), given), given)
    return np.asarray([row.length for row in found], dtype=np.int64)


def _percentiles(lengths: NDArray[np.int32]) -> dict[str, int]:
    shares = (50, 90, 99, 100)
    if not len(lengths):
        return {str(share): 0 for share in shares}
    found = np.percentile(lengths, shares, method="higher")
    return {str(share): int(value) for share, value in zip(shares, found, strict=True)}
