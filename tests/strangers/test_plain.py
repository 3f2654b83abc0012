"""A plain directory from others runs no code and fetches nothing, and whatever it says is read or told."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from plain import fitted, model_of, write

from mtl_transformers.errors import MTLError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.lifecycle.imported_tasks import Source
from mtl_transformers.lifecycle.importing import import_models
from mtl_transformers.lifecycle.split import split


@pytest.fixture(scope="module")
def plain_dir(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Return a plain directory; never write to it."""
    place = tmp_path_factory.mktemp("plain")
    write(model_of(tiny_bert, {"intent": fitted()["intent"]}), place / "model")
    return split(place / "model", "intent", place / "intent").path


@pytest.fixture
def plain(plain_dir: Path, tmp_path: Path) -> Path:
    """Return a copy that a stranger may change."""
    return shutil.copytree(plain_dir, tmp_path / "stranger")


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def imported(plain: Path) -> None:
    import_models(plain.parent / "out", [Source("intent", plain)])


def read_or_told(plain: Path) -> None:
    """Import a directory; an `MTLError` leaves nothing behind, and any other error fails the test."""
    out = plain.parent / "out"
    with suppress(MTLError):
        imported(plain)
        MultiTaskModel.from_pretrained(out, device="cpu").predict([{"text": "a text"}])
        return
    assert not out.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_kernel_that_the_config_names_is_not_fetched(plain: Path, key: str) -> None:
    change(plain / "config.json", **{key: "kernels-community/evil"})
    imported(plain)


def test_code_that_the_config_names_is_not_run(plain: Path, evil_module: str, canary: Path) -> None:
    (plain / "evil.py").write_text(evil_module, encoding="utf-8")
    names = {f"AutoModel{end}": "evil.EvilModel" for end in ("", "ForSequenceClassification")}
    change(plain / "config.json", auto_map={"AutoConfig": "evil.EvilConfig", **names})
    change(plain / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.EvilTokenizer", None]})
    imported(plain)
    assert not canary.exists()


def test_pickled_weights_are_not_read(plain: Path, pickled: bytes, canary: Path) -> None:
    (plain / "model.safetensors").unlink()
    (plain / "pytorch_model.bin").write_bytes(pickled)
    with pytest.raises(MTLError, match=r"holds no \.safetensors file"):
        imported(plain)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("architectures", None),
        ("architectures", [5]),
        ("architectures", "BertForSequenceClassification"),
        ("architectures", ["GPT2LMHeadModel"]),
        ("id2label", None),
        ("id2label", {}),
        ("id2label", []),
        ("id2label", {"0": "a", "1": "b"}),
        ("id2label", {"0": None, "1": 5, "2": ["a"]}),
        ("id2label", {"x": "a", "1": "b", "2": "c"}),
        ("id2label", {"0": "", "1": "b", "2": "c\n# evil"}),
        ("label2id", 7),
        ("num_labels", 10**9),
        ("problem_type", "evil"),
        ("model_type", "gpt2"),
        ("model_type", "electra"),
        ("classifier_dropout", "much"),
        ("vocab_size", 3),
    ],
)
def test_whatever_a_configuration_says_is_read_or_told(plain: Path, key: str, value: Any) -> None:
    change(plain / "config.json", **{key: value})
    read_or_told(plain)


@pytest.mark.parametrize("value", ["long", None, -1, 0, 1, 1e30, [64]])
def test_whatever_a_tokenizer_says_of_its_length_is_read_or_told(plain: Path, value: Any) -> None:
    change(plain / "tokenizer_config.json", model_max_length=value)
    read_or_told(plain)
