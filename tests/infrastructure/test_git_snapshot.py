"""From commit to directory and back: what is written, what a candidate is, what is refused."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from perstack.core.errors import ToolError, UserError
from perstack.infrastructure.git import Repository, ScanLimits
from tests.infrastructure.gitkit import checkout, git, write

pytestmark = pytest.mark.anyio


@pytest.fixture
async def repository(tmp_path: Path) -> Repository:
    source = tmp_path / "source"
    files: dict[str, str | bytes] = {
        "a.txt": "one\r\ntwo\n", "run.sh": "#!/bin/sh\n", "pkg/b.py": "x = 1\n",
        ".gitignore": "*.log\nbuild/\n!keep.log\n",
        ".gitattributes": "* text=auto eol=crlf\nsecret.txt export-ignore\n*.py filter=evil ident\n",
        "secret.txt": "$Id$\n", "forced.log": "tracked\n", "perstack/x.toml": "a = 1\n",
    }  # fmt: skip
    source.mkdir()
    write(source, files)
    git(source, "init", "-q", "-b", "main")
    (source / "run.sh").chmod(0o755)
    (source / "inside").symlink_to("pkg/b.py")
    (source / "loop").symlink_to(".")
    (source / "outside").symlink_to("/etc/passwd")
    (source / "up").symlink_to("loop/../../..")
    git(source, "-c", "core.attributesFile=/dev/null", "add", "-A", "-f")
    git(source, "commit", "-q", "-m", "first")
    return await Repository.from_checkout(source, tmp_path / "own")


@pytest.fixture
async def workspace(repository: Repository, tmp_path: Path) -> Path:
    await repository.export("HEAD", tmp_path / "work")
    return tmp_path / "work"


def links_of(folder: Path) -> dict[str, str]:
    return {path.name: str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}


async def test_export_writes_blobs_as_they_are(repository: Repository, workspace: Path) -> None:
    for entry in await repository.list_files("HEAD"):
        if entry.mode != "120000":
            assert (workspace / entry.path).read_bytes() == await repository.read_file("HEAD", entry.path)
    assert (workspace / "secret.txt").read_bytes() == b"$Id$\n"
    assert os.access(workspace / "run.sh", os.X_OK)
    assert not os.access(workspace / "a.txt", os.X_OK)
    assert not (workspace / ".git").exists()


async def test_export_keeps_only_links_that_stay_inside(workspace: Path) -> None:
    assert links_of(workspace) == {"inside": "pkg/b.py", "loop": "."}


@pytest.mark.threat("P17", "W2")
async def test_export_refuses_a_tree_with_a_way_out(repository: Repository, tmp_path: Path) -> None:
    blob = git(repository.path, "hash-object", "-w", "--stdin", stdin=b"x")
    for name in ("..", ".git", ".GIT"):
        tree = git(
            repository.path, "hash-object", "-t", "tree", "-w", "--literally", "--stdin",
            stdin=b"100644 %s\0%s" % (name.encode(), bytes.fromhex(blob)),
        )  # fmt: skip
        with pytest.raises(UserError, match="unsafe path"):
            await repository.export(tree, tmp_path / "bad")


async def test_an_untouched_workspace_is_an_empty_candidate(repository: Repository, workspace: Path) -> None:
    _, patch = await repository.snapshot("HEAD", workspace)
    assert patch.is_empty


async def test_a_candidate_is_all_that_changed(repository: Repository, workspace: Path) -> None:
    write(workspace, {"pkg/b.py": "x = 2\r\n", "new/c.py": "y = 1\n", "note.log": "no\n", "build/x": "no\n"})
    write(workspace, {"forced.log": "changed\n", "keep.log": "yes\n", "perstack/x.toml": "a = 2\n", ".git/hooks/x": ""})
    (workspace / "secret.txt").unlink()
    (workspace / "run.sh").chmod(0o644)
    (workspace / "away").symlink_to("/etc/passwd")
    tree, patch = await repository.snapshot("HEAD", workspace)
    assert patch.files == (
        "away", "forced.log", "keep.log", "new/c.py", "pkg/b.py", "run.sh", "secret.txt",
    )  # fmt: skip
    assert await repository.read_file(tree, "pkg/b.py") == b"x = 2\r\n"
    assert await repository.read_file(tree, "away") == b"/etc/passwd"
    assert await repository.read_file(tree, "perstack/x.toml") == b"a = 1\n"
    assert "old mode 100755" in patch.text
    assert await repository.apply("HEAD", patch.text) == tree


async def test_a_changed_ignore_file_hides_nothing(repository: Repository, workspace: Path) -> None:
    write(workspace, {".gitignore": "*\n", "pkg/.gitignore": "*\n", "pkg/evil.py": "", "a.log": ""})
    _, patch = await repository.snapshot("HEAD", workspace)
    assert {"pkg/evil.py", "pkg/.gitignore", ".gitignore"} <= set(patch.files)
    assert "a.log" not in patch.files


async def test_a_file_may_become_a_directory_and_back(repository: Repository, workspace: Path) -> None:
    (workspace / "a.txt").unlink()
    write(workspace, {"a.txt/inner": "x\n"})
    (workspace / "pkg/b.py").unlink()
    (workspace / "pkg").rmdir()
    write(workspace, {"pkg": "file now\n"})
    tree, patch = await repository.snapshot("HEAD", workspace)
    assert await repository.read_file(tree, "a.txt/inner") == b"x\n"
    assert await repository.read_file(tree, "pkg") == b"file now\n"
    assert await repository.apply("HEAD", patch.text) == tree


@pytest.mark.threat("P17", "W4")
async def test_special_files_and_nested_repositories_are_named(repository: Repository, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(workspace / "sock"))
        (workspace / "sub/.git").mkdir(parents=True)
        with pytest.raises(ToolError) as caught:
            await repository.snapshot("HEAD", workspace)
    for words in ("'pipe' (FIFO)", "'sock' (socket)", "'sub/.git' (nested repository)"):
        assert words in caught.value.message


async def test_special_files_the_base_ignores_do_not_matter(repository: Repository, workspace: Path) -> None:
    (workspace / "build/src/dep/.git").mkdir(parents=True)
    os.mkfifo(workspace / "build/pipe")
    _, patch = await repository.snapshot("HEAD", workspace)
    assert patch.is_empty


async def test_too_much_data_or_too_many_files_are_refused(repository: Repository, workspace: Path) -> None:
    with (workspace / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ToolError, match="sparse: too much changed data"):
        await repository.snapshot("HEAD", workspace)
    with pytest.raises(ToolError, match="more than 3 files"):
        await repository.snapshot("HEAD", workspace, limits=ScanLimits(files=3))


async def test_a_file_name_that_is_no_text_is_refused(repository: Repository, workspace: Path) -> None:
    os.close(os.open(bytes(workspace) + b"/\xff", os.O_CREAT))
    with pytest.raises(ToolError, match="not UTF-8"):
        await repository.snapshot("HEAD", workspace)


async def test_a_dirty_working_tree_is_seen_as_its_user_sees_it(tmp_path: Path) -> None:
    user = checkout(tmp_path / "user", {"a.txt": "one\n", ".gitignore": "*.tmp\n", "w.bat": "x\ny\n"})
    (user / ".git/info/exclude").write_text("mine/\n")
    write(user, {"a.txt": "two\n", "new.py": "n\n", "x.tmp": "", "mine/x": "", "sub/.git/HEAD": "", "sub/f": ""})
    write(user, {"w.bat": "x\r\ny\r\n", "perstack/jobs/1/log": "x"})
    repository = await Repository.from_checkout(user, tmp_path / "own")
    _, patch = await repository.tree_of_worktree("HEAD", user)
    assert patch.files == ("a.txt", "new.py")


async def test_folders_of_ours_are_no_part_of_a_working_tree_unless_the_base_has_them(tmp_path: Path) -> None:
    user = checkout(tmp_path / "user", {"lib/a.txt": "one\n"})
    write(user, {"lib/a.txt": "two\n", ".cache/perstack/results/1": "kept", ".cache/mine": "x"})
    repository = await Repository.from_checkout(user, tmp_path / "own")
    _, patch = await repository.tree_of_worktree("HEAD", user, [".cache/perstack", "lib"])
    assert patch.files == (".cache/mine", "lib/a.txt")


@pytest.mark.threat("W7")
@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("readme.MD", "README.md"), "are one name on disks that fold case"),
        (("caf\u00e9.py", "cafe\u0301.py"), "are one name on disks that fold case"),
        (("Pkg/new.py", "pkg/other.py"), "are one name on disks that fold case"),
        (("sub/git~1",), r"another spelling of \.git"),
        ((".g\u200cit/hooks",), r"another spelling of \.git"),
        (("sub/.git./config",), r"another spelling of \.git"),
        (("sub\\.git\\config",), r"another spelling of \.git"),
        (("Perstack./x",), "another spelling of perstack"),
        (("line\nbreak",), "control character"),
    ],
)
async def test_a_new_name_that_is_another_one_elsewhere_is_refused(
    repository: Repository, workspace: Path, files: tuple[str, ...], said: str
) -> None:
    for name in files:
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text("x\n")
    with pytest.raises(ToolError, match=said):
        await repository.snapshot("HEAD", workspace)


@pytest.mark.threat("W8")
async def test_a_repository_that_a_workspace_makes_gives_no_objects_of_the_machine(
    repository: Repository, workspace: Path, tmp_path: Path
) -> None:
    """Threat: `objects/info/alternates` names any directory, and git reads objects from there."""
    other = checkout(tmp_path / "other", {"secret.txt": "of another repository\n"})
    secret = git(other, "rev-parse", "HEAD:secret.txt")
    base = await repository.resolve("HEAD")
    write(
        workspace,
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/config": "[core]\n\trepositoryformatversion = 0\n",
            ".git/objects/info/alternates": f"{other}/.git/objects\n",
            ".git/refs/heads/main": git(other, "rev-parse", "HEAD") + "\n",
            "info/alternates": f"{other}/.git/objects\n",
        },
    )
    tree, patch = await repository.snapshot(base, workspace)
    assert patch.files == ("info/alternates",)
    assert "of another repository" not in patch.text
    assert secret not in {entry.sha for entry in await repository.list_files(tree)}
    shutil.rmtree(workspace / ".git")
    write(workspace, {"sub/.git/objects/info/alternates": f"{other}/.git/objects\n", "sub/.git/HEAD": "ref: x\n"})
    with pytest.raises(ToolError):
        await repository.snapshot(base, workspace)
