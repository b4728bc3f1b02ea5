"""Writing a proved change into a user's checkout. All or nothing; never over work that is not committed.

Threat: the checkout's own links. A committed link on the way, or in the place of our draft, could lead anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from perstack.core.errors import UserError
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_tree import TreeEntry
from perstack.infrastructure.names import reserved

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


async def apply_tree(repository: Repository, base: str, tree: str, checkout: Path) -> tuple[str, ...]:
    """Write the files in which `tree` differs from `base`; returns their paths.

    Raises: UserError, with nothing written, where a file in the checkout is not as in `base`.
    """
    before = {entry.path: entry for entry in await repository.list_files(base)}
    after = {entry.path: entry for entry in await repository.list_files(tree)}
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    contents: dict[str, bytes | None] = {}
    root = os.open(checkout, _DIRECTORY | os.O_CLOEXEC)
    try:
        for path in changed:
            expected = await repository.read_file(base, path) if path in before else None
            if _current(root, path) != expected:
                raise UserError(
                    f"{path} in the working tree is not as in {base[:12]}: nothing was written",
                    hint="commit or stash your changes to it, or apply the printed patch by hand",
                )
            contents[path] = await repository.read_file(tree, path) if path in after else None
        for path in changed:
            _write(root, path, contents[path], after.get(path))
    finally:
        os.close(root)
    return tuple(changed)


@contextlib.contextmanager
def _folder(root: int, path: str, *, make: bool = False) -> Iterator[int | None]:
    """The folder of a path, reached through no link; None where there is none."""
    fd = _reached(root, path, make=make)
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _reached(root: int, path: str, *, make: bool) -> int | None:
    if reserved(path) == ".git":
        raise UserError(f"{path!r} is a place of git's own: nothing was written")
    current = os.dup(root)
    try:
        for part in path.split("/")[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=current)
            deeper = open_beneath(current, part, _DIRECTORY)
            os.close(current)
            current = deeper
        return os.dup(current)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EXDEV}:
            raise UserError(f"{path} lies behind a symbolic link in the working tree: nothing was written") from error
        raise UserError(f"{path}: {error.strerror}: nothing was written") from error
    finally:
        os.close(current)


def _current(root: int, path: str) -> bytes | None:
    name = path.rpartition("/")[2]
    with _folder(root, path) as folder:
        if folder is None:
            return None
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(mode):
            return os.fsencode(os.readlink(name, dir_fd=folder))
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} in the working tree is no file: nothing was written")
        with os.fdopen(open_beneath(folder, name, _READ), "rb") as file:
            return file.read()


def _write(root: int, path: str, content: bytes | None, entry: TreeEntry | None) -> None:
    name = path.rpartition("/")[2]
    with _folder(root, path, make=content is not None) as folder:
        if folder is None:
            return
        if content is None or entry is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            return
        draft = f".perstack-{secrets.token_hex(8)}"
        with os.fdopen(os.open(draft, _DRAFT, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o755 if entry.mode == "100755" else 0o644)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
