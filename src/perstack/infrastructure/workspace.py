"""The workspace boundary: every path an expert or a patch names goes through here, and nowhere else.

Threat: names like `../x`, links planted in the workspace, directories swapped for links while we look, hard links to
other files, FIFOs that block, `perstack/` and `.git` under another spelling. All refusals are ToolErrors.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import re
import secrets
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import ToolError
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.names import folded, reserved, unwritable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_MAX_NAME = 255
_MAX_PATH = 4000
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device",
}  # fmt: skip


class AccessDenied(ToolError):
    """A path that is no business of whoever named it: outside, or reserved."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a directory. `kind` is `file`, `directory`, `link`, or a special kind; `size` is in bytes.

    Times are in seconds since 1970; the three rights are the owner's. `changed` is when content or rights last were.
    """

    name: str
    kind: str
    size: int
    executable: bool = False
    readable: bool = True
    writable: bool = True
    modified: float = 0.0
    accessed: float = 0.0
    changed: float = 0.0


class Workspace:
    """One directory an expert may read and write. `seen_as` is its absolute path inside the sandbox.

    `kept` are folders in it (relative names) that are as closed as `perstack/` and `.git`.
    """

    def __init__(self, root: Path, *, seen_as: str = "/workspace", kept: Collection[str] = ()) -> None:
        self.root = root
        self._kept = {_spelling(name): name for name in kept}
        self.seen_as = seen_as.rstrip("/")

    def read(self, path: str, *, limit: int = 10_000_000) -> bytes:
        """A file's content; links are followed while they stay inside.

        Raises: ToolError; also where the file has more than `limit` bytes.
        """
        name = self._relative(path)
        with self._opened(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY, follow=True) as fd:
            self._regular(name, os.fstat(fd))
            with os.fdopen(os.dup(fd), "rb") as file:
                data = file.read(limit + 1)
        if len(data) > limit:
            raise ToolError(f"{name}: larger than {limit} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        """Write a whole file at once: readers see the old content or the new. Its mode stays; parents are made.

        Raises: ToolError for reserved places, links, hard-linked and special files.
        """
        name = self._new(path)
        folder, _, leaf = name.rpartition("/")
        self.make_directory(folder)
        with self._opened(folder or ".", _DIRECTORY) as parent:
            mode = self._replaceable(name, leaf, parent)
            temporary = f".perstack-{secrets.token_hex(8)}"
            try:
                self._write_new(temporary, data, mode, parent)
                os.rename(temporary, leaf, src_dir_fd=parent, dst_dir_fd=parent)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=parent)
                raise _failed(name, error) from error

    def make_directory(self, path: str) -> None:
        """Make a directory and its parents; one that exists is fine."""
        name = self._new(path) if path not in {"", "."} else ""
        owner = self._owner()
        with self._opened(".", _DIRECTORY) as root:
            current = os.dup(root)
            try:
                for part in name.split("/") if name else ():
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=current)
                        if owner is not None:
                            os.chown(part, *owner, dir_fd=current, follow_symlinks=False)
                    deeper = open_beneath(current, part, _DIRECTORY)
                    os.close(current)
                    current = deeper
            except OSError as error:
                raise _failed(name, error) from error
            finally:
                os.close(current)

    def list(self, path: str = ".") -> tuple[Entry, ...]:
        """A directory's entries by name, without `.git`, and without `perstack` at the root."""
        name = self._relative(path)
        with self._opened(name, _DIRECTORY, follow=True) as fd, self._opened(".", _DIRECTORY) as root:
            at_root = os.path.sameopenfile(fd, root)
            found = []
            with os.scandir(fd) as entries:
                for entry in entries:
                    if reserved(entry.name if at_root else f"./{entry.name}"):
                        continue
                    if self._kept and self._closed(f"{self._real(fd)}/{entry.name}"):
                        continue
                    with contextlib.suppress(FileNotFoundError):
                        found.append(_entry(entry.name, entry.stat(follow_symlinks=False)))
        return tuple(sorted(found, key=lambda entry: entry.name))

    def stat(self, path: str) -> Entry:
        """What is at a path, links not followed.

        Raises: ToolError where there is nothing.
        """
        name = self._relative(path)
        if name == ".":
            with self._opened(".", _DIRECTORY) as root:
                return _entry(".", os.fstat(root))
        folder, _, leaf = name.rpartition("/")
        with self._opened(folder or ".", _DIRECTORY, follow=True) as parent:
            try:
                return _entry(leaf, os.stat(leaf, dir_fd=parent, follow_symlinks=False))
            except OSError as error:
                raise _failed(name, error) from error

    def exists(self, path: str) -> bool:
        """Whether a path inside the workspace names anything, a dangling link included.

        Raises: ToolError where the path is none, or leads out.
        """
        try:
            self.stat(path)
        except AccessDenied:
            raise
        except ToolError:
            self._relative(path)
            return False
        return True

    def delete(self, path: str) -> None:
        """Delete a file, a link (not its target) or an empty directory."""
        name = self._writable(path)
        folder, _, leaf = name.rpartition("/")
        with self._opened(folder or ".", _DIRECTORY) as parent:
            try:
                if stat.S_ISDIR(os.stat(leaf, dir_fd=parent, follow_symlinks=False).st_mode):
                    os.rmdir(leaf, dir_fd=parent)
                else:
                    os.unlink(leaf, dir_fd=parent)
            except OSError as error:
                raise _failed(name, error) from error

    def relative(self, path: str) -> str:
        """The path relative to the workspace, without `.` and `..`; what other layers may show and compare.

        Raises: ToolError where the name itself leads out.
        """
        return self._relative(path)

    def _relative(self, path: str) -> str:
        if "\0" in path:
            raise ToolError("a path cannot hold a null byte")
        name = path
        if name == "~" or name.startswith("~/"):
            raise self._outside(path)  # whoever writes it means a home directory, and there is none here
        if name.startswith("/"):
            if name != self.seen_as and not name.startswith(f"{self.seen_as}/"):
                raise self._outside(path)
            name = name[len(self.seen_as) + 1 :]
        parts: list[str] = []
        for part in name.split("/"):
            if part == "..":
                if not parts:
                    raise self._outside(path)
                parts.pop()
            elif part not in {"", "."}:
                parts.append(part)
        if len(name) > _MAX_PATH or any(len(os.fsencode(part)) > _MAX_NAME for part in parts):
            raise ToolError("the path is too long")
        if parts and (name := self._closed("/".join(parts))):
            raise AccessDenied(f"Access denied - {name} directory is not allowed")
        return "/".join(parts) or "."

    def _outside(self, path: str) -> AccessDenied:
        place = path if path.startswith("~") else posixpath.normpath(posixpath.join(self.seen_as, path))
        return AccessDenied(f"Access denied - path outside allowed directories: {place} not in {self.seen_as}")

    def _writable(self, path: str) -> str:
        name = self._relative(path)
        if name == ".":
            raise ToolError(f"{path}: is the workspace itself")
        return name

    def _new(self, path: str) -> str:
        name = self._writable(path)
        if problem := unwritable(name):
            raise ToolError(f"{name!r} {problem}; choose another")
        return name

    @contextlib.contextmanager
    def _opened(self, name: str, flags: int, *, follow: bool = False) -> Iterator[int]:
        """A descriptor beneath the root. With `follow`, what a link led to is checked for reserved places too."""
        try:
            root = os.open(self.root, _DIRECTORY | os.O_CLOEXEC)
            try:
                fd = open_beneath(root, name, flags, follow=follow)
            finally:
                os.close(root)
        except OSError as error:
            raise _failed(name, error) from error
        try:
            if follow:
                self._refuse_reserved(name, fd)
            yield fd
        finally:
            os.close(fd)

    def _refuse_reserved(self, name: str, fd: int) -> None:
        """A link inside the workspace may point at `perstack/` or `.git`: judge where it really led."""
        place = self._real(fd)
        if place != "." and (kept := self._closed(place)):
            raise AccessDenied(f"Access denied - {kept} directory is not allowed", hint=f"({name})")

    def _real(self, fd: int) -> str:
        """Where an open file lies in the workspace."""
        try:
            return str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(self.root.resolve()))
        except (OSError, ValueError):
            return "."  # no /proc, or moved meanwhile: beneath the root it is in any case

    def _closed(self, name: str) -> str:
        """The folder that nobody may enter, where a name leads into one; else empty."""
        spelt = _spelling(name) if self._kept else ""
        found = (kept for folder, kept in self._kept.items() if spelt == folder or spelt.startswith(f"{folder}/"))
        return reserved(name) or next(found, "")

    def _regular(self, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{name}: is a {_KINDS.get(stat.S_IFMT(status.st_mode), 'special file')}, not a file")

    def _replaceable(self, name: str, leaf: str, parent: int) -> int:
        """The mode a file keeps when it is written again; 0644 for a new one."""
        try:
            status = os.stat(leaf, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return 0o644
        except OSError as error:
            raise _failed(name, error) from error
        if stat.S_ISLNK(status.st_mode):
            raise ToolError("Operation denied: target is a symbolic link", hint=f"({name})")
        self._regular(name, status)
        if status.st_nlink > 1:
            raise ToolError(f"{name}: has a second name (hard link); delete it first")
        return stat.S_IMODE(status.st_mode) & 0o777

    def _write_new(self, name: str, data: bytes, mode: int, parent: int) -> None:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            owner = self._owner()
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)

    def _owner(self) -> tuple[int, int] | None:
        """Whose files these are. A harness that is root writes for the user the sandbox runs as."""
        if os.geteuid() != 0:
            return None
        status = self.root.stat()
        return status.st_uid, status.st_gid


def _spelling(path: str) -> str:
    """One spelling for all that lead to the same place on some disk."""
    return "/".join(folded(part) for part in re.split(r"[/\\]", path) if part not in {"", "."})


def _entry(name: str, status: os.stat_result) -> Entry:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
    return Entry(
        name,
        kind,
        status.st_size,
        executable=kind == "file" and bool(status.st_mode & stat.S_IXUSR),
        readable=bool(status.st_mode & stat.S_IRUSR),
        writable=bool(status.st_mode & stat.S_IWUSR),
        modified=status.st_mtime,
        accessed=status.st_atime,
        changed=status.st_ctime,
    )


def _failed(name: str, error: OSError) -> ToolError:
    """One clear sentence for a refusal of the operating system."""
    if error.errno == errno.EXDEV:
        return AccessDenied("Access denied - symlink target outside allowed directories", hint=f"({name})")
    sentences = {
        errno.ENOENT: "does not exist",
        errno.ENOTDIR: "part of the path is not a directory, or is a link",
        errno.EISDIR: "is a directory",
        errno.ELOOP: "part of the path is a link, which is not followed here",
        errno.EEXIST: "exists already",
        errno.ENOTEMPTY: "is not empty",
        errno.ENXIO: "is a FIFO, socket or device, not a file",
        errno.EACCES: "permission denied",
        errno.ENOSPC: "no space left",
        errno.ENAMETOOLONG: "the path is too long",
    }
    return ToolError(f"{name}: {sentences.get(error.errno or 0, error.strerror or 'failed')}")
