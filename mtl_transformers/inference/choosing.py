"""Which tasks the columns of a table allow. Names in, names out, and what is left out in the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from mtl_transformers.errors import ConfigError, DataError, nearest
from mtl_transformers.inference.rows import lacking, listed
from mtl_transformers.inference.served import ServedTask

_LOG = logging.getLogger(__name__)


def choose_tasks(tasks: Mapping[str, ServedTask], columns: Sequence[str], *, named: Sequence[str] | None) -> list[str]:
    """Return the tasks that are answered: the named ones, or all whose columns there are.

    Args:
        tasks: of the model.
        columns: under the names that the model reads.
        named: names of tasks, or ``None``.

    Raises:
        ConfigError: a named task is not the model's.
        DataError: the columns of a named task are missing, or those of all tasks.
    """
    for name in named or ():
        if name not in tasks:
            raise ConfigError(f"unknown task {name!r}; the model answers {', '.join(tasks)}{nearest(name, tasks)}")
    lacks = {name: lacking(served.input, columns) for name, served in tasks.items()}
    for name in named or ():
        if lacks[name]:
            raise DataError(f"task {name!r} reads {listed(tasks[name].input.required)}; {lacks[name]}")
    chosen = list(dict.fromkeys(named)) if named is not None else [name for name in tasks if not lacks[name]]
    if not chosen:
        reads = (f"{name} reads {listed(served.input.required)}" for name, served in tasks.items())
        raise DataError(f"no task can be answered: the rows have {listed(columns)}; {'; '.join(reads)}")
    if named is None and (left := [name for name in tasks if lacks[name]]):
        _LOG.warning("not answered, because their columns are not given: %s", ", ".join(left))
    return chosen
