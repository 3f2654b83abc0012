"""The section ``data.<name>``: how a dataset is read and made ready. Every key, its default and its documentation.

Owns what can be said of one dataset alone. Dictionaries are typed as mappings: a config is not changed once it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from mtl_transformers.config.licenses import License
from mtl_transformers.config.values import (
    Bool,
    Count,
    Probability,
    Section,
    Share,
    Text,
)
from mtl_transformers.errors import ConfigError, nearest
from mtl_transformers.text.augmenting import CHANGES
from mtl_transformers.text.cleaning import step_of

SplitName = Literal["train", "validation", "test"]


class SplitByColumn(Section):
    """A split that is a column of the table."""

    column: Text
    """The column that names each row's split."""
    values: Mapping[str, SplitName] = {}
    """Ours by theirs, as ``{dev: validation}``; a value that is a split's name stands for itself."""


class SplitByShares(Section):
    """Splits made from train: by a seeded hash of the text, so that equal texts are on one side, or by a column."""

    validation: Share | None = None
    """Share of the rows."""
    test: Share | None = None
    """Share of the rows."""
    stratify: Text | None = None
    """A column (names, numbers or lists of these) whose every label gets its shares; equal texts are on one side."""
    group: Text | None = None
    """A column of groups, none of which is on two sides; the shares are of the groups, by a seeded hash."""
    time: Text | None = None
    """A column of times (dates, timestamps, numbers, ISO text): test is the newest rows, validation those before."""

    @field_validator("group", "time")
    @classmethod
    def _by_one_column(cls, value: str | None, info: ValidationInfo) -> str | None:
        for other in ("stratify", "group"):
            if value is not None and other != info.field_name and info.data.get(other) is not None:
                raise ValueError(f"{other} and {info.field_name} exclude each other; remove one of them")
        return value

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> SplitByShares:
        total = (self.validation or 0) + (self.test or 0)
        if total == 0:
            raise ValueError(
                "nothing to split off; give shares, as {validation: 0.1}, or a column that names the split"
            )
        if total >= 1:
            raise ValueError(f"validation and test take {total:g} of the rows; leave some to train on")
        return self


def _by_keys(entry: object) -> object:
    if isinstance(entry, Mapping):
        return split_section(entry).model_validate(entry)
    if isinstance(entry, SplitByColumn | SplitByShares):
        return entry
    raise ValueError("expected shares, as {validation: 0.1}, or a column, as {column: split}")


def split_section(entry: Mapping[str, object]) -> type[SplitByColumn | SplitByShares]:
    """Return the section that reads ``data.<name>.split``, also where a key is misspelt."""
    by_column = any(nearest(str(key), SplitByColumn.model_fields) for key in entry)
    return SplitByColumn if by_column else SplitByShares


class NearDuplicates(Section):
    """Duplicates that are nearly equal."""

    near: Share
    """Least Jaccard index of the pairs of neighbouring words."""


class FilterConfig(Section):
    """Rows that are left out. Texts are equal when their letters and digits are; case and punctuation do not count."""

    drop_empty: Bool = False
    """Leave out rows whose text is null or empty; else such a row is an error."""
    min_words: Count | None = None
    """Leave out rows with fewer words, those of all text columns together."""
    max_words: Count | None = None
    """Leave out rows with more words."""
    drop_duplicates: Bool | NearDuplicates = False
    """Of the rows of a split with equal text and labels keep the first; ``{near: 0.8}``: of nearly equal texts."""
    drop_conflicts: Bool = False
    """Leave out train rows whose text stands in train with another label too."""
    drop_leaks: Bool = False
    """Leave out train rows whose text stands in validation or test of any dataset."""

    @field_validator("max_words")
    @classmethod
    def _not_below_min_words(cls, value: int | None, info: ValidationInfo) -> int | None:
        least = info.data.get("min_words")
        if value is not None and least is not None and value < least:
            raise ValueError(f"{value} is below min_words, {least}; no row could be left")
        return value


def _step(given: object) -> str:
    try:
        return step_of(given)
    except ConfigError as error:
        raise ValueError(str(error)) from error


class SynonymsConfig(Section):
    """Words that are replaced by synonyms."""

    file: Text
    """Lines ``word<TAB>synonym,synonym``; ``.csv`` has ``word,synonym,synonym``, ``.jsonl`` the keys word, synonyms."""
    probability: Annotated[Probability, Field(gt=0)]
    """Of each word that has synonyms."""


class AugmentConfig(Section):
    """Training texts that are changed anew each time; probabilities are of each word."""

    share: Annotated[Probability, Field(gt=0)] = 0.5
    """Of the texts that are changed; the others are trained on as they are."""
    word_swap: Probability = 0.0
    """Changes places with the next word."""
    token_dropout: Probability = 0.0
    """Is left out."""
    random_mask: Probability = 0.0
    """Becomes the tokenizer's mask token."""
    synonyms: SynonymsConfig | None = None
    """Becomes another word of a file."""
    typos: Probability = 0.0
    """Is misspelt in one character."""
    casing: Probability = 0.0
    """Is written in another case."""

    @model_validator(mode="after")
    def _changes_something(self) -> AugmentConfig:
        if not any(getattr(self, change) for change in CHANGES):
            raise ValueError(f"changes nothing; give one of {', '.join(CHANGES)} a probability, or set it to null")
        return self


def _one_or_two(columns: object) -> object:
    if isinstance(columns, list | tuple) and len(columns) != 2:
        raise ValueError(f"expected one column, or two as [first, second] for pairs; got {len(columns)}")
    return columns


class DataConfig(Section):
    """One dataset: a named table with splits. Its rows go through split, shuffle, limit and filter, in this order."""

    path: Text
    """csv, json, parquet, arrow, text, conll, conllu, squad, parallel, a hub id, or a save_to_disk directory."""
    name: Text | None = None
    """The configuration of a hub dataset."""
    revision: Text | None = None
    """A revision of a hub id."""
    license: License | None = None
    """The licence of the data as the hub spells it, for the model card."""
    files: Mapping[str, str | tuple[str, ...] | Mapping[str, str]] | str | tuple[str, ...] | None = None
    """Paths or globs by split; without splits they are train. Of parallel files a path for each column of a split."""
    options: Mapping[str, JsonValue] = {}
    """The builder's own (``delimiter``, ``column_names``, …), checked against its fields."""
    splits: Mapping[SplitName, Text] = {}
    """Our split by theirs, as ``{validation: validation_matched}``."""
    split: Annotated[SplitByColumn | SplitByShares, BeforeValidator(_by_keys)] | None = None
    """How to make splits; null: where there is no validation split, a tenth of train by hash."""
    text: Annotated[Text | tuple[Text, Text], BeforeValidator(_one_or_two)]
    """A column of text or of words, or two columns for pairs."""
    id: Text | None = None
    """A column that names the rows in predictions."""
    max_length: Count | None = None
    """Tokens of a sequence here, instead of the encoder's ``max_length``."""
    stride: Count | None = None
    """Read a text that is too long in windows that share so many tokens; null: cut off its end."""
    shuffle: Bool = False
    """Shuffle by the seed before ``limit``."""
    limit: Mapping[SplitName, Count] = {}
    """At most this many rows of a split."""
    clean: tuple[Annotated[Text, BeforeValidator(_step)], ...] = ()
    """Steps that make texts cleaner (`text.cleaning`), in their order; the model's predictions take them too."""
    filter: FilterConfig = FilterConfig()
    """Rows that are left out."""
    augment: AugmentConfig | None = None
    """How training texts are changed; null: not at all."""
