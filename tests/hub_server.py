"""A small Hub on this machine that the real clients talk to over HTTP: models and data sets, private ones, tokens.

It holds its repositories in memory and knows the requests that `huggingface_hub`, `datasets` and `transformers` make
to create, fill and read them; anything else is a 404 and is kept in `unknown`. Where `answer` is given, that alone
answers.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import RepoCard

KINDS = {"models": "model", "datasets": "dataset"}
DATE = "2026-01-01T00:00:00.000Z"


@dataclass
class Repository:
    """Files by path, and who may see them."""

    owner: str
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0

    @property
    def commit(self) -> str:
        return hashlib.sha1(f"{self.owner}{self.commits}".encode()).hexdigest()


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, said: str, code: str = ""):
        super().__init__(said)
        self.status, self.said, self.code = status, said, code


class HubServer(ThreadingHTTPServer):
    """A Hub while a `with` block runs.

    Attributes:
        users: token → the name of its owner.
        repositories: (kind, owner/name) → Repository, with the kinds "model" and "dataset".
        fails: a regular expression; a request whose "METHOD path" it matches is answered 500.
        asked: "METHOD path" of each request.
        unknown: those that it does not know.
        answer: where it is given, (status, error code, body) for each request, whatever the repositories hold.
    """

    daemon_threads = True

    def __init__(self, users: Mapping[str, str] = MappingProxyType({}), answer: Callable | None = None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.users, self.answer, self.fails = users, answer, ""
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.stored: dict[str, bytes] = {}  # large files by their SHA-256, as they arrive before the commit
        self.asked: list[str] = []
        self.unknown: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def add(self, repo_id: str, *, kind: str = "model", private: bool = False) -> Repository:
        """A new repository, as its owner would have made it."""
        self.repositories[kind, repo_id] = Repository(repo_id.split("/")[0], private)
        return self.repositories[kind, repo_id]

    def files(self, repo_id: str, kind: str = "model") -> dict[str, bytes]:
        """What lies in a repository; empty where there is none."""
        repository = self.repositories.get((kind, repo_id))
        return dict(repository.files) if repository else {}


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    server: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        split = urlsplit(self.path)
        self.path_asked, self.query = unquote(split.path), parse_qs(split.query)
        self.content = self._read()
        self.server.asked.append(f"{self.command} {self.path_asked}")
        try:
            if self.server.fails and re.search(self.server.fails, self.server.asked[-1]):
                raise Refused(500, "Internal Server Error")
            status, headers, body = self._given() if self.server.answer else self._routed()
        except Refused as refused:
            status, body = refused.status, json.dumps({"error": refused.said}).encode()
            headers = {"X-Error-Message": refused.said, "Content-Type": "application/json"}
            headers |= {"X-Error-Code": refused.code} if refused.code else {}
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked may have stopped waiting
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = _answer

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    # Who asks

    def _user(self) -> str | None:
        """The name that the request's token stands for; None without a token."""
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token not in self.server.users:
            raise Refused(401, "Invalid credentials in Authorization header")
        return self.server.users.get(token)

    def _known_user(self) -> str:
        user = self._user()
        if user is None:
            raise Refused(401, "Invalid username or password.")
        return user

    def _hidden(self, repository: Repository, user: str | None) -> bool:
        return repository.private and repository.owner != user

    def _readable(self, kind: str, repo_id: str) -> Repository:
        user, found = self._user(), self.server.repositories.get((kind, repo_id))
        if found is None or self._hidden(found, user):
            # The Hub says the same of what is not there and of what is not yours: 401 to nobody, 404 to somebody.
            status = 404 if user else 401
            raise Refused(status, "Repository not found" if user else "Invalid username or password.", "RepoNotFound")
        return found

    def _writable(self, kind: str, repo_id: str) -> Repository:
        user, found = self._known_user(), self._readable(kind, repo_id)
        if found.owner != user:
            raise Refused(403, "Forbidden: you don't have the rights to write to this repository.")
        return found

    # What is asked

    def _routed(self) -> tuple[int, dict[str, str], bytes]:
        path, writes = self.path_asked, self.command in ("POST", "PUT")
        if path == "/api/whoami-v2":
            return self._json(
                {"type": "user", "name": self._known_user(), "orgs": [], "auth": {"type": "access_token"}}
            )
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(self.content))
        if found := re.fullmatch(r"/api/(models|datasets)", path):
            return self._listing(KINDS[found[1]])
        if found := re.fullmatch(r"/api/(models|datasets)/([\w.-]+/[\w.-]+)(?:/(.*))?", path):
            kind, repo_id, rest = KINDS[found[1]], found[2], found[3] or ""
            what, _, more = rest.partition("/")
            if writes and what in ("preupload", "commit"):
                return getattr(self, f"_{what}")(kind, repo_id)
            if what in ("", "revision"):
                return self._info(kind, repo_id, more)
            if what == "tree":
                return self._tree(kind, repo_id, *[*more.split("/", 1), ""][:2])
            if what == "paths-info":
                return self._paths_info(kind, repo_id, more)
        if found := re.fullmatch(r"/(datasets/)?([\w.-]+/[\w.-]+)\.git/info/lfs/objects/batch", path):
            return self._batch("dataset" if found[1] else "model", found[2])
        if self.command == "PUT" and (found := re.fullmatch(r"/lfs/([0-9a-f]{64})", path)):
            if hashlib.sha256(self.content).hexdigest() != found[1]:
                raise Refused(400, "These bytes have another SHA-256.")
            self.server.stored[found[1]] = self.content
            return 200, {}, b""
        if found := re.fullmatch(r"/(datasets/)?([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self._file("dataset" if found[1] else "model", *found.groups()[1:])
        self.server.unknown.append(f"{self.command} {self.path}")
        raise Refused(404, "Not Found")

    def _given(self) -> tuple[int, dict[str, str], bytes]:
        status, code, value = self.server.answer(self)
        _, headers, body = self._json(value)
        return status, headers | ({"X-Error-Code": code} if code else {}), body

    def _json(self, value: object) -> tuple[int, dict[str, str], bytes]:
        return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()

    def _create(self, asked: dict) -> tuple[int, dict[str, str], bytes]:
        user, kind = self._known_user(), asked.get("type") or "model"
        owner = asked.get("organization") or user
        repo_id = f"{owner}/{asked['name']}"
        if owner != user:
            raise Refused(403, f'You don\'t have the rights to create a {kind} under the namespace "{owner}"')
        url = f"{self.server.address}/{'datasets/' * (kind == 'dataset')}{repo_id}"
        if (kind, repo_id) in self.server.repositories:
            status, said = 409, {"error": "You already created this repo", "url": url}
            return status, {"Content-Type": "application/json"}, json.dumps(said).encode()
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.add(repo_id, kind=kind, private=bool(private))
        return self._json({"url": url, "name": repo_id, "id": repo_id})

    def _listing(self, kind: str) -> tuple[int, dict[str, str], bytes]:
        """What a user has that whoever asks may see."""
        user, [author] = self._user(), self.query.get("author", [""])
        repositories = [(repo_id, found) for (what, repo_id), found in self.server.repositories.items() if what == kind]
        seen = [repo_id for repo_id, found in repositories if found.owner == author and not self._hidden(found, user)]
        return self._json([{"_id": repo_id, "id": repo_id, "modelId": repo_id} for repo_id in seen])

    def _preupload(self, kind: str, repo_id: str) -> tuple[int, dict[str, str], bytes]:
        self._writable(kind, repo_id)
        large = (".safetensors", ".parquet", ".png", ".bin")
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(large) else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in json.loads(self.content)["files"]
        ]
        return self._json({"files": files})

    def _batch(self, kind: str, repo_id: str) -> tuple[int, dict[str, str], bytes]:
        self._writable(kind, repo_id)
        objects = []
        for wanted in json.loads(self.content)["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.server.stored:
                entry["actions"] = {"upload": {"href": f"{self.server.address}/lfs/{wanted['oid']}", "header": {}}}
            objects.append(entry)
        status, headers, body = self._json({"transfer": "basic", "objects": objects})
        return status, headers | {"Content-Type": "application/vnd.git-lfs+json"}, body

    def _commit(self, kind: str, repo_id: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._writable(kind, repo_id)
        files = dict(repository.files)
        for line in self.content.splitlines():
            entry = json.loads(line)
            what, value = entry["key"], entry["value"]
            if what == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif what == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
            elif what == "deletedFile":
                files.pop(value["path"], None)
            elif what == "deletedFolder":
                files = {path: content for path, content in files.items() if not path.startswith(value["path"])}
        repository.files, repository.commits = files, repository.commits + 1
        url = f"{self.server.address}/{repo_id}/commit/{repository.commit}"
        return self._json({"success": True, "commitOid": repository.commit, "commitUrl": url, "hookOutput": ""})

    def _at(self, kind: str, repo_id: str, revision: str) -> Repository:
        """The repository at its only branch or its newest commit."""
        repository = self._readable(kind, repo_id)
        if revision not in ("", "main", repository.commit):
            raise Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repository

    def _info(self, kind: str, repo_id: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._at(kind, repo_id, revision)
        card = RepoCard(repository.files.get("README.md", b"---\nlicense:\n---\n").decode())
        return self._json(
            {
                "cardData": card.data.to_dict(),
                "_id": repository.commit[:24],
                "id": repo_id,
                "modelId": repo_id,
                "author": repository.owner,
                "sha": repository.commit,
                "private": repository.private,
                "gated": False,
                "disabled": False,
                "createdAt": DATE,
                "lastModified": DATE,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [{"rfilename": path} for path in sorted(repository.files)],
            }
        )

    def _entries(self, repository: Repository) -> dict[str, dict]:
        """Files and folders as the Hub lists them, by path."""
        entries = {}
        for path, content in sorted(repository.files.items()):
            parts = path.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = "/".join(parts[:depth])
                oid = hashlib.sha1(folder.encode()).hexdigest()
                entries[folder] = {"type": "directory", "oid": oid, "size": 0, "path": folder}
            oid = hashlib.sha1(content).hexdigest()
            entries[path] = {"type": "file", "oid": oid, "size": len(content), "path": path}
        return entries

    def _tree(self, kind: str, repo_id: str, revision: str, folder: str) -> tuple[int, dict[str, str], bytes]:
        entries = self._entries(self._at(kind, repo_id, revision))
        if folder and folder not in entries:
            raise Refused(404, f"{folder} does not exist", "EntryNotFound")
        inside = {path: entry for path, entry in entries.items() if not folder or path.startswith(f"{folder}/")}
        if self.query.get("recursive", ["false"])[0].lower() not in ("true", "1"):
            depth = folder.count("/") + 1 if folder else 0
            inside = {path: entry for path, entry in inside.items() if path.count("/") == depth}
        return self._json(list(inside.values()))

    def _paths_info(self, kind: str, repo_id: str, revision: str) -> tuple[int, dict[str, str], bytes]:
        entries = self._entries(self._at(kind, repo_id, revision))
        if "json" in (self.headers.get("Content-Type") or ""):
            paths = json.loads(self.content)["paths"]
        else:
            paths = parse_qs(self.content.decode()).get("paths", [])
        return self._json([entries[path] for path in paths if path in entries])

    def _file(self, kind: str, repo_id: str, revision: str, path: str) -> tuple[int, dict[str, str], bytes]:
        repository = self._at(kind, repo_id, revision)
        if path not in repository.files:
            raise Refused(404, "Entry not found", "EntryNotFound")
        content = repository.files[path]
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        headers |= {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
            return 206, headers | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]
        return 200, headers, content
