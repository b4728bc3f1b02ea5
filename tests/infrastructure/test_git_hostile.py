"""A checkout that tries to run something through git's configuration: nothing of it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure import git_history
from perstack.infrastructure.git import Identity, Repository
from perstack.infrastructure.git_command import Git, environment
from perstack.infrastructure.process import run
from tests.infrastructure.gitkit import ENV, checkout, git, write

pytestmark = pytest.mark.anyio

_SETTINGS = {
    "core.fsmonitor": "{run}", "core.sshCommand": "{run}", "core.pager": "{run}", "core.editor": "{run}",
    "core.alternateRefsCommand": "{run}", "core.gitProxy": "{run}", "core.askPass": "{run}",
    "diff.external": "{run}", "diff.evil.textconv": "{run}", "diff.evil.command": "{run}",
    "filter.evil.clean": "{run}", "filter.evil.smudge": "{run}", "filter.evil.process": "{run}",
    "filter.evil.required": "true", "merge.evil.driver": "{run}", "credential.helper": "!{run}",
    "uploadpack.packObjectsHook": "{run}", "gpg.program": "{run}", "commit.gpgSign": "true",
    "alias.diff-tree": "!{run}", "alias.cat-file": "!{run}", "sequence.editor": "{run}",
    "submodule.evil.update": "!{run}", "receive.procReceiveRefs": "refs/",
}  # fmt: skip
_HOOKS = ("pre-commit", "post-checkout", "post-index-change", "reference-transaction", "pre-push", "update",
          "pre-receive", "post-commit", "fsmonitor-watchman")  # fmt: skip


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a mark when anybody starts it."""
    program = tmp_path / "trap.sh"
    program.write_text(f'#!/bin/sh\necho ran "$0" >>{tmp_path}/mark\nexit 1\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def hostile(tmp_path: Path, trap: Path) -> Path:
    root = checkout(
        tmp_path / "hostile",
        {
            "a.txt": "one\n", "b.py": "x = 1\n",
            ".gitattributes": "* diff=evil filter=evil merge=evil\n",
            ".gitmodules": f'[submodule "evil"]\n path = sub\n url = ext::{trap}\n update = !{trap}\n',
        },
    )  # fmt: skip
    head = git(root, "rev-parse", "HEAD")
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},sub")
    git(root, "commit", "-q", "-m", "submodule")
    for hook in _HOOKS:
        shutil.copy(trap, root / ".git/hooks" / hook)
    for key, value in _SETTINGS.items():
        git(root, "config", key, value.format(run=trap))
    write(root, {".git/evil.config": f'[diff "evil"]\n textconv = {trap}\n[core]\n fsmonitor = {trap}\n'})
    git(root, "config", "extensions.worktreeConfig", "true")
    shutil.copy(root / ".git/evil.config", root / ".git/config.worktree")
    with (root / ".git/config").open("a") as config:
        config.write(f"[include]\n path = {root}/.git/evil.config\n")
    write(root, {".git/info/attributes": "* diff=evil filter=evil\n", ".git/info/grafts": f"{head} {head}\n"})
    return root


@pytest.mark.threat("R2", "P17", "W8")
async def test_nothing_configured_in_a_checkout_runs(hostile: Path, tmp_path: Path) -> None:
    repository = await Repository.from_checkout(hostile, tmp_path / "own")
    work = tmp_path / "work"
    await repository.export("HEAD", work)
    assert not (work / "sub").exists()
    write(work, {"a.txt": "two\n", "new.txt": "new\n", ".gitattributes": "* filter=evil diff=evil\n"})
    write(work, {".git/config": (hostile / ".git/config").read_text()})
    tree, patch = await repository.snapshot("HEAD", work)
    assert patch.files == (".gitattributes", "a.txt", "new.txt")
    assert await repository.apply("HEAD", patch.text) == tree
    write(hostile, {"a.txt": "dirty\n"})
    _, dirty = await repository.tree_of_worktree("HEAD", hostile)
    assert dirty.files == ("a.txt",)
    head = await repository.resolve("HEAD")
    await repository.commit(tree, [head], "m", author=Identity("A", "a@x.org"), timestamp=1)
    assert not (tmp_path / "mark").exists()


async def test_the_trap_itself_works(hostile: Path, tmp_path: Path) -> None:
    await run(["git", "status"], cwd=hostile, env=ENV)
    assert (tmp_path / "mark").exists()


async def test_replace_refs_change_nothing(tmp_path: Path) -> None:
    root = checkout(tmp_path / "source", {"a.txt": "true\n"})
    fake = git(root, "hash-object", "-w", "--stdin", stdin=b"fake\n")
    git(root, "replace", git(root, "rev-parse", "HEAD:a.txt"), fake)
    repository = await Repository.from_checkout(root, tmp_path / "own")
    assert await repository.read_file("HEAD", "a.txt") == b"true\n"


async def test_a_branch_with_an_odd_name_or_none_hides_no_other(tmp_path: Path) -> None:
    """Characters that end lines elsewhere are part of a ref's name; names like options and like HEAD are names."""
    root = checkout(tmp_path / "source", {"a.txt": "x\n"})
    for name in ("refs/heads/a\u0085b\u2028c", "refs/heads/HEAD", "refs/heads/-x", "refs/heads/main^{}x"):
        (root / ".git" / name).write_text(git(root, "rev-parse", "HEAD") + "\n")
    (root / ".git/refs/heads/broken").write_text("1" * 40 + "\n")
    repository = await Repository.from_checkout(root, tmp_path / "own")
    head = git(root, "rev-parse", "main")
    assert await repository.resolve("a\u0085b\u2028c") == await repository.resolve("HEAD") == head
    assert await repository.resolve("-x") == head
    with pytest.raises(UserError, match="unknown revision"):
        await repository.resolve("broken")


async def test_attributes_of_a_commit_hide_nothing_from_a_patch(tmp_path: Path) -> None:
    """Threat: `-diff` makes a change a blob that nobody reads. Some versions of git take it from a bare HEAD."""
    hidden = "* -diff -text binary\n*.py diff=python export-ignore linguist-generated\n"
    root = checkout(tmp_path / "source", {"a.py": "x = 1\n", ".gitattributes": hidden})
    repository = await Repository.from_checkout(root, tmp_path / "own")
    await repository.export("HEAD", tmp_path / "work")
    write(tmp_path / "work", {"a.py": "x = 2\n"})
    _, patch = await repository.snapshot("HEAD", tmp_path / "work")
    assert "\n-x = 1\n+x = 2\n" in patch.text
    told = await repository.folded_away(await repository.list_files("HEAD"), ["a.py", "new/b.txt", ".gitattributes"])
    assert told == {"a.py": "linguist-generated", "new/b.txt": "-diff", ".gitattributes": "-diff"}
    empty = git(repository.path, "-c", f"include.path={environment()['GIT_CONFIG_GLOBAL']}", "config", "attr.tree")
    assert empty == git(repository.path, "hash-object", "-t", "tree", "/dev/null")


@pytest.mark.parametrize("who", ["A <a@x.org> x +0000", "A <a@x.org> 99999999999999999999999 +0000", "A"])
async def test_a_commit_without_a_date_and_with_marks_in_its_message_is_one_commit(tmp_path: Path, who: str) -> None:
    root = checkout(tmp_path / "source", {"a.txt": "x\n"})
    told = f"tree {git(root, 'rev-parse', 'HEAD^{tree}')}\nauthor {who}\ncommitter {who}\n\nm\x01forged\x02\nb.txt\n"
    head = git(root, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=told.encode())
    git(root, "update-ref", "refs/heads/main", head)
    repository = await Repository.from_checkout(root, tmp_path / "own")
    own = Git(repository.path)
    assert [one.time for one in await git_history.log(own, head)] == [0]
    assert [line.commit.time for line in await git_history.blame(own, head, "a.txt", 1, 1)] == [0]
    assert [paths for _, paths in await git_history.changes(own, head, limit=5, seconds=20)] == [("a.txt",)]


def test_gits_environment_is_made_from_nothing() -> None:
    made = environment()
    assert made["GIT_ALLOW_PROTOCOL"] == "none"
    assert made["GIT_TERMINAL_PROMPT"] == "0"
    assert not set(made) & {"GIT_DIR", "SSH_AUTH_SOCK", "GITHUB_TOKEN", "GIT_EXEC_PATH"}
