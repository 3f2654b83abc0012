"""The tables that files hold, as far as a guess needs them: rows spread over each split, and their columns.

Reads through `data.loading`, so that a file is read here as it is in a training. Guesses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mtl_transformers.data.sampling import Sample, sample_splits
from mtl_transformers.data.spec import Source
from mtl_transformers.drafting.files import Group

SAMPLE_ROWS = 10_000
"""Rows of a split that are looked at."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it was sampled.

    Attributes:
        name: of the column.
        values: by split, in the order of the rows; the ids of a ClassLabel stand as names.
        class_names: of a ClassLabel.
    """

    name: str
    values: Mapping[str, Sequence[Any]]
    class_names: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A dataset as it was seen.

    Attributes:
        group: its files.
        num_rows: by split, of all rows.
        columns: by name, as sampled.
        left_out: files that have other columns than those of train, with the reason.
    """

    group: Group
    num_rows: Mapping[str, int]
    columns: Mapping[str, Column]
    left_out: Mapping[str, str] = field(default_factory=dict)


def seen_datasets(groups: Sequence[Group]) -> list[Seen]:
    """Read the datasets of some files; those whose files say no split and have equal columns are one.

    Raises:
        DataError: a file that cannot be read, or without rows.
    """
    return [_seen(group, samples, left_out) for group, samples, left_out in _joined(map(_read, groups))]


_Read = tuple[Group, dict[str, list[Sample]], dict[str, str]]


def _read(group: Group) -> _Read:
    """Return a group without the files that do not fit, its samples by split, and why the files were left out."""
    if not group.files:
        return group, {split: [sample] for split, sample in _samples(group, ()).items()}, {}
    samples: dict[str, list[Sample]] = {}
    kept: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, str] = {}
    expected: set[str] = set()
    for split, files in group.files.items():
        for file in files:
            sample = _samples(group, (file,), share=len(files))["train"]
            expected = expected or set(sample.values)
            if reason := _difference(expected, set(sample.values)):
                left_out[file] = reason
                continue
            samples.setdefault(split, []).append(sample)
            kept[split] = (*kept.get(split, ()), file)
    return replace(group, files=kept), samples, left_out


def _samples(group: Group, files: Sequence[str], *, share: int = 1) -> dict[str, Sample]:
    source = Source(name=group.name, path=group.layout.path, files=list(files), options=group.layout.options)
    return sample_splits(source, max_rows=max(1, SAMPLE_ROWS // share))


def _difference(expected: set[str], found: set[str]) -> str | None:
    missing, extra = sorted(expected - found), sorted(found - expected)
    parts = [f"it has no {', '.join(missing)}"] * bool(missing) + [f"it also has {', '.join(extra)}"] * bool(extra)
    return " and ".join(parts) or None


def _joined(read: Iterable[_Read]) -> Iterator[_Read]:
    """Join groups of one folder and layout whose files say no split and have equal columns."""
    found: dict[Any, _Read] = {}
    for group, samples, left_out in read:
        columns = tuple(next(iter(samples.values()))[0].values)
        apart = group.name if group.says_splits else None
        key = (group.folder, group.layout.path, tuple(sorted(group.layout.options)), columns, apart)
        if key in found:
            first, before, missed = found[key]
            files = (*first.files["train"], *group.files["train"])
            joined = {"train": [*before["train"], *samples["train"]]}
            found[key] = replace(first, files={"train": files}), joined, {**missed, **left_out}
        else:
            found[key] = group, samples, left_out
    yield from found.values()


def _seen(group: Group, samples: Mapping[str, Sequence[Sample]], left_out: Mapping[str, str]) -> Seen:
    first = next(iter(samples.values()))[0]
    columns = {
        name: Column(
            name,
            {split: [cell for part in parts for cell in part.values[name]] for split, parts in samples.items()},
            first.class_names[name],
        )
        for name in first.values
    }
    num_rows = {split: sum(part.num_rows for part in parts) for split, parts in samples.items()}
    return Seen(group, num_rows, columns, left_out)
