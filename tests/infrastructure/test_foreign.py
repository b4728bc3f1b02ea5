"""Files that ran code may have made: each kind that is no plain file is refused at once, and reading is bounded."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from perstack.infrastructure import foreign


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


_KINDS: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "link to a file": lambda path: path.symlink_to("/etc/passwd"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path),
    "folder": lambda path: path.mkdir(),
    "socket": _socket,
    "a gigabyte of nothing": _sparse,
}


@pytest.mark.threat("W6")
@pytest.mark.parametrize("kind", _KINDS)
def test_what_is_no_plain_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    _KINDS[kind](tmp_path / "report")
    for below in (None, tmp_path):
        with pytest.raises(foreign.NotPlain, match=r"^report: "):
            foreign.read(tmp_path / "report", below=below)


@pytest.mark.threat("W6")
def test_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(foreign.NotPlain, match="no regular file"):
        foreign.read(Path("/dev/zero"))


def test_a_link_on_the_way_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "report").write_text("secret")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "out").symlink_to("../elsewhere")
    with pytest.raises(foreign.NotPlain):
        foreign.read(tmp_path / "tree" / "out" / "report", below=tmp_path / "tree")


def test_a_plain_file_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "report").write_bytes(b"one\r\n\xfftwo")
    assert foreign.read(tmp_path / "deep" / "report", 9, below=tmp_path) == b"one\r\n\xfftwo"
    assert foreign.read_text(tmp_path / "deep" / "report") == "one\n\ufffdtwo"
    assert len(foreign.digest(tmp_path / "deep" / "report")) == 64
    with pytest.raises(FileNotFoundError):
        foreign.read(tmp_path / "nothing")
