"""Only the files of the format leave the machine, in one commit, and only when the directory loads."""

import json
from pathlib import Path

import pytest
from local_hub import Hub, as_json, refusal

from mtl_transformers.errors import ModelError
from mtl_transformers.model.directory import load
from mtl_transformers.model.hub import files_to_push, push
from mtl_transformers.storage.manifest import Manifest, facts_of
from mtl_transformers.text.inputs import Input
from mtl_transformers.text.kinds_of_decoder import LabelDecoder

SENT = [
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
REPO = "org/name"

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the hub's own client, of itself


def contents(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in SENT}


def test_only_the_files_of_the_format_are_listed(directory: Path) -> None:
    (directory / ".env").write_text("HF_TOKEN=hf_secret")
    (directory / "train.csv").write_text("private rows")
    (directory / "optimizer.bin").write_bytes(b"")
    (directory / "heads.safetensors.bak").write_bytes(b"")
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "model.safetensors").write_bytes(b"")

    upload = files_to_push(directory)

    assert [name for name, _ in upload.files] == SENT
    assert all(size == len((directory / name).read_bytes()) for name, size in upload.files)
    assert upload.num_bytes == sum(map(len, contents(directory).values()))
    assert upload.left_behind == (
        ".env",
        "checkpoints",
        "heads.safetensors.bak",
        "optimizer.bin",
        "train.csv",
    )


def test_a_directory_that_does_not_load_is_refused(directory: Path) -> None:
    (directory / "heads.safetensors").write_bytes(b"")

    with pytest.raises(ModelError, match=r"heads\.safetensors has 0 bytes"):
        files_to_push(directory)


def test_a_hub_id_is_no_directory_to_push() -> None:
    with pytest.raises(ModelError, match="org/name is no directory"):
        files_to_push("org/name")


def test_a_plain_directory_is_sent_by_the_hubs_own_tool(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"plain transformers directory.*`hf upload owner/name"):
        files_to_push(tiny_bert)


def test_the_hub_gets_these_bytes_and_no_others(directory: Path, hub: Hub) -> None:
    (directory / ".env").write_text("HF_TOKEN=hf_secret")
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "model.safetensors").write_bytes(b"not ours to send")

    pushed = push(directory, REPO, private=True, token="hf_test", endpoint=hub.address)

    there = hub.repositories[REPO]
    assert there.files("main") == {".gitattributes": b"*.safetensors filter=lfs", **contents(directory)}
    assert pushed.address == f"{hub.address}/org/name/commit/{pushed.commit}"
    assert there.branches["main"] == pushed.commit
    assert there.visibility == "private"
    assert hub.tokens == {"Bearer hf_test"}


def test_without_private_the_owners_account_decides(directory: Path, hub: Hub) -> None:
    push(directory, REPO, private=False)

    assert hub.repositories[REPO].visibility is None


def test_the_hub_checks_the_metadata_of_the_card_before_anything_is_sent(directory: Path, hub: Hub) -> None:
    hub.refused["validate-yaml"] = as_json({"errors": [{"message": '"license" must be one of …'}]}, 400)

    with pytest.raises(ModelError, match=r'failed: Invalid metadata in README\.md\. - "license" must be one of'):
        push(directory, REPO, private=False)
    assert list(hub.repositories[REPO].files("main")) == [".gitattributes"]

    hub.refused.clear()
    push(directory, REPO, private=False)

    assert hub.validated == [(directory / "README.md").read_text(encoding="utf-8")]


def test_a_push_is_one_commit_with_its_message(directory: Path, hub: Hub) -> None:
    push(directory, REPO, private=False, message="Better at refunds")

    assert hub.repositories[REPO].messages == ["initial commit", "Better at refunds"]


def test_pushing_what_is_there_already_makes_no_commit(directory: Path, hub: Hub) -> None:
    first = push(directory, REPO, private=False)

    assert push(directory, REPO, private=False).commit == first.commit
    assert len(hub.repositories[REPO].messages) == 2


def test_older_files_of_the_format_go_and_a_persons_own_stay(directory: Path, hub: Hub) -> None:
    older = {"vocab.txt": b"old", "model-00001-of-00002.safetensors": b"old", "LICENSE": b"mine", "README.md": b"old"}
    hub.make(REPO).add("main", older, "an older model")

    push(directory, REPO, private=False)

    assert sorted(hub.repositories[REPO].files("main")) == ["LICENSE", *SENT]


def test_a_revision_is_a_branch_that_is_made(directory: Path, hub: Hub) -> None:
    push(directory, REPO, private=False, revision="next")
    push(directory, REPO, private=False, revision="next", message="again")

    there = hub.repositories[REPO]
    assert there.files("next").keys() >= set(SENT)
    assert list(there.files("main")) == [".gitattributes"]


def test_a_tag_names_the_commit_and_is_never_moved(directory: Path, hub: Hub) -> None:
    pushed = push(directory, REPO, private=False, tag="v1")
    assert hub.repositories[REPO].tags == {"v1": pushed.commit}

    (directory / "README.md").write_text("# another card\n", encoding="utf-8")
    with pytest.raises(ModelError, match=r"has a tag 'v1' already.*hf repos tag delete org/name v1"):
        push(directory, REPO, private=False, tag="v1")

    assert hub.repositories[REPO].branches["main"] == pushed.commit


def test_a_push_that_broke_off_leaves_the_old_model_and_is_done_again(directory: Path, hub: Hub) -> None:
    before = push(directory, REPO, private=False).commit
    (directory / "README.md").write_text("# another card\n", encoding="utf-8")
    hub.breaks_at = "/commit/"

    with pytest.raises(ModelError, match=r"pushing .* failed: the connection failed .*; try again"):
        push(directory, REPO, private=False)
    assert hub.repositories[REPO].branches["main"] == before

    hub.breaks_at = None
    sent = len([path for method, path in hub.requests if method == "PUT"])
    push(directory, REPO, private=False)
    assert hub.repositories[REPO].files("main")["README.md"] == b"# another card\n"
    assert len([path for method, path in hub.requests if method == "PUT"]) == sent  # the large files are there


def test_a_large_file_that_breaks_off_leaves_no_commit(
    directory: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # the client waits between its own tries
    hub.breaks_at = "/lfs/"

    with pytest.raises(ModelError, match="the connection failed"):
        push(directory, REPO, private=False)

    assert hub.repositories[REPO].messages == ["initial commit"]


def test_who_pushed_meanwhile_is_not_overwritten(directory: Path, hub: Hub) -> None:
    hub.make(REPO)
    hub.refused["/commit/"] = refusal(412, "A commit has happened since. Please refresh and try again.")

    with pytest.raises(ModelError, match="status 412: somebody else changed the repository meanwhile"):
        push(directory, REPO, private=False)


def test_a_commit_says_what_it_was_made_on(directory: Path, hub: Hub) -> None:
    there = hub.make(REPO)
    answer = hub.answer

    def with_another_push(method: str, path: str, body: bytes, token: str | None) -> object:
        if "/commit/" in path:
            there.add("main", {}, "somebody else's")
        return answer(method, path, body, token)

    hub.answer = with_another_push  # type: ignore[method-assign, assignment]
    with pytest.raises(ModelError, match="status 412"):
        push(directory, REPO, private=False)

    assert there.messages == ["initial commit", "somebody else's"]


@pytest.mark.parametrize(
    ("status", "place", "advice"),
    [
        (401, "/api/", r"status 401: the hub does not accept the token.*hf auth login"),
        (403, "/api/repos/create", r"status 403: the token may not do that there.*settings/tokens"),
        (403, "/commit/", r"status 403: the token may not do that there"),
        (404, "/preupload/", r"status 404: there is no such repository"),
        (429, "/api/repos/create", r"status 429: the hub was asked too often"),
        (500, "/refs", r"status 500: the hub has a fault: try again later"),
        (418, "/commit/", r"status 418: it was refused \(I'm a teapot\)"),
    ],
)
def test_a_refusal_says_what_to_do_and_hides_the_token(
    directory: Path, hub: Hub, status: int, place: str, advice: str
) -> None:
    hub.refused[place] = refusal(status, "I'm a teapot")

    with pytest.raises(ModelError, match=rf"pushing .* to org/name failed: {advice}") as caught:
        push(directory, REPO, private=True, tag="v1")
    assert "hf_test" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_token_is_no_missing_repository(directory: Path, hub: Hub) -> None:
    with pytest.raises(ModelError, match="status 401: the hub does not accept the token"):
        push(directory, REPO, private=True, token="hf_old")


def test_without_a_token_nobody_is_asked(directory: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")

    with pytest.raises(ModelError, match=r"no token of the hub on this machine; `hf auth login`"):
        push(directory, REPO, private=True)
    assert hub.requests == []


def test_a_directory_that_does_not_load_never_reaches_the_hub(directory: Path, hub: Hub) -> None:
    (directory / "tasks.json").unlink()

    with pytest.raises(ModelError, match="plain transformers directory"):
        push(directory, REPO, private=True)
    assert hub.requests == []


def test_a_hub_that_is_not_there_is_an_error_that_says_so(directory: Path, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"pushing .* failed: the connection failed"):
        push(directory, REPO, private=True, endpoint="http://127.0.0.1:9")


def test_offline_is_an_error_that_says_so(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"to org/name failed: .*HF_HUB_OFFLINE is set \(offline\)"):
        push(directory, REPO, private=True, token="hf_test")


INTENT = {
    "kind": "classification",
    "dataset": "tickets",
    "input": Input(columns=("body",), form="text", max_length=64).to_json(),
    "decoder": LabelDecoder(labels=("billing", "delivery")).to_json(),
}


@pytest.fixture
def exported(directory: Path, tmp_path: Path) -> Path:
    """Return what an export holds; nobody runs its graph here."""
    place = tmp_path / "onnx"
    place.mkdir()
    facts = {"format_version": 1, "precision": "fp32", "encoder": "bert", "pad_id": 0, "uses_token_types": True}
    contents = {
        "model.onnx": b"a graph",
        "runtime.json": json.dumps({**facts, "max_length": 64, "tasks": {"intent": INTENT}}).encode(),
        "tokenizer.json": (directory / "tokenizer.json").read_bytes(),
        "parity.json": b"{}",
    }
    for name, content in contents.items():
        (place / name).write_bytes(content)
    manifest = Manifest({name: facts_of(content) for name, content in contents.items()}, {})
    (place / "manifest.json").write_bytes(manifest.to_bytes())
    return place


EXPORTED = ["manifest.json", "model.onnx", "parity.json", "runtime.json", "tokenizer.json"]


def test_what_was_exported_is_pushed_by_its_own_list(exported: Path, hub: Hub) -> None:
    (exported / "rows.jsonl").write_text("private rows")
    (exported / "README.md").write_text("# int8\n")

    upload = push(exported, REPO, private=False).upload

    assert not upload.is_model
    assert upload.left_behind == ("rows.jsonl",)
    assert sorted(hub.repositories[REPO].files("main")) == [".gitattributes", "README.md", *EXPORTED]


def test_an_export_with_a_flipped_bit_or_a_link_outwards_stays_here(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (exported / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=r"README\.md points out of the directory"):
        files_to_push(exported)

    (exported / "README.md").unlink()
    (exported / "model.onnx").write_bytes(b"A graph")
    with pytest.raises(ModelError, match=r"model\.onnx"):
        files_to_push(exported)


def test_a_model_and_an_export_do_not_share_a_branch(directory: Path, exported: Path, hub: Hub) -> None:
    model = push(directory, REPO, private=False).commit

    with pytest.raises(ModelError, match=r"holds a directory of another format \(tasks\.json\).*--revision"):
        push(exported, REPO, private=False)
    assert hub.repositories[REPO].branches["main"] == model

    push(exported, "org/onnx", private=False)
    with pytest.raises(ModelError, match=r"another format \(runtime\.json\)"):
        push(directory, "org/onnx", private=False)


@pytest.mark.parametrize("name", ["name", "a/b/c", "", "org/na me", "https://huggingface.co/org/name"])
def test_an_illegal_repository_name_is_refused(directory: Path, hub: Hub, name: str) -> None:
    with pytest.raises(ModelError, match="is no repository of the hub; expected owner/name"):
        push(directory, name, private=True)
    assert hub.requests == []


def test_a_pushed_model_loads_by_branch_tag_and_commit(directory: Path, hub: Hub) -> None:
    first = push(directory, REPO, private=False, tag="v1")
    (directory / "README.md").write_text("# another card\n", encoding="utf-8")
    push(directory, REPO, private=False, revision="next")
    hub.repositories[REPO].branches["main"] = hub.repositories[REPO].branches["next"]

    def card(revision: str | None) -> str:
        return (load(REPO, revision=revision).path / "README.md").read_text(encoding="utf-8")

    assert card("v1") == card(first.commit) == "---\nlicense: mit\n---\n# card\n"
    assert card(None) == card("next") == "# another card\n"


def test_only_the_files_of_the_format_are_fetched(directory: Path, hub: Hub) -> None:
    push(directory, REPO, private=False)
    there = hub.repositories[REPO]
    there.add("main", {**there.files("main"), "run.py": b"import os", "pytorch_model.bin": b"pickle"}, "more")

    found = load(REPO).path

    assert sorted(entry.name for entry in found.iterdir()) == SENT
    assert not [path for _, path in hub.requests if path.endswith((".py", ".bin"))]


@pytest.mark.parametrize(
    ("name", "revision", "reason"),
    [
        ("org/nothing", None, "status 404: there is no such repository"),
        (REPO, "v9", "no model 'org/name', revision 'v9'.*the repository has no such revision; name a branch"),
    ],
)
def test_what_is_not_on_the_hub_is_an_error_that_says_so(
    directory: Path, hub: Hub, name: str, revision: str | None, reason: str
) -> None:
    push(directory, REPO, private=False)

    with pytest.raises(ModelError, match=reason):
        load(name, revision=revision)


def test_a_private_model_needs_a_token_to_be_read(directory: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    push(directory, REPO, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_old")

    with pytest.raises(ModelError, match="status 401: the hub does not accept the token"):
        load(REPO)


def test_a_fetch_that_broke_off_is_done_again(directory: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    push(directory, REPO, private=False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    hub.breaks_at = "/model.safetensors"

    with pytest.raises(ModelError, match="fetching it from the hub failed"):
        load(REPO)

    hub.breaks_at = None
    assert load(REPO).tasks == load(directory).tasks
