"""Differences of nested plain values, key by key: what `diff` tells of JSON whose keys it does not know. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Value:
    """A value that differs.

    Attributes:
        key: its path, as ``options.threshold`` or ``thresholds.cards``.
        before: ``None`` where it is null or not there.
        after: likewise.
    """

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Names:
    """How two lists of names differ.

    Attributes:
        added: names that only the second one has.
        removed: names that only the first one has.
        reordered: the common ones stand in another order.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reordered: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether they are equal."""
        return not (self.added or self.removed or self.reordered)


def value_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], *, without: Collection[str] = (), names: Sequence[str] = ()
) -> list[Value]:
    """Return the values that differ, by their paths.

    Args:
        before: nested mappings.
        after: likewise.
        without: keys at the top that are not looked at.
        names: of the places of a list that has as many, as the labels of thresholds.
    """
    old, new = (_flat({k: v for k, v in of.items() if k not in without}, names) for of in (before, after))
    return [
        Value(key, old.get(key), new.get(key))
        for key in {**old, **new}
        if old.get(key) != new.get(key) or type(old.get(key)) is not type(new.get(key))
    ]


def name_differences(before: Sequence[str], after: Sequence[str]) -> Names:
    """Compare two lists of names."""
    common = [name for name in before if name in after]
    return Names(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        reordered=common != [name for name in after if name in before],
    )


def _flat(values: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = _named(value, names)
        flat |= {f"{prefix}{key}": value} if inner is None else _flat(inner, names, f"{prefix}{key}.")
    return flat


def _named(value: Any, names: Sequence[str]) -> Mapping[str, Any] | None:
    """Return what has names of its own: a mapping, a list of things that are named, a list with a place for each name.

    Returns:
        ``None`` where it is one value.
    """
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in value):
        return {item["name"]: {key: of for key, of in item.items() if key != "name"} for item in value}
    if len(value) == len(names) and not any(isinstance(item, list | Mapping) for item in value):
        return dict(zip(names, value, strict=True))
    return None
