"""The section ``card``: what the model card says that no training knows. Every key, its default, its documentation."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ValidationInfo, field_validator

from mtl_transformers.config.licenses import OTHER, License
from mtl_transformers.config.values import Section, Text

_SPECIAL = ("code", "multilingual")


def _in_a_list(value: object) -> object:
    return (value,) if isinstance(value, str | bool) else value  # a bool: no is Norwegian, and false to YAML


def _code(language: str) -> str:
    if not re.fullmatch("[a-z]{2,3}", language) and language not in _SPECIAL:
        raise ValueError(
            f"{language!r} is no ISO code of a language, two or three small letters as en, nor {' nor '.join(_SPECIAL)}"
        )
    return language


class CardConfig(Section):
    """What the model card says that no training knows; it is stored with the model."""

    name: Text | None = None
    """The model's name; null: that of the run and of the directory, as tickets-best."""
    description: Text | None = None
    """What it is, in Markdown."""
    intended_use: Text | None = None
    """What it is meant for, in Markdown."""
    out_of_scope: Text | None = None
    """What it is not to be used for, in Markdown."""
    authors: Annotated[tuple[Text, ...], BeforeValidator(_in_a_list)] = ()
    """A name, or a list of names."""
    language: Annotated[tuple[Annotated[Text, AfterValidator(_code)], ...], BeforeValidator(_in_a_list)] = ()
    """An ISO code of the texts' language as en, or a list of codes."""
    license: License | None = None
    """The model's licence as the hub spells it."""
    license_name: Text | None = None
    """The name of an ``other`` licence."""
    license_link: Text | None = None
    """Where the text of an ``other`` licence stands."""

    @field_validator("license_name", "license_link")
    @classmethod
    def _of_another_licence(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("license", OTHER) != OTHER:
            raise ValueError("belongs to license: other; remove it, or set that")
        return value
