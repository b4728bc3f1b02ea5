"""Writing a proved change into a user's checkout. All or nothing; never over work that is not committed.

Threat: the checkout's own links. A committed link on the way, or in the place of our draft, could lead anywhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perstack.core.errors import UserError
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.git import Repository
from perstack.infrastructure.names import reserved

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_Place = tuple[int, str]  # a descriptor of a folder, and a name in it
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _File:
    mode: str
    content: bytes


async def apply_tree(repository: Repository, base: str, tree: str, checkout: Path) -> tuple[str, ...]:
    """Write the files in which `tree` differs from `base`; returns their paths.

    Raises: UserError, with nothing written, where a file in the checkout is not as in `base`, or cannot be written.
    """
    before = {entry.path: entry for entry in await repository.list_files(base)}
    after = {entry.path: entry for entry in await repository.list_files(tree)}
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    fresh: dict[str, _File] = {}
    root = os.open(checkout, _DIRECTORY | os.O_CLOEXEC)
    try:
        for path in changed:
            if any(entry.type == "commit" for side in (before, after) if (entry := side.get(path))):
                raise UserError(f"{path} is a submodule: nothing was written", hint="Move it yourself, with git.")
            expected = await repository.read_file(base, path) if path in before else None
            if _current(root, path) != expected:
                raise UserError(
                    f"{path} in the working tree is not as in {base[:12]}: nothing was written",
                    hint="commit or stash your changes to it, or apply the printed patch by hand",
                )
            if path in after:
                fresh[path] = _File(after[path].mode, await repository.read_file(tree, path) or b"")
        _exchange(root, [path for path in changed if path in before], fresh)
    finally:
        os.close(root)
    return tuple(changed)


def _exchange(root: int, old: Sequence[str], fresh: Mapping[str, _File]) -> None:
    """Put the fresh files in the place of the old ones; on any failure, and when interrupted, all back as it was."""
    store = f".perstack-{secrets.token_hex(8)}"
    try:
        os.mkdir(store, 0o700, dir_fd=root)
    except OSError as error:
        raise UserError(f"the working tree: {error.strerror}: nothing was written") from error
    held = open_beneath(root, store, _DIRECTORY)
    done = False
    try:
        for number, file in enumerate(fresh.values()):
            _draft(held, f"new-{number}", file)
        with contextlib.ExitStack() as undo:
            for number, path in enumerate(old):
                _set_aside(root, path, (held, f"old-{number}"), undo, stays=path in fresh)
            for number, path in enumerate(fresh):
                _put(root, path, (held, f"new-{number}"), undo)
            undo.pop_all()
        done = True
    except OSError as error:
        named = f"{os.fsdecode(error.filename2 or error.filename)}: " if error.filename else ""
        raise UserError(
            f"{named}{error.strerror}: nothing was written", hint="See what lies there, and who may write to it."
        ) from error
    finally:
        with os.scandir(held) as left:
            gone = [entry.name for entry in left if done or entry.name.startswith("new-")]
        for name in gone:  # what could not be put back is kept
            os.unlink(name, dir_fd=held)
        os.close(held)
        with contextlib.suppress(OSError):
            os.rmdir(store, dir_fd=root)


def _draft(held: int, name: str, file: _File) -> None:
    if file.mode == "120000":
        os.symlink(file.content, name, dir_fd=held)
        return
    with os.fdopen(os.open(name, _DRAFT, 0o600, dir_fd=held), "wb") as draft:
        draft.write(file.content)
        os.fchmod(draft.fileno(), 0o755 if file.mode == "100755" else 0o644)


def _set_aside(root: int, path: str, kept: _Place, undo: contextlib.ExitStack, *, stays: bool) -> None:
    """Keep a file's old content. What is replaced is there all the time; what goes takes empty folders along."""
    leaf = path.rpartition("/")[2]
    with _folder(root, path) as folder:
        if folder is None:
            return
        keep = os.link if stays else os.rename
        try:
            keep(leaf, kept[1], src_dir_fd=folder, dst_dir_fd=kept[0], **({"follow_symlinks": False} if stays else {}))
        except OSError:
            if not stays:
                raise
            os.rename(leaf, kept[1], src_dir_fd=folder, dst_dir_fd=kept[0])  # a disk without hard links
    undo.callback(_put_back, root, path, kept)
    if not stays:
        _prune(root, path)


def _put_back(root: int, path: str, kept: _Place) -> None:
    _move(root, path, kept)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(kept[1], dir_fd=kept[0])  # two names of one file: a rename between them does nothing


def _put(root: int, path: str, draft: _Place, undo: contextlib.ExitStack) -> None:
    undo.callback(_prune, root, path)
    _move(root, path, draft)
    undo.callback(_take_back, root, path, draft)


def _move(root: int, path: str, draft: _Place) -> None:
    with _folder(root, path, make=True) as folder:
        if folder is None:
            raise NotADirectoryError(errno.ENOTDIR, "a file lies where a folder is needed", path)
        os.rename(draft[1], path.rpartition("/")[2], src_dir_fd=draft[0], dst_dir_fd=folder)


def _take_back(root: int, path: str, draft: _Place) -> None:
    with _folder(root, path) as folder:
        if folder is not None:
            os.rename(path.rpartition("/")[2], draft[1], src_dir_fd=folder, dst_dir_fd=draft[0])


def _prune(root: int, path: str) -> None:
    """Take away the folders of a path that are empty now, as git does."""
    parts = path.split("/")[:-1]
    with contextlib.suppress(OSError):
        while parts:
            with _folder(root, "/".join(parts)) as folder:
                if folder is None:
                    return
                os.rmdir(parts.pop(), dir_fd=folder)


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
        if stat.S_ISDIR(mode):
            return None  # if files stay in it, nothing can be put in its place
        if not stat.S_ISREG(mode):
            raise UserError(f"{path} in the working tree is no file: nothing was written")
        with os.fdopen(open_beneath(folder, name, _READ), "rb") as file:
            return file.read()
