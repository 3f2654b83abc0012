"""Only the files of the format leave the machine, and only when the directory loads."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest

from mtl_transformers.errors import ModelError
from mtl_transformers.model.directory import FORMAT_VERSION, save
from mtl_transformers.model.encoder import load_encoder
from mtl_transformers.model.hub import files_to_push, push
from mtl_transformers.model.tokenizer import load_tokenizer

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


@pytest.fixture
def directory(tiny_bert: Path, tmp_path: Path) -> Path:
    save(
        tmp_path / "best",
        encoder=load_encoder(str(tiny_bert)),
        tokenizer=load_tokenizer(str(tiny_bert)),
        heads={},
        tasks={"format_version": FORMAT_VERSION, "tasks": {}},
        metrics={},
        card="# card\n",
    )
    return tmp_path / "best"


@dataclass
class Hub:
    """A hub on this machine: takes a repository, a branch and one commit, and remembers them."""

    address: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    repository: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    token: str | None = None
    status: int = 200

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        if path == "/api/repos/create":
            self.repository = json.loads(body)
            return {"url": f"{self.address}/org/name"}
        if "/preupload/" in path:
            files = json.loads(body)["files"]
            return {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        if "/commit/" in path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"commitUrl": f"{self.address}/org/name/commit/abc", "commitOid": "abc"}
        return {}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            hub.requests.append((self.command, path))
            hub.token = self.headers.get("Authorization")
            content = json.dumps(hub.answer(path, body)).encode()
            self.send_response(hub.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield hub
    server.shutdown()
    server.server_close()


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


def test_the_hub_gets_these_bytes_and_no_others(directory: Path, hub: Hub) -> None:
    (directory / ".env").write_text("HF_TOKEN=hf_secret")
    (directory / "checkpoints").mkdir()
    (directory / "checkpoints" / "model.safetensors").write_bytes(b"not ours to send")

    url = push(directory, "org/name", private=True, token="hf_test", endpoint=hub.address)

    assert url == f"{hub.address}/org/name/commit/abc"
    assert hub.files == {name: (directory / name).read_bytes() for name in SENT}
    assert hub.repository == {"organization": "org", "name": "name", "visibility": "private"}
    assert hub.token == "Bearer hf_test"


def test_a_revision_is_a_branch_that_is_made(directory: Path, hub: Hub) -> None:
    push(directory, "org/name", private=False, revision="v1", token="hf_test", endpoint=hub.address)

    assert ("POST", "/api/models/org/name/branch/v1") in hub.requests
    assert ("POST", "/api/models/org/name/commit/v1") in hub.requests


def test_a_directory_that_does_not_load_never_reaches_the_hub(directory: Path, hub: Hub) -> None:
    (directory / "tasks.json").unlink()

    with pytest.raises(ModelError, match="holds no tasks"):
        push(directory, "org/name", private=True, token="hf_test", endpoint=hub.address)
    assert hub.requests == []


def test_a_refusal_of_the_hub_says_what_to_check_and_hides_the_token(directory: Path, hub: Hub) -> None:
    hub.status = 403

    with pytest.raises(ModelError, match=r"to 'org/name' failed: .*403") as caught:
        push(directory, "org/name", private=True, token="hf_test", endpoint=hub.address)
    assert "hf auth login" in str(caught.value)
    assert "hf_test" not in str(caught.value)


def test_offline_is_an_error_that_says_so(directory: Path) -> None:
    with pytest.raises(ModelError, match=r"to 'org/name' failed: .*offline"):
        push(directory, "org/name", private=True, token="hf_test")


def test_an_illegal_repository_name_is_refused(directory: Path, hub: Hub) -> None:
    with pytest.raises(ModelError, match=r"pushing .* to 'a/b/c' failed"):
        push(directory, "a/b/c", private=True, token="hf_test", endpoint=hub.address)
