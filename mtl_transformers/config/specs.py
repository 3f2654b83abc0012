"""From a dataset's section to the plain values that ``data`` works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtl_transformers.config.sections import DataConfig, SplitByColumn, SplitByHash
from mtl_transformers.config.tasks import TaskConfig
from mtl_transformers.data.spec import ColumnSplit, DatasetSpec, Grouping, HashSplit, Source
from mtl_transformers.tasks.kinds import KINDS


def dataset_spec(name: str, section: DataConfig, tasks: Mapping[str, TaskConfig]) -> DatasetSpec:
    """Return a section ``data.<name>`` as plain values, with what its tasks ask of the table."""
    own = [task for task in tasks.values() if task.data == name]
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
        group=_grouping([task for task in own if KINDS[task.kind].groups_rows]),
    )


def _grouping(tasks: Sequence[TaskConfig]) -> Grouping | None:
    """Return how the rows of tasks that agree on it are grouped."""
    if not tasks:
        return None
    labels = (column for task in tasks for column in KINDS[task.kind].label_columns(task.kind_options))
    return Grouping(tasks[0].kind_options.group, tuple(dict.fromkeys(labels)))


def _split(section: SplitByColumn | SplitByHash | None) -> ColumnSplit | HashSplit | None:
    if isinstance(section, SplitByColumn):
        return ColumnSplit(section.column, section.values)
    if isinstance(section, SplitByHash):
        return HashSplit(section.model_dump(exclude_none=True))
    return None
