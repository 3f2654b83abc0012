"""What the JSON files of an encoder and its tokenizer may say: no code, no files elsewhere, no other exception."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from sealing import seal

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.tokenizer import load_tokenizer

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def load_all(directory: Path) -> None:
    load_encoder(str(directory))
    load_tokenizer(str(directory))
    MultiTaskModel.from_pretrained(directory, device="cpu").predict(["a text"])


def refused(directory: Path, message: str) -> None:
    """Check that the directory is refused as a model."""
    with pytest.raises(ModelError, match=message):
        MultiTaskModel.from_pretrained(directory, device="cpu")


def test_code_beside_a_known_family_is_never_run(stranger: Path, evil_module: str, canary: Path) -> None:
    (stranger / "modeling_evil.py").write_text(evil_module)
    auto_map = {"AutoConfig": "modeling_evil.EvilConfig", "AutoModel": "modeling_evil.EvilModel"}
    change(stranger / CONFIG, auto_map=auto_map, trust_remote_code=True)

    load_all(seal(stranger))

    assert not canary.exists()


def test_a_family_that_only_code_knows_is_refused(stranger: Path, evil_module: str, canary: Path) -> None:
    (stranger / "modeling_evil.py").write_text(evil_module)
    auto_map = {"AutoConfig": "modeling_evil.EvilConfig", "AutoModel": "modeling_evil.EvilModel"}
    change(stranger / CONFIG, auto_map=auto_map, model_type="evil", trust_remote_code=True)

    refused(seal(stranger), "code from a repository is never run")
    with pytest.raises(ModelError, match="code from a repository is never run"):
        load_encoder(str(stranger))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["EvilTokenizer", "os.system", "tokenizer_evil.EvilTokenizer", None])
def test_a_tokenizers_own_class_is_never_imported(
    stranger: Path, evil_module: str, canary: Path, name: str | None
) -> None:
    (stranger / "tokenizer_evil.py").write_text(evil_module)
    auto_map = {"AutoTokenizer": ["tokenizer_evil.EvilTokenizer", "tokenizer_evil.EvilTokenizer"]}
    change(stranger / TOKENIZER_CONFIG, auto_map=auto_map, tokenizer_class=name)

    load_all(seal(stranger))

    assert not canary.exists()


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "_attn_implementation_internal"])
def test_a_kernel_that_the_config_names_is_not_fetched(stranger: Path, key: str) -> None:
    change(stranger / CONFIG, **{key: "kernels-community/evil"})

    encoder = load_encoder(str(stranger), attention="sdpa")
    assert encoder.config._attn_implementation == "sdpa"
    load_all(seal(stranger))


@pytest.mark.parametrize(
    ("key", "value"),
    [("quantization_config", {"quant_method": "evil"}), ("transformers_weights", "../away.safetensors")],
)
def test_a_key_that_leads_elsewhere_is_refused(stranger: Path, key: str, value: object) -> None:
    change(stranger / CONFIG, **{key: value})

    refused(seal(stranger), rf"config\.json: the key {key} is not supported")


def test_an_adapter_whose_base_model_lies_elsewhere_is_refused(stranger: Path) -> None:
    (stranger / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "../evil"}')

    refused(stranger, r"holds adapter_config\.json: an adapter needs a base model")


@pytest.mark.parametrize("name", ["../away.safetensors", "{absolute}", "a/b.safetensors", "a\0.safetensors", 5, None])
def test_weights_that_lie_elsewhere_are_refused(stranger: Path, name: object) -> None:
    keys = list(load_file(stranger / "model.safetensors"))
    away = (stranger / "model.safetensors").rename(stranger.parent / "away.safetensors")
    name = str(away) if name == "{absolute}" else name
    index = stranger / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(keys, name)}))

    refused(seal(stranger), r"index\.json names .*: expected the name of a \.safetensors file in the directory itself")


def test_weights_in_parts_are_read(stranger: Path) -> None:
    """The control of the test above."""
    keys = list(load_file(stranger / "model.safetensors"))
    part = (stranger / "model.safetensors").rename(stranger / "model-00001-of-00001.safetensors")
    index = stranger / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(keys, part.name)}))

    MultiTaskModel.from_pretrained(seal(stranger), device="cpu")


def test_a_tokenizer_that_lies_elsewhere_is_refused(stranger: Path) -> None:
    change(stranger / TOKENIZER_CONFIG, fast_tokenizer_files=["../../tokenizer.4.0.json"])

    refused(seal(stranger), r"tokenizer_config\.json names '\.\./\.\./tokenizer\.4\.0\.json'")


@pytest.mark.parametrize("key", ["tokenizer_file", "vocab_file"])
def test_a_file_that_the_tokenizer_names_is_not_read(stranger: Path, key: str) -> None:
    elsewhere = stranger.parent / "secret.json"
    elsewhere.write_text("{}")
    before = load_tokenizer(str(stranger)).get_vocab()
    change(stranger / TOKENIZER_CONFIG, **{key: str(elsewhere)})

    assert load_tokenizer(str(stranger)).get_vocab() == before


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER_CONFIG, "tokenizer.json", "tasks.json", "metrics.json"])
@pytest.mark.parametrize("content", [DEEP, b"[]", b"null", b'"text"', b'{"a": ' + b"9" * 5000 + b"}", b"\xff", b""])
def test_json_that_is_none_or_too_deep_is_malformed(stranger: Path, name: str, content: bytes) -> None:
    (stranger / name).write_bytes(content)

    refused(seal(stranger), rf"{name} is malformed")


def test_a_deep_index_is_malformed(stranger: Path) -> None:
    (stranger / "model.safetensors.index.json").write_bytes(DEEP)

    refused(seal(stranger), r"index\.json is malformed")


@pytest.mark.parametrize(
    "values",
    [
        {"hidden_size": "many"},
        {"hidden_size": 10**400},
        {"num_attention_heads": 0},
        {"num_hidden_layers": -1},
        {"vocab_size": -5},
        {"max_position_embeddings": 10**400},
        {"hidden_act": "os.system"},
        {"dtype": "evil"},
        {"id2label": []},
        {"model_type": 5},
        {"is_decoder": True},
    ],
)
def test_a_configuration_that_no_model_can_have_is_a_model_error(stranger: Path, values: dict[str, Any]) -> None:
    change(stranger / CONFIG, **values)

    refused(seal(stranger), "encoder")
    with pytest.raises(ModelError):
        load_encoder(str(stranger))


def token_beyond_the_vocabulary(state: dict[str, Any]) -> None:
    state["model"]["vocab"]["text"] = 10**6


@pytest.mark.parametrize(
    "edit",
    [
        token_beyond_the_vocabulary,
        lambda state: state["model"].update(type="Evil"),
        lambda state: state["model"].update(vocab={}),
        lambda state: state["model"].pop("vocab"),
        lambda state: state.update(pre_tokenizer={"type": "evil"}),
        lambda state: state.clear(),
    ],
)
def test_a_tokenizer_that_does_not_fit_is_a_model_error(
    stranger: Path, edit: Callable[[dict[str, Any]], object]
) -> None:
    path = stranger / "tokenizer.json"
    state = json.loads(path.read_text())
    edit(state)
    path.write_text(json.dumps(state))

    refused(seal(stranger), "tokenizer")
