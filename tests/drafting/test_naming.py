"""Names: legal ones, splits in names of files, pairs and ids in names of columns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.drafting.naming import is_id, is_one_of, legal_name, pair_in, split_in


@given(st.text(max_size=90), st.lists(st.sampled_from(["data", "a", "a_2", ""]), max_size=4))
def test_a_name_is_legal_and_not_taken(text: str, taken: list[str]) -> None:
    name = legal_name(text, otherwise="data", taken=taken)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name)
    assert name not in taken


def test_letters_of_a_name_stay() -> None:
    assert legal_name("Dringlichkeit (Über)", otherwise="data") == "dringlichkeit_uber"


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("train", ("train", "")),
        ("tickets-dev", ("validation", "tickets")),
        ("tickets_test_2024", ("test", "tickets")),
        ("train-00000-of-00002", ("train", "")),
        ("house-of-cards", (None, "house_of_cards")),
        ("latest", (None, "latest")),
    ],
)
def test_a_split_is_a_whole_word_of_a_files_name(stem: str, expected: tuple[str | None, str]) -> None:
    assert split_in(stem) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["hypothesis", "premise"], ("premise", "hypothesis")),
        (["sentence2", "sentence1"], ("sentence1", "sentence2")),
        (["text_a", "text_b", "other"], ("text_a", "text_b")),
        (["title", "body"], None),
    ],
)
def test_pairs_are_known_by_their_names(names: list[str], expected: tuple[str, str] | None) -> None:
    assert pair_in(names) == expected


@pytest.mark.parametrize("name", ["id", "ID", "ticket_id", "Ticket ID", "tweetId", "guid"])
def test_names_of_ids(name: str) -> None:
    assert is_id(name)


@pytest.mark.parametrize("name", ["valid", "idea", "intent", "humid"])
def test_names_that_only_hold_id_are_none(name: str) -> None:
    assert not is_id(name)


def test_a_word_of_a_name_counts() -> None:
    assert is_one_of("comment_text", {"text"})
    assert not is_one_of("context", {"text"})
