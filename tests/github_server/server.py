"""The server: REST (also under `/api/v3`), git over HTTP, and `/_…` for tests that watch from outside."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from tests.github_server.answers import Answer
from tests.github_server.faults import Fault, Faults
from tests.github_server.git_data import branches
from tests.github_server.git_http import GitHttp, is_git
from tests.github_server.openapi import load
from tests.github_server.rest import Rest
from tests.github_server.routes_actions import stored
from tests.github_server.state import GITHUB_ACTIONS, App, State, User


class GithubServer:
    """An in-memory GitHub on one port. Use as a context manager; `state` may be changed while it runs."""

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, public_host: str = "") -> None:
        self.state = State(folder)
        self.faults = Faults()
        self._http = _Http((host, port), _Handler)
        self._http.owner = self
        self.port: int = self._http.server_address[1]
        self.url = f"http://{public_host or host}:{self.port}"
        # Another name of the same machine: to clients it is another host.
        self.state.storage_url = f"http://{public_host or 'localhost'}:{self.port}/_storage"
        self.rest = Rest(self.state, load(), self.url)
        self.git = GitHttp(self.state)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> GithubServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join(timeout=10)
        self._http.server_close()

    def wait(self) -> None:
        """Serve until the process is ended."""
        self._thread.join()

    def token(
        self, permissions: dict[str, str] | None = None, *, app: App | None = GITHUB_ACTIONS, user: User | None = None
    ) -> str:
        """A new token with these permissions."""
        return self.state.token(permissions, app=app, user=user)

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON, for tests in other processes. Tokens are left out."""
        with self.state.lock:
            return {
                "violations": list(self.state.violations),
                "requests": list(self.state.requests),
                "repositories": {name: _repository(each) for name, each in self.state.repositories.items()},
            }

    def control(self, verb: str, target: str, body: bytes) -> Answer:
        """`GET /_state`; `POST /_faults` with a fault's fields; `POST /_token` with permissions."""
        path = target.partition("?")[0]
        if (verb, path) == ("GET", "/_state"):
            return Answer(200, self.snapshot())
        if (verb, path) == ("POST", "/_faults"):
            self.faults.add(Fault(**json.loads(body)))
            return Answer(200, {"armed": len(self.faults.faults)})
        if (verb, path) == ("POST", "/_token"):
            return Answer(200, {"token": self.token(json.loads(body or b"{}"))})
        return Answer(404, {"message": "no such control"})


def _repository(repository: Any) -> dict[str, Any]:
    return {
        "id": repository.id,
        "branches": branches(repository.git),
        "pushes": repository.pushes,
        "issues": {str(number): _issue(issue) for number, issue in repository.issues.items()},
        "check_runs": [asdict(run) for run in repository.checks.values()],
    }


def _issue(issue: Any) -> dict[str, Any]:
    pull = issue.pull
    return {
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "state": issue.state,
        "user": asdict(issue.user) if issue.user else None,
        "reactions": [{"content": r["content"], "user": r["user"]["login"]} for r in issue.reactions],
        "comments": [
            {
                "id": comment.id,
                "body": comment.body,
                "user": asdict(comment.user) if comment.user else None,
                "edits": comment.edits,
                "reactions": [{"content": r["content"], "user": r["user"]["login"]} for r in comment.reactions],
            }
            for comment in issue.comments
        ],
        "pull": {"head_ref": pull.head_ref, "base_ref": pull.base_ref, "head_sha": pull.head_sha, "draft": pull.draft}
        if pull
        else None,
    }


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: GithubServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; anything else becomes a violation that fails the test."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            self.owner.state.violations.append(f"the test server failed: {error!r}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # with it, each small answer would wait 40 ms for an acknowledgement
    wbufsize = 1 << 16

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def _serve(self) -> None:
        owner = cast("_Http", self.server).owner
        body = self._body()
        path = self.path.partition("?")[0]
        headers = cast("Mapping[str, str]", self.headers)
        if path.startswith("/_") and not path.startswith("/_storage/"):
            self._send(owner.control(self.command, self.path, body))
            return
        fault = owner.faults.take(self.command, path)
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault and fault.kind in {"status", "drop", "secondary", "primary"}:
            self._fail(fault)
        elif path.startswith("/_storage/"):
            status, data = stored(owner.state, path, headers)
            self._send_bytes(status, {"Content-Type": "application/octet-stream"}, data)
        elif is_git(path):
            answer = owner.git.answer(self.command, self.path, headers, body)
            self._send_bytes(answer.status, dict(answer.headers), answer.body)
        else:
            target = self.path.removeprefix("/api/v3") if path != "/api/graphql" else "/graphql"
            real = owner.rest.answer(self.command, target, headers, body)
            if fault and fault.kind in {"hidden", "drop-after"}:
                self._fail(fault)
            else:
                self._send(real)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _fail(self, fault: Fault) -> None:
        if fault.kind.startswith("drop"):
            self.close_connection = True
            return
        self._send(fault.answer())

    def _send(self, answer: Answer) -> None:
        data = b"" if answer.body is None else json.dumps(answer.body).encode()
        headers = {"Content-Type": "application/json; charset=utf-8", **answer.headers}
        self._send_bytes(answer.status, headers, data)

    def _send_bytes(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


for _verb in ("GET", "POST", "PATCH", "PUT", "DELETE"):
    setattr(_Handler, f"do_{_verb}", _Handler._serve)
