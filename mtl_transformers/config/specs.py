"""From a dataset's section to the plain values that ``data`` works with."""

from __future__ import annotations

from mtl_transformers.config.sections import DataConfig, SplitByColumn, SplitByHash
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, HashSplit, Source


def dataset_spec(name: str, section: DataConfig) -> DatasetSpec:
    """Return a section ``data.<name>`` as plain values."""
    return DatasetSpec(
        source=Source(
            name=name,
            path=section.path,
            config_name=section.name,
            revision=section.revision,
            files=section.files or {},
            options=section.options,
            splits={ours: theirs for ours, theirs in section.splits.items()},  # noqa: C416  a wider type of key
        ),
        text=(section.text,) if isinstance(section.text, str) else section.text,
        id=section.id,
        max_length=section.max_length,
        stride=section.stride,
        split=_split(section.split),
        shuffle=section.shuffle,
        limit={split: rows for split, rows in section.limit.items()},  # noqa: C416  a wider type of key
        drop_empty=section.filter.drop_empty,
    )


def _split(section: SplitByColumn | SplitByHash | None) -> ColumnSplit | HashSplit | None:
    if isinstance(section, SplitByColumn):
        return ColumnSplit(section.column, section.values)
    if isinstance(section, SplitByHash):
        return HashSplit(section.model_dump(exclude_none=True))
    return None
