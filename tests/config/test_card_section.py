"""What a person says of a model is checked as the hub will read it, before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from mtl_transformers.config import card_words, load_config
from mtl_transformers.config.licenses import LICENSES
from mtl_transformers.errors import ConfigError

RAW: dict[str, Any] = {
    "output": "runs/tickets",
    "encoder": {"name": "bert"},
    "data": {"tickets": {"path": "csv", "files": "tickets.csv", "text": "body"}},
    "tasks": {"intent": {"data": "tickets", "kind": "classification", "label": "intent"}},
}


def with_card(**given: Any) -> dict[str, Any]:
    return {**RAW, "card": given}


def test_one_name_and_a_list_of_names_are_the_same() -> None:
    one = load_config(with_card(language="en", authors="Ada"))
    assert one.card == load_config(with_card(language=["en"], authors=["Ada"])).card
    assert one.card.language == ("en",)


def test_what_is_said_reaches_the_card_word_by_word() -> None:
    given = {"name": "Tickets", "description": "Labels.", "intended_use": "Routing.", "out_of_scope": "All else."}
    words = card_words(load_config(with_card(**given, license="other", license_name="acme", license_link="x")).card)
    assert {name: getattr(words, name) for name in given} == given
    assert (words.license, words.license_name, words.license_link) == ("other", "acme", "x")
    assert words.authors == words.language == ()


def test_norwegian_has_to_be_quoted_and_stays_norwegian() -> None:
    with pytest.raises(ConfigError, match=r"card\.language: expected text; got false\. Quote it"):
        load_config(with_card(language=yaml.safe_load("no")))
    with pytest.raises(ConfigError, match=r"card\.language\.1: expected text; got false\. Quote it"):
        load_config(with_card(language=yaml.safe_load("[en, no]")))
    config = load_config(with_card(language=yaml.safe_load('"no"')))
    assert load_config(yaml.safe_load(config.to_yaml())).card.language == ("no",)


@pytest.mark.parametrize("language", ["english", "EN", "en-GB", "e", "en "])
def test_a_language_is_a_code(language: str) -> None:
    with pytest.raises(ConfigError, match=rf"card\.language: '{language}' is no ISO code"):
        load_config(with_card(language=language))


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("Apache 2.0", "did you mean 'apache-2.0'"),
        ("MIT", "did you mean 'mit'"),
        ("cc-by-4", "did you mean 'cc-by-"),
        ("house rules of acme", "or other"),
    ],
)
def test_a_licence_is_spelt_as_the_hub_does(given: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=rf"card\.license: '{given}' is no licence as the hub spells it.*{meant}"):
        load_config(with_card(license=given))
    data = {"tickets": {**RAW["data"]["tickets"], "license": given}}
    with pytest.raises(ConfigError, match=rf"data\.tickets\.license: '{given}' is no licence.*{meant}"):
        load_config({**RAW, "data": data})


def test_the_licences_are_well_formed() -> None:
    assert {"apache-2.0", "mit", "cc-by-4.0", "other", "unknown"} <= LICENSES
    assert all(name == name.lower() for name in LICENSES)


@pytest.mark.parametrize("key", ["license_name", "license_link"])
def test_a_licence_that_the_hub_knows_has_no_other_name(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"card\.{key}: belongs to license: other"):
        load_config(with_card(license="mit", **{key: "x"}))
    with pytest.raises(ConfigError, match=rf"card\.{key}: belongs to license: other"):
        load_config(with_card(**{key: "x"}))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"licence": "mit"}, r"card\.licence: unknown key; did you mean 'license'"),
        ({"description": 3}, r"card\.description: expected text; got 3"),
        ({"description": ""}, r"card\.description: expected text that is not empty"),
        ({"authors": [1]}, r"card\.authors\.0: expected text; got 1"),
        ({"license": ["mit"]}, r"card\.license: expected text"),
        ({"description": "see https://ada:secret@acme.test"}, r"card\.description: holds a token or a password"),
    ],
)
def test_a_mistake_is_told_with_its_place(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_config(with_card(**given))


def test_a_card_that_is_nothing_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"card: expected a mapping; got null\. Remove the key"):
        load_config({**RAW, "card": None})
