"""Fetching from and pushing to a real bare repository: leases, refusals, credentials."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perstack.core.errors import ForgeError, InfrastructureError, Superseded, UserError
from perstack.infrastructure.git import Identity, Repository
from tests.infrastructure.gitkit import checkout, commit, git

pytestmark = pytest.mark.anyio


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    source = checkout(tmp_path / "source", {"a.txt": "one\n"})
    commit(source, {"a.txt": "two\n"})
    git(tmp_path, "clone", "-q", "--bare", str(source), "remote.git")
    git(tmp_path / "remote.git", "config", "uploadpack.allowAnySHA1InWant", "true")
    return tmp_path / "remote.git"


@pytest.fixture
async def own(remote: Path, tmp_path: Path) -> Repository:
    repository = await Repository.create(tmp_path / "own")
    await repository.fetch(f"file://{remote}", git(remote, "rev-parse", "main"))
    return repository


async def child_of(repository: Repository, parent: str, name: str = "A") -> str:
    return await repository.commit(f"{parent}^{{tree}}", [parent], "m", author=Identity(name, "a@x.org"), timestamp=1)


async def test_one_commit_is_fetched_without_history_unless_asked(own: Repository, remote: Path) -> None:
    head = git(remote, "rev-parse", "main")
    assert await own.read_file(head, "a.txt") == b"two\n"
    with pytest.raises(UserError, match="unknown revision"):
        await own.resolve(f"{head}^")
    await own.fetch(f"file://{remote}", head, depth=None)
    assert await own.resolve(f"{head}^") == git(remote, "rev-parse", "main^")


async def test_a_history_with_slips_of_old_clients_is_fetched_and_one_with_a_way_out_is_not(
    remote: Path, tmp_path: Path
) -> None:
    """Well-known repositories hold commits with impossible time zones; a name like `..` in a tree is an attack."""
    tree, blob = git(remote, "rev-parse", "main^{tree}"), git(remote, "rev-parse", "main:a.txt")
    padded = b"040000 sub\0" + bytes.fromhex(tree)
    odd = _made(remote, "tree", b"100644 a\0" + bytes.fromhex(blob) + padded)
    slip = _made(
        remote, "commit", f"tree {odd}\nauthor A<a@x.org> 1 +051800\ncommitter A <a@x.org> 01 +0518\n\nm\n".encode()
    )
    own = await Repository.create(tmp_path / "whole")
    await own.fetch(f"file://{remote}", git(remote, "commit-tree", tree, "-p", slip, "-m", "m"), depth=None)
    for name in ("..", ".git", "a/b"):
        bad = _made(remote, "tree", b"100644 %s\0" % name.encode() + bytes.fromhex(blob))
        with pytest.raises(ForgeError, match="could not be fetched"):
            await own.fetch(f"file://{remote}", git(remote, "commit-tree", bad, "-m", "m"))


def _made(where: Path, kind: str, data: bytes) -> str:
    return git(where, "hash-object", "-t", kind, "-w", "--literally", "--stdin", stdin=data)


async def test_a_commit_follows_the_branch_it_was_made_for(own: Repository, remote: Path) -> None:
    head = git(remote, "rev-parse", "main")
    new = await child_of(own, head)
    await own.push(f"file://{remote}", new, "main", expected=head)
    assert git(remote, "rev-parse", "main") == new


async def test_a_moved_branch_is_not_overwritten(own: Repository, remote: Path) -> None:
    head = git(remote, "rev-parse", "main")
    other = git(remote, "commit-tree", "main^{tree}", "-p", head, "-m", "somebody else")
    git(remote, "update-ref", "refs/heads/main", other)
    with pytest.raises(Superseded, match="no longer at"):
        await own.push(f"file://{remote}", await child_of(own, head), "main", expected=head)
    assert git(remote, "rev-parse", "main") == other


async def test_history_is_never_rewritten_even_with_the_right_lease(own: Repository, remote: Path) -> None:
    head = git(remote, "rev-parse", "main")
    orphan = await own.commit(f"{head}^{{tree}}", [], "m", author=Identity("A", "a@x.org"), timestamp=1)
    with pytest.raises(Superseded, match="does not follow"):
        await own.push(f"file://{remote}", orphan, "main", expected=head)
    assert git(remote, "rev-parse", "main") == head


async def test_a_new_branch_is_made_once(own: Repository, remote: Path) -> None:
    head = git(remote, "rev-parse", "main")
    first, second = await child_of(own, head), await child_of(own, head, "B")
    await own.push(f"file://{remote}", first, "fix/1", expected="")
    with pytest.raises(Superseded):
        await own.push(f"file://{remote}", second, "fix/1", expected="")
    assert git(remote, "rev-parse", "fix/1") == first


async def test_a_refusal_is_told_in_the_remotes_words(own: Repository, remote: Path) -> None:
    hook = remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'main is protected: open a pull request' >&2\nexit 1\n")
    hook.chmod(0o755)
    git(remote, "config", "core.hooksPath", str(remote / "hooks"))  # ours would be none, also over there
    head = git(remote, "rev-parse", "main")
    with pytest.raises(ForgeError, match="main is protected: open a pull request"):
        await own.push(f"file://{remote}", await child_of(own, head), "main", expected=head)


@pytest.mark.parametrize("branch", ["a..b", "-x:y", "a b", "main:refs/heads/other", "x.lock"])
async def test_a_branch_name_cannot_say_more(own: Repository, remote: Path, branch: str) -> None:
    with pytest.raises(UserError, match="not a branch name"):
        await own.push(f"file://{remote}", git(remote, "rev-parse", "main"), branch, expected="")


@pytest.mark.parametrize("url", ["ext::sh -c true", "ssh://host/x", "git://host/x"])
async def test_other_transports_are_refused(own: Repository, url: str) -> None:
    with pytest.raises((InfrastructureError, ForgeError)):
        await own.fetch(url, "0" * 40)


class _Refusing(http.server.BaseHTTPRequestHandler):
    seen: list[str | None]

    def do_GET(self) -> None:
        type(self).seen.append(self.headers.get("Authorization"))
        self.send_response(403)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


@pytest.fixture
def forge() -> Iterator[tuple[str, list[str | None]]]:
    seen: list[str | None] = []

    class Handler(_Refusing):
        pass

    Handler.seen = seen
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/o/r.git", seen
        server.shutdown()
        thread.join()


async def test_the_header_reaches_the_forge_and_no_file(own: Repository, forge: tuple[str, list[str | None]]) -> None:
    url, seen = forge
    with pytest.raises(ForgeError) as caught:
        await own.fetch(url, "1" * 40, header="Authorization: basic c2VjcmV0")
    assert seen == ["basic c2VjcmV0"]
    assert caught.value.status == 403
    assert "c2VjcmV0" not in caught.value.message
    assert not [path for path in own.path.rglob("*") if path.is_file() and b"c2VjcmV0" in path.read_bytes()]
