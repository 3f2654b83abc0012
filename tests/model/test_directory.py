"""A model directory is a stock encoder plus heads, is never seen half-written, and is read strictly."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sealing import seal
from tiny import FAMILIES
from torch import Tensor
from transformers import AutoModel, AutoTokenizer
from untrained import METRICS, Parts, make_parts, write

from mtl_transformers.errors import FileError, ModelError
from mtl_transformers.model.directory import FORMAT_VERSION, load, repair, save

TEXTS = ["My card was charged twice.", "The parcel has not arrived yet, please help."]


@pytest.fixture(scope="module")
def parts(tiny_bert: Path) -> Parts:
    return make_parts(tiny_bert)


@pytest.fixture(scope="module")
def written(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(parts, tmp_path_factory.mktemp("runs") / "best")


@pytest.fixture
def directory(written: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may damage."""
    return shutil.copytree(written, tmp_path / "best")


def hidden_states(directory: Path) -> tuple[Tensor, Tensor | None]:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModel.from_pretrained(directory, use_safetensors=True, dtype=torch.float32).eval()
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        output = model(**inputs)
    return output.last_hidden_state, getattr(output, "pooler_output", None)


def rewrite_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    seal(path.parent)


# --- what is written ---


@pytest.mark.parametrize("family", FAMILIES)
def test_stock_transformers_opens_it_with_equal_hidden_states_and_pooler(
    family: str, encoder_dir: Callable[[str], Path], tmp_path: Path
) -> None:
    source = encoder_dir(family)

    saved = write(make_parts(source), tmp_path / "best")

    hidden, pooled = hidden_states(saved)
    hidden_before, pooled_before = hidden_states(source)
    assert torch.equal(hidden, hidden_before)
    assert (pooled is None) == (pooled_before is None)
    if pooled is not None and pooled_before is not None:
        assert torch.equal(pooled, pooled_before)
    assert load_file(saved / "model.safetensors").keys() == load_file(source / "model.safetensors").keys()


def test_it_holds_exactly_the_files_of_the_format_readable_by_all(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == [
        "README.md",
        "config.json",
        "heads.safetensors",
        "manifest.json",
        "metrics.json",
        "model.safetensors",
        "tasks.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in written.iterdir()} == {0o644}
    assert (written / "README.md").read_text() == "# card\n"


def test_everything_comes_back_equal(parts: Parts, written: Path) -> None:
    found = load(written)

    assert found.path == written
    assert found.tasks == parts.tasks
    assert list(found.tasks["tasks"]) == ["intent", "words-of_1"]
    assert found.metrics == METRICS
    assert found.heads.keys() == parts.heads.keys()
    assert all(torch.equal(found.heads[name], tensor) for name, tensor in parts.heads.items())
    assert "heads.words-of_1.out.weight" in found.heads


def test_saving_twice_writes_equal_bytes(parts: Parts, written: Path, tmp_path: Path) -> None:
    again = write(parts, tmp_path / "again")

    for path in written.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize("name", ["model.safetensors", "heads.safetensors"])
def test_a_tensor_file_has_one_metadata_key(written: Path, name: str) -> None:
    with safe_open(written / name, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_used_tokenizer_is_saved_without_its_padding_and_truncation(tiny_bert: Path, tmp_path: Path) -> None:
    parts = make_parts(tiny_bert)
    parts.tokenizer(TEXTS, padding="max_length", truncation=True, max_length=5)
    backend = parts.tokenizer.backend_tokenizer
    assert (backend.truncation, backend.padding) != (None, None)  # the control: using it has changed it

    saved = write(parts, tmp_path / "best")

    state = json.loads((saved / "tokenizer.json").read_text())
    assert (state["truncation"], state["padding"]) == (None, None)
    assert backend.truncation["max_length"] == 5  # the one in use is not touched


def test_a_frozen_encoder_is_copied_byte_for_byte(tiny_bert: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    with (source / "config.json").open("a") as file:
        file.write("\n\n")  # bytes that no saving again would write
    parts = make_parts(source)

    saved = write(parts, tmp_path / "best", source=source)

    for name in ("config.json", "model.safetensors"):
        assert (saved / name).read_bytes() == (source / name).read_bytes()
    assert (write(parts, tmp_path / "control") / "config.json").read_bytes() != (source / "config.json").read_bytes()


def test_a_frozen_encoder_without_safetensors_is_refused(parts: Parts, tiny_bert: Path, tmp_path: Path) -> None:
    source = shutil.copytree(tiny_bert, tmp_path / "source")
    (source / "model.safetensors").rename(source / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"source holds no config\.json with model\.safetensors"):
        write(parts, tmp_path / "best", source=source)


def test_a_metric_that_is_not_finite_is_written_as_null(parts: Parts, tmp_path: Path) -> None:
    save(
        tmp_path / "best",
        encoder=parts.encoder,
        tokenizer=parts.tokenizer,
        heads=parts.heads,
        tasks=parts.tasks,
        metrics={"intent": {"test": {"roc_auc": math.nan, "mse": math.inf, "accuracy": 0.5}}},
        card="",
    )

    found = load(tmp_path / "best").metrics

    assert found == {"intent": {"test": {"roc_auc": None, "mse": None, "accuracy": 0.5}}}


def test_a_task_without_a_head_has_no_tensors(parts: Parts, tmp_path: Path) -> None:
    tasks = {"format_version": FORMAT_VERSION, "tasks": {"similar": {"kind": "similarity", "head": None}}}
    parts = Parts(parts.encoder, parts.tokenizer, {}, tasks)

    assert load(write(parts, tmp_path / "best")).heads == {}


def test_saving_refuses_heads_that_are_not_those_of_the_tasks(parts: Parts, tmp_path: Path) -> None:
    heads = {name: tensor for name, tensor in parts.heads.items() if name.startswith("heads.intent.")}

    with pytest.raises(ModelError, match=r"task 'words-of_1' is in tasks\.json but heads\.safetensors has no"):
        write(Parts(parts.encoder, parts.tokenizer, heads, parts.tasks), tmp_path / "best")
    assert list(tmp_path.iterdir()) == []


# --- replacing and repairing ---


def test_a_directory_is_replaced_and_leaves_no_sibling(parts: Parts, directory: Path) -> None:
    (directory / "stale.txt").write_text("of the old one")

    write(parts, directory, card="# new\n")

    assert (directory / "README.md").read_text() == "# new\n"
    assert not (directory / "stale.txt").exists()
    assert [path.name for path in directory.parent.iterdir()] == ["best"]


def test_a_swap_cut_between_its_renames_is_repaired_by_the_reader(directory: Path) -> None:
    directory.rename(directory.with_name("best.old"))

    assert load(directory).path == directory
    assert [path.name for path in directory.parent.iterdir()] == ["best"]


def test_a_swap_cut_before_the_removal_is_repaired(directory: Path) -> None:
    shutil.copytree(directory, directory.with_name("best.old"))
    (directory.with_name("best.old") / ".replaced").touch()
    (directory / "README.md").write_text("# new\n")

    repair(directory)

    assert (directory / "README.md").read_text() == "# new\n"
    assert [path.name for path in directory.parent.iterdir()] == ["best"]


def test_a_reader_removes_nothing(directory: Path) -> None:
    shutil.copytree(directory, directory.with_name("best.old"))

    load(directory)

    assert directory.with_name("best.old").exists()


def test_what_an_interrupted_write_left_is_cleared_by_the_next(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / ".best.tmp" / "half").mkdir(parents=True)

    write(parts, tmp_path / "best")

    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.parametrize("name", ["best", "best.old"])
def test_a_directory_that_is_not_ours_is_never_replaced(parts: Parts, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name / "thesis.txt"
    theirs.parent.mkdir()
    theirs.write_text("years of work")

    with pytest.raises(FileError, match=f"{name} holds something that is not ours"):
        write(parts, tmp_path / "best")
    repair(tmp_path / "best")

    assert theirs.read_text() == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_empty_directory_is_filled(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()

    assert load(write(parts, tmp_path / "best")).metrics == METRICS


# --- strict reading ---


@pytest.mark.parametrize("name", ["no/such/place", "runs/nothing", "nothing", "https://x.org/a", "package:a"])
def test_a_name_that_is_nothing_lists_what_a_name_can_be(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(name)

    assert f"no model {name!r}" in str(caught.value)
    assert "a directory that holds tasks.json" in str(caught.value)
    assert "a hub id of the form owner/name" in str(caught.value)


def test_a_hub_id_is_read_from_the_hubs_cache(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--org--name"
    snapshot = shutil.copytree(written, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    assert load("org/name", revision="v1").path == snapshot
    with pytest.raises(ModelError, match="no model 'org/name'"):
        load("org/name", revision="v2")


def test_a_file_is_no_model(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"A name is a directory that holds tasks\.json"):
        load(directory / "tasks.json")


def test_a_revision_of_a_local_directory_is_refused(directory: Path) -> None:
    with pytest.raises(ModelError, match="leave out revision 'main'"):
        load(directory, revision="main")


def test_a_plain_transformers_directory_holds_no_tasks(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no tasks: tasks\.json is missing"):
        load(tiny_bert)


def test_pickled_weights_are_refused_naming_safetensors(directory: Path) -> None:
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")

    with pytest.raises(ModelError, match=r"pytorch_model\.bin instead of model\.safetensors: pickled"):
        load(directory)


@pytest.mark.parametrize(
    "name",
    ["config.json", "tokenizer.json", "heads.safetensors", "metrics.json", "model.safetensors", "manifest.json"],
)
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()

    with pytest.raises(ModelError, match=f"not complete, {name} missing"):
        load(directory)


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b"null", b'"text"'])
@pytest.mark.parametrize("name", ["tasks.json", "metrics.json"])
def test_malformed_json_names_its_file(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    seal(directory)

    with pytest.raises(ModelError, match=f"{name} is malformed"):
        load(directory)


@pytest.mark.parametrize("name", ["heads.safetensors", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_tensor_file_is_named(directory: Path, name: str, kept: int) -> None:
    path = directory / name
    path.write_bytes(path.read_bytes()[:kept])
    seal(directory)

    with pytest.raises(ModelError, match=f"{name} is malformed"):
        load(directory)


@pytest.mark.parametrize("version", [None, 0, 2, "1"])
def test_an_unknown_format_version_is_refused(directory: Path, version: object) -> None:
    rewrite_json(directory / "tasks.json", lambda tasks: tasks.update(format_version=version))

    with pytest.raises(ModelError, match=f"has format_version {version!r}"):
        load(directory)


def test_a_missing_head_is_named(directory: Path) -> None:
    heads = load_file(directory / "heads.safetensors")
    save_file({k: v for k, v in heads.items() if ".intent." not in k}, directory / "heads.safetensors")
    seal(directory)

    with pytest.raises(ModelError, match=r"task 'intent' is in tasks\.json but heads\.safetensors has no head"):
        load(directory)


def test_an_extra_head_is_named(directory: Path) -> None:
    rewrite_json(directory / "tasks.json", lambda tasks: tasks["tasks"].pop("intent"))

    with pytest.raises(ModelError, match=r"heads\.safetensors has a head for 'intent', but tasks\.json has no"):
        load(directory)


@pytest.mark.parametrize("key", ["encoder.weight", "heads.intent", "heads", "model.intent.out.weight"])
def test_a_tensor_outside_the_heads_is_refused(directory: Path, key: str) -> None:
    heads = load_file(directory / "heads.safetensors")
    save_file({**heads, key: torch.zeros(1)}, directory / "heads.safetensors")
    seal(directory)

    with pytest.raises(ModelError, match=f"holds {key!r}; expected heads.<task>.<parameter>"):
        load(directory)


@pytest.mark.parametrize("name", ["", "../evil", "Intent", "-a", "a.b", "a" * 65, "a b", "a\n"])
def test_an_illegal_task_name_is_refused(directory: Path, name: str) -> None:
    rewrite_json(directory / "tasks.json", lambda tasks: tasks["tasks"].update({name: {"head": None}}))

    with pytest.raises(ModelError, match="illegal task name"):
        load(directory)


@pytest.mark.parametrize("tasks", [[], "x", None, {"intent": 1}, {"intent": {}}])
def test_tasks_that_are_no_objects_are_refused(directory: Path, tasks: object) -> None:
    rewrite_json(directory / "tasks.json", lambda content: content.update(tasks=tasks))

    with pytest.raises(ModelError, match=r"tasks\.json"):
        load(directory)


def test_a_run_directory_points_to_its_best_model(tmp_path):
    (tmp_path / "run" / "best").mkdir(parents=True)
    (tmp_path / "run" / "best" / "tasks.json").write_text("{}")
    with pytest.raises(ModelError, match=r"is a run directory; its best model is .*best"):
        load(tmp_path / "run")
