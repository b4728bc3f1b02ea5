"""Folders of a harness that was killed are cleared away by the next one, and nobody else's are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from perstack.infrastructure.owned import identity, is_gone, owned_folder, owned_name, sweep

HOLDER = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from perstack.infrastructure.owned import new_owned_folder
folder = new_owned_folder("c")
(folder / "deep").mkdir()
print(folder, flush=True)
sys.stdin.read()
"""


def held(root: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process of its own that holds a folder below `root`."""
    command = [sys.executable, "-c", HOLDER, str(root)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, Path(child.stdout.readline().strip())


def test_what_a_killed_harness_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    child, folder = held(tmp_path)
    with child:
        assert sweep(tmp_path) == 0, "its process lives"
        assert folder.is_dir()
        child.send_signal(signal.SIGKILL)
        child.wait(timeout=30)
    assert is_gone(folder.name)
    assert sweep(tmp_path) == 1
    assert not folder.exists()


def test_a_folder_is_gone_when_its_work_is_done() -> None:
    with owned_folder("x", mode=0o711) as folder:
        assert folder.stat().st_mode & 0o777 == 0o711
        assert not is_gone(folder.name)
    assert not folder.exists()


def test_names_of_others_are_left_alone(tmp_path: Path) -> None:
    pid, start, namespace = identity(os.getpid()).split(".")
    foreign = ["perstack-snapshots-0", "perstack-abc", f"perstack-{pid}.{start}.0-x", "other", "perstack-1.2"]
    for name in foreign:
        (tmp_path / name).mkdir()
    assert sweep(tmp_path) == 0
    later = f"perstack-c.{pid}.{start}1.{namespace}-x"  # the same number, another start: that process is no more
    (tmp_path / later).mkdir()
    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(foreign)


def test_a_link_with_such_a_name_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").touch()
    gone = owned_name().rsplit(".", 2)
    link = tmp_path / f"{gone[0]}.{gone[1]}1.{gone[2]}-x"
    link.symlink_to(precious)
    assert is_gone(link.name)
    assert sweep(tmp_path) == 0
    assert (precious / "file").exists()


def test_the_owner_of_this_process_is_alive_and_init_is_another() -> None:
    assert not is_gone(owned_name())
    assert identity(os.getpid()) != identity(os.getppid())
