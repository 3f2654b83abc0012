"""Pickles are refused or left alone, wherever they lie; the canary shows that they would have run."""

import pickle
from pathlib import Path

import pytest
from sealing import seal

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.tokenizer import load_tokenizer

LYING_AROUND = (
    "pytorch_model.bin",
    "heads.bin",
    "adapter_model.bin",
    "optimizer.pt",
    "training_args.bin",
    "scheduler.pt",
    "rng_state.pth",
    "model.pkl",
    "tf_model.h5",
    "flax_model.msgpack",
)


def test_the_pickle_would_run(pickled: bytes, canary: Path) -> None:
    pickle.loads(pickled)

    assert canary.exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_of_a_model_are_refused_naming_safetensors(
    stranger: Path, pickled: bytes, canary: Path, name: str
) -> None:
    (stranger / "model.safetensors").unlink()
    (stranger / name).write_bytes(pickled)
    seal(stranger)

    with pytest.raises(ModelError, match=rf"holds {name} instead of model\.safetensors: .*save_pretrained"):
        MultiTaskModel.from_pretrained(stranger)
    assert not canary.exists()


def test_pickled_weights_of_an_encoder_are_refused_naming_safetensors(
    stranger: Path, pickled: bytes, canary: Path
) -> None:
    for path in stranger.glob("*.safetensors"):
        path.unlink()
    (stranger / "pytorch_model.bin").write_bytes(pickled)

    with pytest.raises(ModelError, match=r"holds no \.safetensors file\. Pickled weights \(\.bin\) can run code"):
        load_encoder(str(stranger))
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors", "tokenizer.json", "config.json"])
def test_a_pickle_under_another_name_is_malformed(stranger: Path, pickled: bytes, canary: Path, name: str) -> None:
    (stranger / name).write_bytes(pickled)
    seal(stranger)

    with pytest.raises(ModelError, match=f"{name}"):
        MultiTaskModel.from_pretrained(stranger)
    assert not canary.exists()


def test_pickles_that_lie_around_are_never_opened(stranger: Path, pickled: bytes, canary: Path) -> None:
    for name in LYING_AROUND:
        (stranger / name).write_bytes(pickled)

    assert MultiTaskModel.from_pretrained(stranger, device="cpu").predict(["a text"])
    load_encoder(str(stranger))
    load_tokenizer(str(stranger))
    assert not canary.exists()


def test_an_index_that_names_a_pickle_is_refused(stranger: Path, pickled: bytes, canary: Path) -> None:
    (stranger / "model.safetensors").unlink()
    (stranger / "pytorch_model.bin").write_bytes(pickled)
    weights = '{"metadata": {}, "weight_map": {"embeddings.word_embeddings.weight": "pytorch_model.bin"}}'
    (stranger / "model.safetensors.index.json").write_text(weights)
    seal(stranger)

    for read in (MultiTaskModel.from_pretrained, lambda path: load_encoder(str(path))):
        with pytest.raises(ModelError, match=r"index\.json names 'pytorch_model\.bin': expected .*\.safetensors"):
            read(stranger)
    assert not canary.exists()
