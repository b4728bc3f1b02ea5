"""Temporary folders that name the process they belong to, and clearing away those whose process is gone.

A harness that is killed cannot tidy up. Whoever starts next does, for the same user and the same PID namespace only.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

_MARK = "perstack-"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MOST = 200  # folders a start clears away: a start must not become slow


@contextlib.contextmanager
def owned_folder(word: str = "", *, mode: int = 0o700) -> Iterator[Path]:
    """A new folder below the system's temporary directory, gone afterwards. Short: sockets below it have a limit."""
    folder = new_owned_folder(word)
    if mode != 0o700:
        folder.chmod(mode)
    try:
        yield folder
    finally:
        remove_tree(folder)


def new_owned_folder(word: str = "", place: Path | None = None) -> Path:
    """The same, for whoever removes it otherwise; in `place`, where that is given."""
    return Path(tempfile.mkdtemp(prefix=f"{owned_name(word)}-", dir=place))


def owned_name(word: str = "") -> str:
    """A name of this process: `perstack-<word.><pid>.<start>.<namespace>`."""
    return f"{_MARK}{f'{word}.' if word else ''}{identity(os.getpid())}"


def identity(pid: int) -> str:
    """A process, told apart from a later one of the same number by its start, and by its PID namespace.

    Raises: OSError where there is no such process.
    """
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid}.{_short(int(started))}.{_namespace()}"


def is_gone(name: str) -> bool:
    """Whether a name was made by `owned_name` in this PID namespace, and its process is no more."""
    words = name.removeprefix(_MARK).partition("-")[0].split(".")[-3:]
    if not name.startswith(_MARK) or len(words) != 3 or not words[0].isdecimal() or words[2] != _namespace():
        return False
    try:
        return identity(int(words[0])) != ".".join(words)
    except (OSError, IndexError, ValueError):
        return True


def sweep(root: Path | None = None) -> int:
    """Remove folders of this user whose process is gone; how many were."""
    count = 0
    with contextlib.suppress(OSError), os.scandir(root or tempfile.gettempdir()) as entries:
        for entry in entries:
            if count < _MOST and entry.name.startswith(_MARK) and is_gone(entry.name) and _is_our_folder(entry):
                remove_tree(Path(entry.path))
                count += 1
    return count


def remove_tree(place: Path) -> None:
    """Take a directory away, however deep and whatever its rights. What cannot be removed stays, without a word.

    What ran in a sandbox may have nested folders deeper than any stack or path goes: folders are moved up and emptied.
    """
    with contextlib.suppress(OSError):
        top = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            waiting = _emptied(top, ".", 0)
            count = len(waiting)
            while waiting:
                name = waiting.pop()
                with contextlib.suppress(OSError):
                    moved = _emptied(top, name, count)
                    waiting += moved
                    count += len(moved)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        place.rmdir()


def _emptied(top: int, name: str, count: int) -> list[str]:
    """Delete the files of a folder below `top` and move its folders to `top`; their new names."""
    moved: list[str] = []
    with contextlib.suppress(OSError):
        os.chmod(name, 0o700, dir_fd=top)
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for child, is_folder in found:
            with contextlib.suppress(OSError):
                if is_folder:
                    fresh = f".{secrets.token_hex(6)}-{count + len(moved)}"
                    os.chmod(child, 0o700, dir_fd=fd)  # a folder moves only where its own `..` can be written
                    os.rename(child, fresh, src_dir_fd=fd, dst_dir_fd=top)
                    moved.append(fresh)
                else:
                    os.unlink(child, dir_fd=fd)
    finally:
        os.close(fd)
    return moved


def _is_our_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):
        about = entry.stat(follow_symlinks=False)
        return stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
    return False


def _namespace() -> str:
    return _short(Path("/proc/self/ns/pid").stat().st_ino)


def _short(number: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = _DIGITS[rest] + text
    return text or "0"
