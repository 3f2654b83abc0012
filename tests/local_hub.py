"""A hub on this machine that speaks as much of the real one's HTTP as pushing and fetching need.

It keeps repositories with commits, branches and tags, large files by their hash, and every request. It can be told to
refuse a path, or to break the connection off there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

LARGE = (".safetensors", ".onnx")
TOKEN = "hf_test"


@dataclass(frozen=True)
class Answer:
    """A status with headers and a body."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


def as_json(content: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})


def refusal(status: int, message: str, code: str = "") -> Answer:
    named = {"X-Error-Code": code} if code else {}
    return as_json({"error": message}, status, **{"X-Error-Message": message}, **named)


@dataclass
class Repository:
    """Commits by their hash, and what names them."""

    visibility: str | None
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit_of(self, revision: str) -> str | None:
        named = self.branches.get(revision) or self.tags.get(revision)
        return named or (revision if revision in self.commits else None)

    def files(self, revision: str) -> dict[str, bytes]:
        return self.commits[self.commit_of(revision) or ""]

    def add(self, branch: str, files: dict[str, bytes], message: str) -> str:
        sha = hashlib.sha1(f"{len(self.messages)}{sorted(files)}".encode()).hexdigest()
        self.commits[sha], self.branches[branch] = files, sha
        self.messages.append(message)
        return sha


@dataclass
class Hub:
    """The hub: what it holds, and how it is to behave."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    validated: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refused: dict[str, Answer] = field(default_factory=dict)
    breaks_at: str | None = None

    def make(self, repo: str, visibility: str | None = None) -> Repository:
        made = self.repositories[repo] = Repository(visibility)
        made.add("main", {".gitattributes": b"*.safetensors filter=lfs"}, "initial commit")
        return made

    def answer(self, method: str, path: str, body: bytes, token: str | None) -> Answer | None:
        """Return the answer to a request; nothing where the connection breaks off."""
        self.requests.append((method, path))
        if self.breaks_at is not None and self.breaks_at in path:
            return None
        for part, refused in self.refused.items():
            if part in path:
                return refused
        if path.startswith("/lfs/"):  # an address that was given out to whoever may write
            self.large[path.rpartition("/")[2]] = body
            return Answer()
        if path == "/api/agent-harnesses":  # which the client asks for its own headers
            return as_json({})
        self.tokens.add(token)
        if token != f"Bearer {TOKEN}":
            return refusal(401, "Invalid credentials in Authorization header")
        match path.strip("/").split("/"):
            case ["api", "repos", "create"]:
                return self._create(json.loads(body))
            case ["api", "validate-yaml"]:
                self.validated.append(json.loads(body)["content"])
                return as_json({"errors": [], "warnings": []})
            case [owner, name, "info", "lfs", "objects", "batch"] if name.endswith(".git"):
                return self._batch(json.loads(body))
            case ["api", "models", owner, name, *rest]:
                return self._of_models(f"{owner}/{name}", rest, body)
            case [owner, name, "resolve", revision, file]:
                return self._file(self.repositories[f"{owner}/{name}"], revision, file)
        return refusal(404, f"no such place: {path}")

    def _create(self, given: dict[str, Any]) -> Answer:
        repo = f"{given['organization']}/{given['name']}"
        if repo in self.repositories:
            return as_json({"error": "You already created this model repo", "url": f"{self.address}/{repo}"}, 409)
        self.make(repo, given.get("visibility"))
        return as_json({"url": f"{self.address}/{repo}"})

    def _batch(self, given: dict[str, Any]) -> Answer:
        objects = [
            {**each, "actions": {"upload": {"href": f"{self.address}/lfs/{each['oid']}"}}}
            if each["oid"] not in self.large
            else each
            for each in given["objects"]
        ]
        return as_json({"transfer": "basic", "objects": objects})

    def _of_models(self, repo: str, rest: list[str], body: bytes) -> Answer:
        found = self.repositories.get(repo)
        if found is None:
            return refusal(404, "Repository not found", "RepoNotFound")
        place, revision = (rest[0] if rest else "revision"), unquote("/".join(rest[1:])) or "main"
        if place == "refs":
            refs = {"branches": found.branches, "tags": found.tags}
            named = {
                kind: [{"name": name, "ref": f"refs/{name}", "targetCommit": sha} for name, sha in of.items()]
                for kind, of in refs.items()
            }
            return as_json({**named, "converts": []})
        if place == "branch":
            if revision in found.branches:
                return refusal(409, "Reference already exists")
            found.branches[revision] = found.branches["main"]
            return as_json({})
        sha = found.commit_of(revision)
        if sha is None:
            return refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self._at(found, place, revision, sha, body, repo)

    def _at(self, found: Repository, place: str, revision: str, sha: str, body: bytes, repo: str) -> Answer:
        if place == "tag":
            found.tags[json.loads(body)["tag"]] = sha
            return as_json({})
        if place == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            return as_json({"files": [_known(name, found.files(sha).get(name)) for name in names]})
        if place == "commit":
            return self._commit(found, revision, sha, [json.loads(line) for line in body.splitlines()], repo)
        if place == "tree":
            return as_json([{"type": "file", "path": p, "size": len(c), "oid": p} for p, c in found.files(sha).items()])
        return as_json({"id": repo, "sha": sha, "siblings": [{"rfilename": name} for name in found.files(sha)]})

    def _commit(self, found: Repository, branch: str, sha: str, lines: list[dict[str, Any]], repo: str) -> Answer:
        header, files = lines[0]["value"], dict(found.files(sha))
        if header.get("parentCommit") not in (None, sha):
            return refusal(412, "A commit has happened since")
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.large[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        made = found.add(branch, files, header["summary"])
        return as_json({"commitUrl": f"{self.address}/{repo}/commit/{made}", "commitOid": made})

    def _file(self, found: Repository, revision: str, name: str) -> Answer:
        sha = found.commit_of(revision)
        content = found.commits[sha or ""][name]
        tagged = {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha or ""}
        return Answer(200, content, tagged)


def _known(name: str, content: bytes | None) -> dict[str, Any]:
    """How a file is to be sent, and which content of it is there."""
    is_large = name.endswith(LARGE)
    known = {"path": name, "uploadMode": "lfs" if is_large else "regular", "shouldIgnore": False}
    if content is None:
        return known
    as_git = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    return {**known, "oid": hashlib.sha256(content).hexdigest() if is_large else as_git}


@contextmanager
def local_hub() -> Iterator[Hub]:
    """Yield a hub that answers on a port of this machine."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer = hub.answer(self.command, self.path.partition("?")[0], body, self.headers.get("Authorization"))
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_HEAD = _answer

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
