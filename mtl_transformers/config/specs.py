"""From a section to the plain values that other places work with: ``data`` a dataset's, the model card a person's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mtl_transformers.config.card_section import CardConfig
from mtl_transformers.config.data_section import (
    AugmentConfig,
    DataConfig,
    FilterConfig,
    NearDuplicates,
    SplitByColumn,
    SplitByShares,
)
from mtl_transformers.config.tasks import TaskConfig
from mtl_transformers.data.spec import (
    ColumnSplit,
    DatasetSpec,
    Filters,
    Grouping,
    GroupSplit,
    HashSplit,
    Source,
    Split,
    StratifiedSplit,
    TimeSplit,
)
from mtl_transformers.model.card_content import CardWords
from mtl_transformers.tasks.kinds import KINDS
from mtl_transformers.text.augmenting import Augment


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
        clean=section.clean,
        augment=None if section.augment is None else _augment(section.augment),
        filters=_filters(section.filter),
        labels=_label_columns(own),
        word_labels=_label_columns(task for task in own if KINDS[task.kind].vectors == "token"),
        group=_grouping([task for task in own if KINDS[task.kind].groups_rows]),
    )


def _label_columns(tasks: Iterable[TaskConfig]) -> tuple[str, ...]:
    columns = (column for task in tasks for column in KINDS[task.kind].label_columns(task.kind_options))
    return tuple(dict.fromkeys(columns))


def _grouping(tasks: Sequence[TaskConfig]) -> Grouping | None:
    """Return how the rows of tasks that agree on it are grouped."""
    return Grouping(tasks[0].kind_options.group, _label_columns(tasks)) if tasks else None


def _split(section: SplitByColumn | SplitByShares | None) -> Split | None:
    match section:
        case None:
            return None
        case SplitByColumn():
            return ColumnSplit(section.column, section.values)
    ratios = section.model_dump(include={"validation", "test"}, exclude_none=True)
    if section.stratify is not None:
        return StratifiedSplit(ratios, section.stratify)
    if section.group is not None:
        return GroupSplit(ratios, section.group)
    if section.time is not None:
        return TimeSplit(ratios, section.time)
    return HashSplit(ratios)


def _filters(section: FilterConfig) -> Filters:
    chosen = section.drop_duplicates
    return Filters(
        drop_empty=section.drop_empty,
        min_words=section.min_words,
        max_words=section.max_words,
        drop_conflicts=section.drop_conflicts,
        drop_duplicates=chosen is not False,
        near=chosen.near if isinstance(chosen, NearDuplicates) else None,
        drop_leaks=section.drop_leaks,
    )


def _augment(section: AugmentConfig) -> Augment:
    return Augment(
        share=section.share,
        word_swap=section.word_swap,
        token_dropout=section.token_dropout,
        random_mask=section.random_mask,
        synonyms=0.0 if section.synonyms is None else section.synonyms.probability,
        typos=section.typos,
        casing=section.casing,
        synonyms_file=None if section.synonyms is None else section.synonyms.file,
    )


def card_words(section: CardConfig) -> CardWords:
    """Return the section ``card`` as plain values."""
    return CardWords(**section.model_dump())
