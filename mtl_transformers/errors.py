"""The errors that a user can cause. Owns the tree of exceptions; decides nothing.

MTLError
├── ConfigError       the configuration, the command line or a setting that cannot be honoured
├── DataError         a file, a column, a row or a label
├── ModelError        an encoder, a tokenizer, a head or a model directory
├── CheckpointError   a run directory or a checkpoint
├── FileError         a file or a directory that cannot be read, written or replaced
└── Interrupted       a training that a signal or a limit of time stopped; it can be resumed

The command line prints the message of an MTLError without a traceback and exits with 2.
A message says what is wrong, where, what was expected and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class MTLError(Exception):
    """Base of every error that a user can cause."""


class ConfigError(MTLError):
    """The configuration, or a setting that cannot be honoured."""


class DataError(MTLError):
    """A file, a column, a row or a label."""


class ModelError(MTLError):
    """An encoder, a tokenizer, a head or a model directory."""


class CheckpointError(MTLError):
    """A run directory or a checkpoint."""


class FileError(MTLError):
    """A file or a directory that cannot be read, written or replaced: a full disk, a fault, a missing permission."""


class Interrupted(MTLError):
    """A training that a signal or a limit of time stopped; it can be resumed."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or an empty string."""
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""
