"""Which files make one dataset, and which split each is: by their names, for as long as nothing is read but heads.

Files of one folder and format whose names differ in a word for a split (train, dev, test, …) or in numbers are one
dataset; `tables` joins others whose columns are equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mtl_transformers.drafting.naming import legal_name, split_in
from mtl_transformers.drafting.sniffing import SUFFIXES, Layout, layout_of
from mtl_transformers.errors import DataError

_SAVED = ("dataset_dict.json", "state.json")


@dataclass(frozen=True, slots=True)
class Group:
    """The files of one dataset.

    Attributes:
        name: a legal one, as the files suggest it.
        folder: in which they lie.
        layout: how they are read; a directory of ``save_to_disk`` is a path of its own.
        files: by our split, ``train`` first; none of a saved directory.
        says_splits: their names say which split they are.
    """

    name: str
    folder: str
    layout: Layout
    files: Mapping[str, tuple[str, ...]]
    says_splits: bool


def groups_of(paths: Iterable[str]) -> list[Group]:
    """Return the datasets that some files and directories are, in the order in which they are given.

    Raises:
        DataError: a path that is not there, a file of an unknown format, no file at all, or only files of tests.
    """
    given = list(dict.fromkeys(found for path in paths for found in _expanded(path)))
    if not given:
        raise DataError(f"{', '.join(paths)}: there is no file that ends in one of {', '.join(SUFFIXES)}")
    grouped: dict[tuple[str, str, str], dict[str | None, list[str]]] = {}
    for file in given:
        split, base = (None, Path(file).name) if Path(file).is_dir() else split_in(Path(file).stem)
        key = (str(Path(file).parent), base, Path(file).suffix.lower())
        grouped.setdefault(key, {}).setdefault(split, []).append(file)
    found: list[Group] = []
    for (folder, base, _), by_split in grouped.items():
        name = legal_name(base or Path(folder).resolve().name, otherwise="data", taken=[group.name for group in found])
        found.append(_group(name, folder, by_split))
    return found


def _group(name: str, folder: str, by_split: Mapping[str | None, list[str]]) -> Group:
    every = [file for files in by_split.values() for file in files]
    if len(every) == 1 and Path(every[0]).is_dir():
        return Group(name, folder, Layout(every[0]), {}, says_splits=True)
    files = {"train": [*by_split.get("train", ()), *by_split.get(None, ())]}
    files |= {split: by_split[split] for split in ("validation", "test") if split in by_split}
    if len(every) == 1:
        files = {"train": every}
    if not files["train"]:
        raise DataError(
            f"{', '.join(every)}: there is no file of training rows among them. Name one too, or call one train"
        )
    named = {split: tuple(of_split) for split, of_split in files.items() if of_split}
    return Group(name, folder, layout_of(named["train"][0]), named, says_splits=set(by_split) != {None})


def _expanded(path: str) -> Iterator[str]:
    """Yield a file, or the files below a directory that have a known suffix; a saved dataset is one."""
    place = Path(path)
    if not place.is_dir() or any((place / name).is_file() for name in _SAVED):
        yield path
    else:
        for entry in sorted(place.iterdir()):
            known = entry.is_file() and entry.suffix.removeprefix(".").lower() in SUFFIXES
            if not entry.name.startswith(".") and (known or entry.is_dir()):
                yield from _expanded(str(entry))
