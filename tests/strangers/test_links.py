"""Links that lead out of a model directory are refused; the hub's cache, made of links, is not."""

import hashlib
import shutil
from pathlib import Path

import huggingface_hub.constants
import pytest
from sealing import seal

from mtl_transformers.errors import ModelError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.directory import load
from mtl_transformers.model.hub import files_to_push

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "heads.safetensors",
    "tasks.json",
    "metrics.json",
    "manifest.json",
    "README.md",
)


def linked(path: Path, target: Path) -> None:
    """Move a file elsewhere and leave a link in its place."""
    path.rename(target)
    path.symlink_to(target)


@pytest.mark.parametrize("name", FILES)
def test_a_link_out_of_the_directory_is_refused(stranger: Path, name: str) -> None:
    linked(stranger / name, stranger.parent / "elsewhere")

    with pytest.raises(ModelError, match=rf"{name} points out of the directory, to .*elsewhere\. Put a copy"):
        load(stranger)
    with pytest.raises(ModelError, match="points out of the directory"):
        files_to_push(stranger)  # so that nobody's keys are pushed by a link


def test_a_relative_link_out_of_the_directory_and_a_link_by_way_of_another_are_refused(stranger: Path) -> None:
    linked(stranger / "metrics.json", stranger.parent / "elsewhere")
    (stranger / "metrics.json").unlink()
    (stranger / "metrics.json").symlink_to("../elsewhere")
    with pytest.raises(ModelError, match=r"metrics\.json points out of the directory"):
        load(stranger)

    (stranger / "metrics.json").unlink()
    (stranger / "inner").symlink_to("../elsewhere")
    (stranger / "metrics.json").symlink_to("inner")
    with pytest.raises(ModelError, match=r"metrics\.json points out of the directory"):
        load(stranger)


def test_a_link_within_the_directory_is_read(stranger: Path) -> None:
    linked(stranger / "metrics.json", stranger / "scores.json")

    load(stranger)


@pytest.mark.parametrize("target", ["nothing", "metrics.json"])
def test_a_link_to_nothing_or_to_itself_is_refused(stranger: Path, target: str) -> None:
    (stranger / "metrics.json").unlink()
    (stranger / "metrics.json").symlink_to(target)

    with pytest.raises(ModelError, match=r"metrics\.json is a link that leads nowhere"):
        load(stranger)


def test_a_link_to_the_whole_directory_is_read(stranger: Path) -> None:
    link = stranger.with_name("newest")
    link.symlink_to(stranger)

    assert load(link).path == link


def hub_cache(directory: Path, cache: Path) -> Path:
    """Lay a directory out as the hub's cache does, and return its snapshot."""
    repository = cache / "models--org--name"
    snapshot, blobs, refs = repository / "snapshots" / COMMIT, repository / "blobs", repository / "refs"
    for place in (snapshot, blobs, refs):
        place.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    for path in directory.iterdir():
        blob = blobs / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copyfile(path, blob)
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", blob.name))
    return snapshot


def test_the_hubs_cache_is_read_by_id_and_by_path(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = hub_cache(model_dir, tmp_path / "hub")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    assert load("org/name").path == snapshot
    assert MultiTaskModel.from_pretrained("org/name", device="cpu").predict(["a text"])
    assert load(snapshot).path == snapshot


def test_a_link_out_of_the_hubs_cache_is_refused(model_dir: Path, tmp_path: Path) -> None:
    snapshot = hub_cache(model_dir, tmp_path / "hub")
    secret = tmp_path / "secret"
    for place in (snapshot / "metrics.json", (snapshot / "tasks.json").resolve()):
        content = place.read_bytes()
        place.unlink()
        secret.write_bytes(content)
        place.symlink_to(secret)
        with pytest.raises(ModelError, match=r"points out of the directory, to .*secret"):
            load(snapshot)
        place.unlink()
        place.write_bytes(content)
    load(snapshot)  # the control


def test_blobs_beside_an_ordinary_directory_are_elsewhere(stranger: Path) -> None:
    blobs = stranger.parent.parent / "blobs"
    blobs.mkdir()
    linked(stranger / "metrics.json", blobs / "abc")
    seal(stranger)

    with pytest.raises(ModelError, match="points out of the directory"):
        load(stranger)
