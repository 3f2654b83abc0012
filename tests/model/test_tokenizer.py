"""Tokenizers load strictly, and words never glue."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import FAMILIES, SENTENCES

from mtl_transformers.errors import ModelError
from mtl_transformers.model.tokenizer import load_tokenizer, pad_id, text_backend, words_backend

EncoderDir = Callable[[str], Path]

WORDS = ["refund", "the", "card", "twice"]


@pytest.mark.parametrize("family", FAMILIES)
def test_text_backend_encodes_as_transformers_does(family: str, encoder_dir: EncoderDir) -> None:
    tokenizer = load_tokenizer(str(encoder_dir(family)))
    backend = text_backend(tokenizer)
    for text in SENTENCES:
        assert backend.encode(text).ids == tokenizer(text)["input_ids"]
        assert backend.encode(text, "card").ids == tokenizer(text, "card")["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_words_encode_as_their_text_after_a_space(family: str, encoder_dir: EncoderDir) -> None:
    tokenizer = load_tokenizer(str(encoder_dir(family)))
    given_as_words = words_backend(tokenizer).encode(WORDS, is_pretokenized=True).ids
    pieces = [
        text_backend(tokenizer).encode(" " + word, add_special_tokens=False).ids for word in WORDS
    ]  # a Metaspace tokenizer does not double the space it puts in front
    assert given_as_words[1:-1] == [piece for word in pieces for piece in word]


def test_without_the_prefix_space_a_byte_level_tokenizer_glues_words(encoder_dir: EncoderDir) -> None:
    tokenizer = load_tokenizer(str(encoder_dir("roberta")))
    glued = text_backend(tokenizer).encode(WORDS, is_pretokenized=True)
    kept = words_backend(tokenizer).encode(WORDS, is_pretokenized=True)
    assert tokenizer.decode(glued.ids, skip_special_tokens=True) == "refundthecardtwice"
    assert tokenizer.decode(kept.ids, skip_special_tokens=True) == " refund the card twice"


def test_backends_are_copies_that_neither_pad_nor_truncate(tiny_bert: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_bert))
    backend = text_backend(tokenizer)
    backend.enable_truncation(max_length=4)
    backend.enable_padding(length=9)
    assert tokenizer.backend_tokenizer.truncation is None
    tokenizer.backend_tokenizer.enable_truncation(max_length=4)
    for fresh in (text_backend(tokenizer), words_backend(tokenizer)):
        assert fresh.truncation is None
        assert fresh.padding is None


def test_pad_id_is_the_padding_token(encoder_dir: EncoderDir) -> None:
    assert pad_id(load_tokenizer(str(encoder_dir("bert")))) == 0
    assert pad_id(load_tokenizer(str(encoder_dir("roberta")))) == 1


@pytest.mark.parametrize("family", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_directory_without_tokenizer_files_is_refused(family: str, encoder_dir: EncoderDir, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors"):
        shutil.copy(encoder_dir(family) / name, tmp_path)
    with pytest.raises(ModelError, match="tokenizer of"):
        load_tokenizer(str(tmp_path))


def test_tokenizer_without_padding_token_is_refused(tiny_bert: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_bert))
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no padding token"):
        load_tokenizer(str(tmp_path))


def test_unknown_hub_id_is_refused_with_its_name() -> None:
    with pytest.raises(ModelError, match="'no-such-org/no-such-encoder'"):
        load_tokenizer("no-such-org/no-such-encoder")
