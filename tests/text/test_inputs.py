import json
from typing import Any

import pytest
from tiny import tiny_tokenizer

from mtl_transformers.errors import DataError
from mtl_transformers.model.tokenizer import text_backend
from mtl_transformers.text.encoding import Form, TextEncoder
from mtl_transformers.text.inputs import Input, encode
from mtl_transformers.text.rows import row_of, text_of


def encoder() -> TextEncoder:
    return TextEncoder(text_backend(tiny_tokenizer("bert")), max_length=16, uses_token_types=True)


def test_json_keeps_an_input() -> None:
    given = Input(columns=("first", "second"), form="pair", max_length=64, aligned="pieces", stride=8)
    assert Input.from_json(json.loads(json.dumps(given.to_json()))) == given


def test_equal_inputs_are_one_key() -> None:
    assert len({Input(("a",), "text", 64), Input(("a",), "text", 64), Input(("a",), "text", 32)}) == 2


@pytest.mark.parametrize(
    ("cells", "form", "row"),
    [
        (["a text"], "text", "a text"),
        (["one", "two"], "pair", ("one", "two")),
        ([["two", "words"]], "words", ["two", "words"]),
        ([("two", "")], "words", ["two", ""]),
    ],
)
def test_cells_become_what_the_encoder_reads(cells: list[Any], form: Form, row: Any) -> None:
    assert row_of(cells, form=form) == row


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        ([None], "text"),
        ([""], "text"),
        ([" \n"], "text"),
        ([3], "text"),
        ([["a"]], "text"),
        (["a", None], "pair"),
        (["", "b"], "pair"),
        (["a text"], "words"),
        ([[]], "words"),
        ([["a", None]], "words"),
        ([None], "words"),
    ],
)
def test_cells_that_are_null_empty_or_of_another_form_are_refused(cells: list[Any], form: Form) -> None:
    with pytest.raises(DataError, match=r"expected a (list of words|text that is not empty)"):
        row_of(cells, form=form)


def test_a_refused_cell_is_shown_and_cut() -> None:
    with pytest.raises(DataError, match=r"^\['xxx") as caught:
        row_of([["x" * 500]], form="text")
    assert len(str(caught.value)) < 120


def test_characters_count_in_the_text_or_in_the_words_joined_by_one_space() -> None:
    assert text_of("a  text") == "a  text"
    assert text_of(["two", "words"]) == "two words"


def test_words_are_aligned_only_where_a_task_reads_them() -> None:
    one = encoder()
    (plain,) = encode(one, ["My card"], Input(("body",), "text", 16))
    (aligned,) = encode(one, ["My card"], Input(("body",), "text", 16, aligned="words"))
    assert plain.input_ids == aligned.input_ids
    assert not plain.word_spans
    assert list(aligned.word_spans) == [(0, 2), (3, 7)]


def test_a_pair_has_no_words() -> None:
    (features,) = encode(encoder(), [("My card", "The app")], Input(("a", "b"), "pair", 16, aligned="words"))
    assert not features.word_spans
    assert set(features.token_type_ids[0]) == {0, 1}
