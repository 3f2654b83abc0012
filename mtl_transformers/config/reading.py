"""From a file to a frozen config, or to all of its problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import ValidationError

from mtl_transformers.config.overrides import Raw, apply_override, copied
from mtl_transformers.config.problems import problem_lines
from mtl_transformers.config.references import reference_problems
from mtl_transformers.config.sections import Config
from mtl_transformers.config.yaml_text import read_yaml
from mtl_transformers.errors import ConfigError


def load_config(source: str | Path | Mapping[str, object], overrides: Mapping[str, object] | None = None) -> Config:
    """Read, check and freeze a config.

    Args:
        source: a YAML file, or its content as a mapping.
        overrides: values by dotted path, as ``{"training.epochs": 1}``; they obey the same rules.

    Raises:
        ConfigError: all problems together, each with its path.
    """
    where = "config" if isinstance(source, Mapping) else str(source)
    raw = read_raw(source)
    problems = [line for path, value in (overrides or {}).items() for line in apply_override(raw, path, value)]
    config = None
    if halves := list(_half_characters(raw)):
        raise ConfigError("\n".join([f"{where}: text that no file can hold", *halves]))
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += problem_lines(error.errors(), raw)
    problems += reference_problems(raw)
    if config is None or problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise ConfigError("\n".join([f"{where}: {count}", *(f"  {line}" for line in problems)]))
    return config


def read_raw(source: str | Path | Mapping[str, object]) -> Raw:
    """Return the content of a config as it stands, unchecked: which keys were given at all.

    Raises:
        ConfigError: it cannot be read, or is no mapping.
    """
    return copied(source if isinstance(source, Mapping) else _read(Path(source)))


def _half_characters(value: object, path: tuple[str, ...] = ()) -> Iterator[str]:
    r"""Yield texts with half of a character, which an escape such as ``"\ud800"`` makes."""
    if isinstance(value, str) and not _is_whole(value):
        yield f"  {ascii('.'.join(path))[1:-1]}: {value!a} has half of a character; write the character itself"
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _half_characters(key, path)
            yield from _half_characters(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _half_characters(inner, (*path, str(number)))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _read(path: Path) -> Raw:
    if path.is_dir():
        raise ConfigError(f"{path}: is a directory; name a config in YAML")
    try:
        given = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; expected a config in YAML") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        text = given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = given.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: no UTF-8 text: {error.reason}. Save the file as UTF-8") from error
    raw = read_yaml(text, where=str(path))
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping with output, encoder, data and tasks")
    return raw
