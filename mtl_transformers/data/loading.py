"""Loads the splits of one dataset as Arrow tables.

Owns what ``path``, ``name``, ``revision``, ``files``, ``options`` and ``splits`` of a section ``data.<name>``
mean, and the errors of files that cannot be read. Does not know columns, texts or labels, and makes no splits
(``splitting.py``). Tables stay on disk in the cache of `datasets` and are memory-mapped; nothing is written
beside the user's files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import datasets

from mtl_transformers.data import formats
from mtl_transformers.data.formats import FORMATS
from mtl_transformers.data.reading import FAULTS, no_rows, read_files, reason_of, tables_of
from mtl_transformers.data.resolving import resolved_files
from mtl_transformers.data.spec import SPLITS, Source
from mtl_transformers.errors import ConfigError, DataError, nearest

_LOG = logging.getLogger(__name__)


def load_splits(source: Source) -> dict[str, datasets.Dataset]:
    """Load the splits of a dataset.

    Returns:
        Tables by our split names, in the order train, validation, test; without those that the source lacks.

    Raises:
        ConfigError: a setting that the source does not have.
        DataError: a missing or unreadable file, an unknown path or split, an empty split.
    """
    with quiet_datasets():
        if source.path in FORMATS:
            tables = _load_files(source)
        elif _is_saved(source.path):
            tables = _load_saved(source)
        else:
            tables = _load_named(source)
    return _as_our_splits(source, tables)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Silence the progress bars and the log of `datasets`, and restore both."""
    shows_bars = not datasets.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    if shows_bars:
        datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if shows_bars:
            datasets.enable_progress_bars()


def _load_files(source: Source) -> dict[str, datasets.Dataset]:
    _refuse(source, "name", source.config_name)
    _refuse(source, "revision", source.revision)
    return read_files(source, resolved_files(source))


def num_rows_of(source: Source, file: str) -> int:
    """Count the rows of one file of a source, by reading it.

    Raises:
        DataError: it cannot be read any more.
    """
    with TemporaryDirectory() as folder, quiet_datasets():
        return len(read_files(replace(source, cache_dir=folder), {"train": [file]})["train"])


def is_hub_dataset(path: str) -> bool:
    """Return whether a ``path`` names a dataset on the hub."""
    return path not in FORMATS and not _is_saved(path)


def _is_saved(path: str) -> bool:
    return any(Path(path, name).is_file() for name in ("dataset_dict.json", "state.json"))


def _load_saved(source: Source) -> dict[str, datasets.Dataset]:
    for key, value in (("name", source.config_name), ("revision", source.revision), ("files", source.files)):
        _refuse(source, key, value)
    _refuse(source, "options", source.options)
    try:
        loaded = datasets.load_from_disk(source.path)
    except FAULTS as error:
        raise DataError(
            f"dataset {source.name!r}: {source.path} cannot be read: {reason_of(error)}. "
            "Write it again with save_to_disk"
        ) from error
    return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}


def _refuse(source: Source, key: str, value: object) -> None:
    if value:
        kind = "files" if source.path in FORMATS else "a directory of save_to_disk"
        raise ConfigError(f"data.{source.name}.{key}: {kind} ({source.path}) has no {key}; remove it")


def _load_named(source: Source) -> dict[str, datasets.Dataset]:
    """Load a dataset of the hub, of its cache, or of a local folder of data files."""
    try:
        if source.options:
            probe = _named_builder(source, {})
            formats.check_options(type(probe.config), source.options, dataset=source.name, path=source.path)
        return tables_of(source, _named_builder(source, source.options))
    except (*FAULTS, RuntimeError) as error:  # a RuntimeError says that loading scripts are never run
        raise DataError(_describe_path(source, error)) from error


def _named_builder(source: Source, options: Mapping[str, object]) -> datasets.DatasetBuilder:
    return datasets.load_dataset_builder(
        source.path,
        source.config_name,
        revision=source.revision,
        data_files=source.files or None,
        cache_dir=source.cache_dir,
        **options,
    )


def _describe_path(source: Source, error: BaseException) -> str:
    form = formats.suggested_by(source.path)
    if Path(source.path).is_file():
        return (
            f"dataset {source.name!r}: path {source.path} is a file; "
            f"set path: {form or 'csv'} and files: {{train: {source.path}}}"
        )
    return (
        f"dataset {source.name!r}: path {source.path!r} cannot be loaded ({reason_of(error)}). A path is "
        f"a format of files ({', '.join(FORMATS)}), a directory written by save_to_disk, or the id of "
        f"a dataset on the hub, which must be reachable or in the cache{nearest(source.path, FORMATS)}"
    )


def _as_our_splits(source: Source, tables: Mapping[str, datasets.Dataset]) -> dict[str, datasets.Dataset]:
    available = ", ".join(tables)
    for ours, theirs in source.splits.items():
        if ours not in SPLITS:
            raise ConfigError(f"data.{source.name}.splits.{ours}: our splits are {', '.join(SPLITS)}")
        if theirs not in tables:
            raise DataError(
                f"data.{source.name}.splits.{ours}: dataset {source.name!r} has the splits {available} "
                f"and no {theirs!r}{nearest(theirs, tables)}"
            )
    kept = {name: name for name in tables if name in SPLITS and name not in source.splits.values()}
    kept |= source.splits
    if not kept:
        raise DataError(
            f"dataset {source.name!r} has the splits {available}, none of which is {', '.join(SPLITS)}. "
            f"Map them: data.{source.name}.splits: {{train: {next(iter(tables))}}}"
        )
    left_out = [name for name in tables if name not in kept.values()]
    if left_out:
        _LOG.info("dataset %r: left out the splits %s", source.name, ", ".join(left_out))
    for ours, theirs in kept.items():
        if not len(tables[theirs]):
            raise DataError(no_rows(source.name, ours))
    return {split: tables[kept[split]] for split in SPLITS if split in kept}
