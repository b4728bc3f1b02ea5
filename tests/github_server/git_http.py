"""Git over smart HTTP through git's own `http-backend`, with GitHub's rules about who may push."""

from __future__ import annotations

import base64
import gzip
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.github_server.git_data import ENVIRONMENT, branches
from tests.github_server.state import Repository, State, Token

_PATH = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")


@dataclass(frozen=True)
class GitAnswer:
    """What goes back to git."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def is_git(path: str) -> bool:
    """Whether a path belongs to git's protocol."""
    return _PATH.fullmatch(path) is not None


class GitHttp:
    """Serves the bare repositories of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> GitAnswer:
        """One request of git's protocol."""
        path, _, query = target.partition("?")
        match = _PATH.fullmatch(path)
        assert match is not None
        owner, name, service = match.groups()
        repository = self._state.repositories.get(f"{owner}/{name}")
        if repository is None:
            return _plain(404, "Repository not found.")
        pushing = "git-receive-pack" in (service, query.removeprefix("service="))
        given = headers.get("Authorization", "")
        token = self._token(given)
        if given and token is None:
            return _plain(401, "Invalid username or token.")
        if pushing and token is None:
            return GitAnswer(401, {"WWW-Authenticate": 'Basic realm="GitHub"', "Content-Type": "text/plain"}, b"")
        if token and not token.may("contents", "write" if pushing else "read"):
            return _plain(403, f"Permission to {owner}/{name}.git denied to {token.user.login}.")
        before = branches(repository.git)
        environment = _environment(headers, repository, token) | {
            "REQUEST_METHOD": verb, "QUERY_STRING": query, "PATH_INFO": f"/{owner}/{name}.git/{service}",
        }  # fmt: skip
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        environment["CONTENT_LENGTH"] = str(len(body))
        result = subprocess.run(
            ["git", "http-backend"], env=environment, input=body, capture_output=True, timeout=120, check=False
        )
        if pushing:
            self._record(repository, before, token)
        return _parse(result.stdout)

    def _token(self, header: str) -> Token | None:
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "basic":
            try:
                value = base64.b64decode(value, validate=True).decode().partition(":")[2]
            except ValueError:
                return None
        return self._state.tokens.get(value)

    def _record(self, repository: Repository, before: Mapping[str, str], token: Token | None) -> None:
        with self._state.lock:
            after = branches(repository.git)
            for branch in sorted(before.keys() | after.keys()):
                old, new = before.get(branch, ""), after.get(branch, "")
                if old != new:
                    by = token.user.login if token else ""
                    repository.pushes.append({"branch": branch, "before": old, "after": new, "by": by})
            for each in self._state.repositories.values():
                each.sync_pulls()


def _environment(headers: Mapping[str, str], repository: Repository, token: Token | None) -> dict[str, str]:
    return {
        **{key: value for key, value in ENVIRONMENT.items() if not key.startswith(("GIT_AUTHOR", "GIT_COMMITTER"))},
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(repository.git.parents[1]),
        "GIT_HTTP_EXPORT_ALL": "1",
        "CONTENT_TYPE": headers.get("Content-Type", ""),
        "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
        "REMOTE_USER": token.user.login if token else "",
        "WORKFLOWS": "1" if token and token.may("workflows", "write") else "0",
    }


def _plain(status: int, text: str) -> GitAnswer:
    return GitAnswer(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def _parse(output: bytes) -> GitAnswer:
    head, _, body = output.partition(b"\r\n\r\n")
    headers: dict[str, str] = {}
    status = 200
    for line in head.decode().split("\r\n"):
        name, _, value = line.partition(": ")
        if name.lower() == "status":
            status = int(value.split()[0])
        elif name:
            headers[name] = value
    return GitAnswer(status, headers, body)
