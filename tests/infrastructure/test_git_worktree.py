"""A user's checkout as git made it: files left out on purpose, stored bytes in another form, missing contents."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from perstack.core.errors import InfrastructureError
from perstack.infrastructure.git import Repository
from tests.infrastructure.gitkit import checkout, commit, git, write

pytestmark = pytest.mark.anyio
FILES: dict[str, str | bytes] = {"a.py": "1\n", "docs/big.txt": "2\n", "src/b.py": "3\n"}


async def changed(user: Path, base: str = "HEAD") -> tuple[str, ...]:
    repository = await Repository.from_checkout(user, user.with_name(f"{user.name}.own"))
    _, patch = await repository.tree_of_worktree(base, user)
    return patch.files


@pytest.mark.parametrize("index", ["--no-sparse-index", "--sparse-index", "split"])
async def test_files_that_a_sparse_checkout_leaves_out_are_not_taken_for_deleted(tmp_path: Path, index: str) -> None:
    user = checkout(tmp_path / "user", FILES)
    base = git(user, "rev-parse", "HEAD")
    commit(user, {"docs/big.txt": "22\n", "docs/new.txt": "n\n"})
    git(user, "sparse-checkout", "set", "--cone", *([index] if index != "split" else []), "src")
    if index == "split":
        git(user, "update-index", "--split-index")
    assert not (user / "docs").exists()
    (user / "src/b.py").unlink()
    assert await changed(user) == ("src/b.py",)
    assert await changed(user, base) == ("docs/big.txt", "docs/new.txt", "src/b.py")


async def test_a_file_that_git_was_told_not_to_look_at_counts_as_it_is(tmp_path: Path) -> None:
    user = checkout(tmp_path / "user", FILES)
    git(user, "update-index", "--skip-worktree", "a.py")
    git(user, "update-index", "--assume-unchanged", "src/b.py")
    write(user, {"a.py": "other\n", "src/b.py": "other\n"})
    assert await changed(user) == ("a.py", "src/b.py")


async def test_what_git_wrote_in_another_form_is_unchanged_only_where_an_attribute_says_so(tmp_path: Path) -> None:
    large = b"\0large" * 30_000
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(large).hexdigest()}\n"
    stored: dict[str, str | bytes] = {
        "m.bin": f"{pointer}size {len(large)}\n", "id.c": "/* $Id$ */\n", "u.txt": "caf\u00e9\n"
    }  # fmt: skip
    here: dict[str, str | bytes] = {
        "m.bin": large,
        "id.c": "/* $Id: 12ab $ */\r\n",
        "u.txt": "caf\u00e9\n".encode("utf-16"),
    }
    rules = "*.bin filter=lfs diff=lfs -text\nid.c ident\nu.txt working-tree-encoding=UTF-16LE-BOM\n"
    user = checkout(tmp_path / "user", stored)
    (user / ".git/info/attributes").write_text(rules)
    write(user, here)
    assert await changed(user) == ()
    (user / ".git/info/attributes").unlink()
    assert await changed(user) == ("id.c", "m.bin", "u.txt")
    commit(user, {**stored, "u.txt": here["u.txt"], ".gitattributes": rules})
    write(user, here)
    assert await changed(user) == ()
    write(user, {"m.bin": large + b"!", "id.c": "/* $Id: 12ab $ !*/\n", "u.txt": "cafe\n".encode("utf-16")})
    assert await changed(user) == ("id.c", "m.bin", "u.txt")


async def test_a_partial_clone_fetches_nothing_runs_nothing_and_hides_no_definition(tmp_path: Path) -> None:
    """Threat: git fetches a missing object by itself, with the program that the checkout's configuration names."""
    user = checkout(tmp_path / "user", {"perstack.toml": "model = 'x'\n", "a.py": "1\n"})
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho ran >{tmp_path}/mark\nexit 1\n")
    trap.chmod(0o755)
    git(user, "tag", "-a", "lost", "-m", "m")
    settings = {"extensions.partialClone": "origin", "remote.origin.promisor": "true"}
    for key, value in {**settings, "remote.origin.url": str(user), "remote.origin.uploadpack": str(trap)}.items():
        git(user, "config", key, value)
    for sha in (git(user, "rev-parse", "lost"), git(user, "rev-parse", "HEAD:perstack.toml")):
        (user / ".git/objects" / sha[:2] / sha[2:]).unlink()
    repository = await Repository.from_checkout(user, tmp_path / "own")
    assert await repository.read_file("HEAD", "a.py") == b"1\n"
    assert await repository.read_file("HEAD", "none.toml") is None
    with pytest.raises(InfrastructureError, match=r"perstack\.toml: its content .* is not in the repository") as caught:
        await repository.read_file("HEAD", "perstack.toml")
    assert "--refetch --no-filter" in caught.value.hint
    with pytest.raises(InfrastructureError, match=r"perstack\.toml: its content"):
        await repository.export("HEAD", tmp_path / "work")
    assert not (tmp_path / "mark").exists()
