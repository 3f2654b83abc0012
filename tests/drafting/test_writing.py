"""YAML in one line holds whatever a name holds, and lengths are those that a tokenizer likes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtl_transformers.config.yaml_text import read_yaml, write_flow
from mtl_transformers.drafting.draft import DraftDataset, DraftTask, Guess
from mtl_transformers.drafting.writing import config_text, max_length_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(TEXT)
def test_a_text_comes_back_from_one_line(text: str) -> None:
    written = write_flow({"label": [text], text: 1})
    assert written.isprintable()
    assert read_yaml(f"value: {written}\n", where="test") == {"value": {"label": [text], text: 1}}


@given(TEXT)
def test_a_comment_stays_a_comment_whatever_a_column_is_called(text: str) -> None:
    task = DraftTask("task", "classification", {"label": text}, f"because of {text}")
    guesses = {"body": Guess("text", text), text: Guess("left out", text)}
    dataset = DraftDataset("data", "csv", {"train": (text,)}, {}, ("body",), (task,), guesses, num_rows={"train": 3})
    raw = read_yaml(config_text([dataset], encoder="e", command=f"mtl init {text}"), where="test")
    assert isinstance(raw, dict)
    assert raw["data"] == {"data": {"path": "csv", "files": text, "text": "body"}}
    assert raw["tasks"] == {"task": {"data": "data", "kind": "classification", "label": text}}


@pytest.mark.parametrize(("words", "tokens"), [(0, 32), (21, 32), (22, 64), (341, 512), (9000, 512)])
def test_the_length_has_room_for_half_as_many_tokens_again_as_words(words: int, tokens: int) -> None:
    assert max_length_of(words) == tokens
