"""The harness's own repository: revisions, files, differences, patches, commits."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure.git import Identity, Repository
from tests.infrastructure.gitkit import checkout, commit, git

pytestmark = pytest.mark.anyio

FILES: dict[str, str | bytes] = {"a.txt": "one\ntwo\n", "pkg/b.py": "x = 1\n", ".gitignore": "*.log\nbuild/\n"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return checkout(tmp_path / "source", FILES)


async def test_a_checkout_is_seen_with_its_branches_tags_and_head(source: Path, tmp_path: Path) -> None:
    git(source, "tag", "-a", "v1", "-m", "v1")
    second = commit(source, {"a.txt": "changed\n"})
    git(source, "checkout", "-q", "-b", "topic")
    repository = await Repository.from_checkout(source / "pkg", tmp_path / "own")
    assert await repository.resolve("HEAD") == second == await repository.resolve("topic")
    assert await repository.resolve("v1") == await repository.resolve("main~1") == git(source, "rev-parse", "main~1")
    assert await repository.merge_base("v1", "topic") == git(source, "rev-parse", "main~1")


async def test_a_detached_head_and_a_linked_worktree_are_seen(source: Path, tmp_path: Path) -> None:
    first = git(source, "rev-parse", "HEAD")
    second = commit(source, {"a.txt": "changed\n"})
    git(source, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"), first)
    repository = await Repository.from_checkout(tmp_path / "linked", tmp_path / "own")
    assert await repository.resolve("HEAD") == first
    assert await repository.resolve("main") == second


async def test_a_shallow_clone_works_and_says_so_when_history_is_missing(source: Path, tmp_path: Path) -> None:
    commit(source, {"a.txt": "changed\n"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{source}", "shallow")
    repository = await Repository.from_checkout(tmp_path / "shallow", tmp_path / "own")
    assert await repository.read_file("HEAD", "a.txt") == b"changed\n"
    with pytest.raises(UserError, match="fetch-depth: 0"):
        await repository.resolve("HEAD~1")


async def test_a_directory_without_a_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(UserError, match="not a git repository"):
        await Repository.from_checkout(tmp_path / "plain", tmp_path / "own")


@pytest.mark.parametrize("rev", ["nope", "--output=x", "HEAD:a.txt", ""])
async def test_an_unknown_revision_is_a_user_error(source: Path, tmp_path: Path, rev: str) -> None:
    repository = await Repository.from_checkout(source, tmp_path / "own")
    with pytest.raises(UserError, match="unknown revision"):
        await repository.resolve(rev)


async def test_unrelated_histories_have_no_merge_base(source: Path, tmp_path: Path) -> None:
    git(source, "checkout", "-q", "--orphan", "other")
    commit(source, {"z": "z"})
    repository = await Repository.from_checkout(source, tmp_path / "own")
    with pytest.raises(UserError, match="no common ancestor of main and other"):
        await repository.merge_base("main", "other")


async def test_files_are_read_and_listed_as_stored(source: Path, tmp_path: Path) -> None:
    repository = await Repository.from_checkout(source, tmp_path / "own")
    assert await repository.read_file("HEAD", "pkg/b.py") == b"x = 1\n"
    assert await repository.read_file("HEAD", "pkg") is None
    assert await repository.read_file("HEAD", "../a.txt") is None
    entries = await repository.list_files("HEAD")
    assert [(e.path, e.mode, e.type, e.size) for e in entries] == [
        (".gitignore", "100644", "blob", 13), ("a.txt", "100644", "blob", 8), ("pkg/b.py", "100644", "blob", 6),
    ]  # fmt: skip


async def test_a_difference_is_whole_and_applies_again(source: Path, tmp_path: Path) -> None:
    (source / "pkg/b.py").chmod(0o755)
    changed: dict[str, str | bytes] = {
        "a.txt": "one\nTWO\n",
        "bin": bytes(range(256)),
        "ü.txt": "ß\n",
        "odd": b"\xff\n",
    }
    commit(source, changed)
    repository = await Repository.from_checkout(source, tmp_path / "own")
    patch = await repository.diff("HEAD~1", "HEAD")
    assert patch.files == ("a.txt", "bin", "odd", "pkg/b.py", "ü.txt")
    assert (patch.insertions, patch.deletions) == (3, 1)
    assert "new mode 100755" in patch.text
    assert "GIT binary patch" in patch.text
    tree = await repository.apply("HEAD~1", patch.text)
    assert tree == git(source, "rev-parse", "HEAD^{tree}")
    assert (await repository.diff("HEAD", tree)).is_empty


async def test_a_patch_that_does_not_apply_says_where(source: Path, tmp_path: Path) -> None:
    repository = await Repository.from_checkout(source, tmp_path / "own")
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-three\n+four\n"
    with pytest.raises(UserError, match=r"patch does not apply: patch failed: a\.txt:1"):
        await repository.apply("HEAD", patch)
    with pytest.raises(UserError, match="patch does not apply"):
        await repository.apply("HEAD", "nonsense")
    escape = "--- /dev/null\n+++ b/../../x\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(UserError, match="invalid path"):
        await repository.apply("HEAD", escape)


async def test_an_empty_patch_gives_the_base_tree(source: Path, tmp_path: Path) -> None:
    repository = await Repository.from_checkout(source, tmp_path / "own")
    assert await repository.apply("HEAD", "") == git(source, "rev-parse", "HEAD^{tree}")


async def test_a_commit_has_exactly_the_given_author_and_time(source: Path, tmp_path: Path) -> None:
    repository = await Repository.from_checkout(source, tmp_path / "own")
    base = await repository.resolve("HEAD")
    tree = git(source, "rev-parse", "HEAD^{tree}")
    sha = await repository.commit(tree, [base], "why\n\nbody\n", author=Identity("Bot", "b@x.org"), timestamp=1234)
    again = await repository.commit(tree, [base], "why\n\nbody\n", author=Identity("Bot", "b@x.org"), timestamp=1234)
    assert sha == again
    assert "author Bot <b@x.org> 1234 +0000" in git(repository.path, "cat-file", "commit", sha)
    assert await repository.resolve(f"{sha}^") == base
