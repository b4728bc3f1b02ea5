"""The workspace boundary, attacked: every way out is refused with a sentence, and nothing outside changes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from perstack.core.errors import ToolError
from perstack.infrastructure import beneath
from perstack.infrastructure.owned import remove_tree
from perstack.infrastructure.workspace import Workspace


@pytest.fixture(params=["openat2", "walk"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace next to a secret, opened by the kernel's way and by our own."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "_has_openat2", lambda: False)
    root = tmp_path / "root"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/a.py").write_text("x = 1\n")
    (root / "perstack").mkdir()
    (root / "perstack/state").write_text("state")
    (root / ".git").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "root2").mkdir()
    return Workspace(root)


def test_files_are_read_written_listed_and_deleted(workspace: Workspace) -> None:
    workspace.write("new/deep/b.txt", b"hello")
    assert workspace.read("/workspace/new/deep/b.txt") == b"hello"
    assert workspace.read("./pkg/../new//deep/b.txt") == b"hello"
    assert [entry.name for entry in workspace.list()] == ["new", "pkg"]
    assert [(e.name, e.kind, e.size) for e in workspace.list("/workspace/pkg")] == [("a.py", "file", 6)]
    assert workspace.stat("pkg").kind == "directory"
    assert workspace.exists("new/deep/b.txt")
    workspace.delete("new/deep/b.txt")
    workspace.delete("new/deep")
    assert not workspace.exists("new/deep")
    with pytest.raises(ToolError, match="new/deep: does not exist"):
        workspace.stat("new/deep")


def test_a_write_keeps_the_mode_and_leaves_no_other_file(workspace: Workspace) -> None:
    (workspace.root / "pkg/a.py").chmod(0o755)
    workspace.write("pkg/a.py", b"new")
    assert (workspace.root / "pkg/a.py").stat().st_mode & 0o777 == 0o755
    assert workspace.stat("pkg/a.py").executable
    assert [path.name for path in (workspace.root / "pkg").iterdir()] == ["a.py"]


@pytest.mark.threat("W1")
@pytest.mark.parametrize(
    "path",
    ["../secret", "pkg/../../secret", "/etc/passwd", "/workspace/../secret", "/workspace2/x", "/", "a\0b",
     "x" * 300, "../root2/x", "pkg/" * 2000 + "x"],
)  # fmt: skip
@pytest.mark.parametrize("action", ["read", "write", "list", "stat", "delete"])
def test_names_that_lead_out_are_refused(workspace: Workspace, path: str, action: str) -> None:
    with pytest.raises(ToolError):
        getattr(workspace, action)(path, *([b"x"] if action == "write" else []))
    assert (workspace.root.parent / "secret").read_text() == "secret"
    assert not list((workspace.root.parent / "root2").iterdir())


@pytest.mark.threat("W3")
@pytest.mark.parametrize(
    "path",
    ["perstack/state", "PerStack/state", ".git/config", ".GIT/config", "pkg/../perstack/x", ".git", ".gi\u200dt/x",
     "perstack./x", "ｐerstack/x", "pkg/.git/hooks/x", "GIT~1/x", "pkg/git~2", ".git::$INDEX_ALLOCATION/x", ".git /x",
     ".git\\\\config", "pkg\\\\.GIT\\\\x", "PERSTA~1/x", ".g\u200cit/x"],
)  # fmt: skip
@pytest.mark.parametrize("action", ["read", "write", "list", "stat", "delete", "make_directory"])
def test_reserved_places_are_refused_in_any_spelling(workspace: Workspace, path: str, action: str) -> None:
    with pytest.raises(ToolError, match=r"Access denied - .* directory is not allowed"):
        getattr(workspace, action)(path, *([b"x"] if action == "write" else []))


@pytest.mark.threat("W3")
@pytest.mark.parametrize("path", [".cache/own", ".CACHE/own/x", "pkg/../.cache/./own//x", "way/own/x", ".cache\\own"])
@pytest.mark.parametrize("action", ["read", "write", "list", "stat", "delete", "make_directory"])
def test_kept_folders_are_as_closed_as_reserved_ones(workspace: Workspace, path: str, action: str) -> None:
    (workspace.root / ".cache" / "own").mkdir(parents=True)
    (workspace.root / ".cache" / "own" / "x").write_text("kept")
    (workspace.root / "way").symlink_to(".cache")
    closed = Workspace(workspace.root, kept=[".cache/own"])
    with pytest.raises(ToolError, match=r"Access denied|is a link|symbolic link|not a directory"):
        getattr(closed, action)(path, *([b"x"] if action == "write" else []))
    assert (workspace.root / ".cache" / "own" / "x").read_text() == "kept"
    assert [entry.name for entry in closed.list(".cache")] == []
    assert [entry.name for entry in closed.list("way")] == []


@pytest.mark.threat("W1")
@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", "a\x7f", "a\udcff", "a\u2028b"])
def test_names_that_nobody_can_read_are_not_made(workspace: Workspace, name: str) -> None:
    with pytest.raises(ToolError, match="choose another"):
        workspace.write(f"pkg/{name}", b"x")
    with pytest.raises(ToolError, match="choose another"):
        workspace.make_directory(name)
    assert [path.name for path in (workspace.root / "pkg").iterdir()] == ["a.py"]


@pytest.mark.threat("P3", "W4")
def test_descriptors_and_devices_are_not_read_through_links(workspace: Workspace) -> None:
    with (workspace.root.parent / "secret").open() as secret:
        targets = {"fd": f"/proc/self/fd/{secret.fileno()}", "cwd": "/proc/self/cwd", "stdin": "/dev/stdin"}
        for name, target in {**targets, "zero": "/dev/zero", "environ": "/proc/self/environ"}.items():
            (workspace.root / name).symlink_to(target)
            with pytest.raises(ToolError):
                workspace.read(name)
            with pytest.raises(ToolError):
                workspace.write(name, b"x")
    assert (workspace.root.parent / "secret").read_text() == "secret"


@pytest.mark.slow
def test_a_sparse_giant_and_a_deep_tree_cost_nothing(workspace: Workspace) -> None:
    with (workspace.root / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ToolError, match="larger than"):
        workspace.read("sparse", limit=1000)
    folder = os.open(workspace.root, os.O_RDONLY)
    for _ in range(1100):  # deeper than any path can be
        os.mkdir("deep", dir_fd=folder)
        folder, before = os.open("deep", os.O_RDONLY, dir_fd=folder), folder
        os.close(before)
    os.close(folder)
    assert workspace.list("/".join(["deep"] * 700))[0].name == "deep"
    with pytest.raises(ToolError, match="too long"):
        workspace.list("/".join(["deep"] * 1100))
    with pytest.raises(ToolError, match="200 folders deep"):
        workspace.write("x/" * 201 + "x", b"")
    remove_tree(workspace.root)
    assert not workspace.root.exists()


def test_a_folder_called_perstack_deeper_down_is_ordinary(workspace: Workspace) -> None:
    workspace.write("src/perstack/x.py", b"1")
    assert workspace.read("src/perstack/x.py") == b"1"


@pytest.mark.threat("W2")
def test_links_are_followed_inside_only_and_never_written_through(workspace: Workspace) -> None:
    root = workspace.root
    (root / "good").symlink_to("pkg/a.py")
    (root / "folder").symlink_to("pkg")
    (root / "out").symlink_to("../secret")
    (root / "absolute").symlink_to(root.parent / "secret")
    (root / "up").symlink_to("..")
    (root / "alias").symlink_to("perstack")
    (root / "loop").symlink_to("loop")
    assert workspace.read("good") == workspace.read("folder/a.py") == b"x = 1\n"
    for path in ("out", "absolute", "up/secret", "alias/state", "loop"):
        with pytest.raises(ToolError):
            workspace.read(path)
    for path in ("good", "folder/new.py", "out", "absolute", "up/secret", "up/new", "alias/state", "loop"):
        with pytest.raises(ToolError):
            workspace.write(path, b"evil")
    with pytest.raises(ToolError):
        workspace.list("alias")
    assert (root.parent / "secret").read_text() == "secret"
    assert workspace.read("pkg/a.py") == b"x = 1\n"
    workspace.delete("out")
    assert (root.parent / "secret").exists()


@pytest.mark.threat("W5")
def test_hard_links_are_not_written(workspace: Workspace) -> None:
    os.link(workspace.root.parent / "secret", workspace.root / "innocent")
    with pytest.raises(ToolError, match="hard link"):
        workspace.write("innocent", b"evil")
    assert (workspace.root.parent / "secret").read_text() == "secret"


@pytest.mark.threat("W4")
def test_special_files_neither_block_nor_open(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(workspace.root / "sock"))
        for path in ("pipe", "sock", "pkg"):
            with pytest.raises(ToolError):
                workspace.read(path)
            with pytest.raises(ToolError):
                workspace.write(path, b"x")
    assert {e.name: e.kind for e in workspace.list()} == {"pipe": "FIFO", "pkg": "directory", "sock": "socket"}


def test_a_file_beyond_the_limit_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ToolError, match="larger than 3 bytes"):
        workspace.read("pkg/a.py", limit=3)


def _raced(workspace: Workspace, attempt: Callable[[], None], rounds: int) -> None:
    """Swap `d` between a directory and a link out while `attempt` runs."""
    root = workspace.root
    (root / "d").mkdir()
    (root / "d/secret").write_text("inside")
    (root / "link").symlink_to("..")
    stop = threading.Event()
    libc = ctypes.CDLL(None)

    def swap() -> None:
        while not stop.is_set():
            libc.renameat2(-100, bytes(root / "d"), -100, bytes(root / "link"), 2)  # 2: exchange both at once

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(rounds):
            attempt()
    finally:
        stop.set()
        thread.join()


@pytest.mark.threat("W2")
@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1_500, pytest.param(20_000, marks=pytest.mark.nightly)])
def test_a_race_never_reads_outside(workspace: Workspace, rounds: int) -> None:
    seen: set[bytes] = set()

    def attempt() -> None:
        try:
            seen.add(workspace.read("d/secret"))
        except ToolError:
            seen.add(b"")

    _raced(workspace, attempt, rounds)
    assert seen == {b"inside", b""}


@pytest.mark.threat("W2")
@pytest.mark.slow
@pytest.mark.parametrize("rounds", [200, pytest.param(10_000, marks=pytest.mark.nightly)])
def test_a_race_never_writes_outside(workspace: Workspace, rounds: int) -> None:
    seen: set[str] = set()
    actions: tuple[Callable[[], object], ...] = (
        lambda: workspace.write("d/planted", b"evil"),
        lambda: workspace.write("d/secret", b"evil"),
        lambda: workspace.make_directory("d/root2/new"),
        lambda: workspace.delete("d/secret"),
        lambda: seen.update(entry.name for entry in workspace.list("d")),
        lambda: seen.add(f"{workspace.stat('d/secret').size} bytes"),
    )

    def attempt() -> None:
        for action in actions:
            with contextlib.suppress(ToolError):
                action()

    (workspace.root.parent / "secret").write_text("longer than any inside")
    _raced(workspace, attempt, rounds)
    assert sorted(p.name for p in workspace.root.parent.iterdir()) == ["root", "root2", "secret"]
    assert (workspace.root.parent / "secret").read_text() == "longer than any inside"
    assert list((workspace.root.parent / "root2").iterdir()) == []
    assert not seen - {"planted", "secret", "root2", "4 bytes", "6 bytes"}
