"""What the config says of a dataset, as plain values. Imports nothing heavy, so that reading a config is quick."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mtl_transformers.text.augmenting import Augment

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the splits of one dataset come from: plain values of a section ``data.<name>``.

    Attributes:
        name: the dataset's name in the config.
        path: a format (`formats.FORMATS`), a hub id, or a directory that ``save_to_disk`` wrote.
        config_name: a hub dataset's configuration (the key ``name`` of the section).
        revision: a hub dataset's revision.
        files: split → path, glob or list of them, relative to the working directory; paths alone are split ``train``.
            Of parallel files: split → column → path. Of a hub id: the repository's own paths.
        options: the builder's own.
        splits: our split → the source's.
        cache_dir: where `datasets` keeps its tables; ``None`` is its default.
    """

    name: str
    path: str
    config_name: str | None = None
    revision: str | None = None
    files: str | Sequence[str] | Mapping[str, str | Sequence[str] | Mapping[str, str]] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    cache_dir: str | None = None


@dataclass(frozen=True, slots=True)
class ColumnSplit:
    """A split that is a column of the table: the column, and our split by each of its values."""

    column: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class HashSplit:
    """Splits made from train: the share of each by a seeded hash of the text."""

    ratios: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Grouping:
    """Rows of pairs that become one row for each query, with a list of its candidates.

    Attributes:
        column: whose equal values are one query; ``None``: equal texts of the query are, or the rows are such already.
        labels: the columns that become lists beside the candidates.
    """

    column: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StratifiedSplit:
    """Splits made from train so that each label of a column has its shares."""

    ratios: Mapping[str, float]
    column: str


@dataclass(frozen=True, slots=True)
class GroupSplit:
    """Splits made from train: the share of each by a seeded hash of a group."""

    ratios: Mapping[str, float]
    column: str


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """Splits made from train: the newest rows by a column of times."""

    ratios: Mapping[str, float]
    column: str


Split = ColumnSplit | HashSplit | StratifiedSplit | GroupSplit | TimeSplit


@dataclass(frozen=True, slots=True)
class Filters:
    """Which rows are left out, in this order; `drop_leaks` when all datasets are ready.

    Attributes:
        drop_empty: rows without text, which are refused otherwise.
        min_words: rows with fewer words in their text columns together.
        max_words: rows with more.
        drop_conflicts: train rows whose text stands there with another label too.
        drop_duplicates: rows whose text and labels equal those of an earlier row of the split.
        near: with `drop_duplicates`, also rows of equal labels whose text is so near an earlier one's: the least
            Jaccard index of their pairs of neighbouring words.
        drop_leaks: train rows whose text stands in validation or test of any dataset.
    """

    drop_empty: bool = False
    min_words: int | None = None
    max_words: int | None = None
    drop_conflicts: bool = False
    drop_duplicates: bool = False
    near: float | None = None
    drop_leaks: bool = False


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """How a dataset is read and made ready: group, split, shuffle, limit, filter, in this order.

    Attributes:
        source: where its tables come from.
        text: one column of text or words, or two of a pair.
        id: the column that names rows.
        max_length: tokens of a sequence; ``None``: the encoder's.
        stride: tokens that two windows of a long text share; ``None``: its end is cut off.
        split: how missing splits are made; ``None``: a tenth of train by hash where there is no validation split.
        shuffle: shuffle each split by the seed before the limit.
        limit: at most this many rows, by split.
        clean: steps that texts go through, as `text.cleaning.step_of` writes them.
        filters: which rows are left out.
        labels: the label columns of its tasks: what filters compare beside the text.
        word_labels: those of them that label words or characters, and so belong to a text as it is written.
        augment: how training texts are changed; ``None``: not at all.
        group: how rows are put together; ``None``: each stands for itself. The text columns are then the query's and
            the candidates'.
    """

    source: Source
    text: tuple[str, ...]
    id: str | None = None
    max_length: int | None = None
    stride: int | None = None
    split: Split | None = None
    shuffle: bool = False
    limit: Mapping[str, int] = field(default_factory=dict)
    clean: tuple[str, ...] = ()
    filters: Filters = Filters()
    labels: tuple[str, ...] = ()
    word_labels: tuple[str, ...] = ()
    augment: Augment | None = None
    group: Grouping | None = None

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.source.name

    @property
    def telling(self) -> tuple[str, ...]:
        """The columns that tell whether two rows are one text: of queries and candidates, the query's."""
        return self.text if self.group is None else self.text[:1]
