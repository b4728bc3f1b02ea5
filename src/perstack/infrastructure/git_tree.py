"""Between commits and directories: writes a commit's files, and records a directory as a tree. Knows no remotes.

Threat: both ends may be hostile. A tree may hold paths like `../x`; a workspace may hold links, FIFOs, huge files.
No git working tree is involved, so no attribute, filter, or line-ending rule of the checkout has any effect.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path

import anyio
import anyio.to_thread

from perstack.core.errors import ToolError, UserError
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.git_command import Git, not_here
from perstack.infrastructure.names import MOST_FOLDERS, collisions, unwritable
from perstack.infrastructure.names import reserved as reserved_name

LINK, _MODULE, _EXECUTABLE, _PLAIN = "120000", "160000", "100755", "100644"
_BATCH_BYTES = 32 * 1024 * 1024
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_CHUNK = 1 << 20
_RESERVED = frozenset({".git", "perstack"})


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree. `mode` is git's octal text; `type` is `blob` or `commit`; `size` is -1 where unknown."""

    path: str
    mode: str
    type: str
    sha: str
    size: int


@dataclass(frozen=True, slots=True)
class ScanLimits:
    """How much a workspace may bring: changed bytes in MiB, and files of any kind."""

    changed_mb: int = 64
    files: int = 200_000


@dataclass(frozen=True, slots=True)
class Found:
    """What a directory holds: files and links by path (True for a link), and what cannot be recorded."""

    paths: Mapping[str, bool]
    problems: Mapping[str, str] = field(default_factory=dict)

    def without(self, ignored: Collection[str]) -> Found:
        """The same with ignored paths taken out, problems included."""
        return replace(
            self,
            paths={path: link for path, link in self.paths.items() if path not in ignored},
            problems={path: what for path, what in self.problems.items() if path not in ignored},
        )

    def beside(self, tracked: Collection[str]) -> list[str]:
        """What is here and not tracked, problems included."""
        return [path for path in (*self.paths, *self.problems) if path not in tracked]


@dataclass(frozen=True, slots=True)
class Changes:
    """Difference between a directory and a tree: index lines (mode, sha, path), removed paths, new blobs."""

    entries: tuple[tuple[str, str, str], ...]
    removed: tuple[str, ...]
    blobs: tuple[bytes, ...]


# Whether an open file means what is stored although its bytes differ.
Same = Callable[[BufferedReader, TreeEntry], bool]


def never(_file: BufferedReader, _before: TreeEntry) -> bool:
    """In a workspace of ours, other bytes are another file."""
    return False


def parse_ls_tree(data: bytes) -> tuple[TreeEntry, ...]:
    """Read `git ls-tree -r -l -z`."""
    entries = []
    for row in data.split(b"\0"):
        if row:
            meta, _, path = row.partition(b"\t")
            mode, kind, sha, size = meta.decode().split()
            entries.append(TreeEntry(os.fsdecode(path), mode, kind, sha, int(size) if size.isdecimal() else -1))
    return tuple(entries)


async def export(git: Git, entries: Sequence[TreeEntry], into: Path) -> None:
    """Write blobs as they are stored. Links come last, and those that lead out are taken away again."""
    for entry in entries:
        refuse_unsafe(entry.path)
    await anyio.Path(into).mkdir(parents=True, exist_ok=True)
    for batch in _batches([e for e in entries if e.type == "blob" and e.mode != LINK]):
        contents = await contents_of(git, batch)
        await anyio.to_thread.run_sync(_write_files, into, batch, contents)
    links = [entry for entry in entries if entry.mode == LINK]
    targets = await contents_of(git, links)
    await anyio.to_thread.run_sync(_write_links, into, links, targets)


def refuse_unsafe(path: str) -> None:
    """Raise UserError for a path that a commit names and no safe checkout has."""
    parts = path.split("/")
    deep = len(parts) > MOST_FOLDERS
    if deep or any(part in {"", ".", ".."} or part.casefold() == ".git" for part in parts):
        raise UserError(f"the commit holds an unsafe path: {path[:200]!r}", hint="No safe checkout of it is possible.")


def _batches(entries: Sequence[TreeEntry]) -> Iterable[list[TreeEntry]]:
    batch: list[TreeEntry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += entry.size
        if size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def contents_of(git: Git, entries: Sequence[TreeEntry]) -> list[bytes]:
    """The blobs of `entries`, in order."""
    if not entries:
        return []
    out = await git.check("cat-file", "--batch", stdin="".join(f"{entry.sha}\n" for entry in entries).encode())
    contents = []
    position = 0
    for entry in entries:
        end = out.index(b"\n", position)
        if out[position:end].endswith(b" missing"):
            raise not_here(entry.path, entry.sha)
        contents.append(out[end + 1 : end + 1 + entry.size])
        position = end + entry.size + 2
    return contents


def _write_files(into: Path, entries: Sequence[TreeEntry], contents: Sequence[bytes]) -> None:
    made: set[Path] = set()
    for entry, content in zip(entries, contents, strict=True):
        target = into / entry.path
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        mode = 0o755 if entry.mode == _EXECUTABLE else 0o644
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            os.fchmod(fd, mode)


def _write_links(into: Path, entries: Sequence[TreeEntry], targets: Sequence[bytes]) -> None:
    made = []
    for entry, target in zip(entries, targets, strict=True):
        path = into / entry.path
        if target and not target.startswith(b"/") and b"\0" not in target:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                path.symlink_to(os.fsdecode(target))
                made.append(path)
    # Judged only now: a link may lead through other links. realpath also resolves what does not exist.
    root = os.path.realpath(into)
    for path in made:
        resolved = os.path.realpath(path)
        if resolved != root and not resolved.startswith(root + os.sep):
            path.unlink()


def reserved(tracked: Mapping[str, TreeEntry], *, checkout: bool) -> frozenset[str]:
    """Root names that are not looked at. A user may well track a folder called `perstack`; an expert may not."""
    if checkout and any(path.startswith("perstack/") for path in tracked):
        return frozenset({".git"})
    return _RESERVED


def scan(root: Path, limits: ScanLimits, skip: Collection[str], *, checkout: bool) -> Found:
    """Walk a directory without following anything. `skip` are paths (case-folded) that are not looked at.

    In a user's checkout, nested repositories are passed over in silence; in a workspace they are problems.
    """
    paths: dict[str, bool] = {}
    problems: dict[str, str] = {}
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pending = [""]
        while pending:
            folder = pending.pop()
            names = _list(root_fd, folder, problems)
            if folder and any(name.casefold() == ".git" for name, _ in names):
                if not checkout:
                    problems[f"{folder}/.git"] = "nested repository"
                continue
            for name, mode in names:
                path = f"{folder}/{name}" if folder else name
                if path.casefold() in skip:
                    continue
                if stat.S_ISDIR(mode) and folder.count("/") > MOST_FOLDERS:
                    problems[path] = f"more than {MOST_FOLDERS} folders deep"
                elif stat.S_ISDIR(mode):
                    pending.append(path)
                elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                    paths[path] = stat.S_ISLNK(mode)
                else:
                    problems[path] = _kind(mode)
            if len(paths) > limits.files:
                raise ToolError(f"more than {limits.files} files in the workspace")
    finally:
        os.close(root_fd)
    return Found(paths, problems)


def _list(root_fd: int, folder: str, problems: dict[str, str]) -> list[tuple[str, int]]:
    try:
        fd = open_beneath(root_fd, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        problems[folder] = f"unreadable directory ({error.strerror})"
        return []
    try:
        with os.scandir(fd) as entries:
            return [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
    except FileNotFoundError:
        return []
    finally:
        os.close(fd)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
    return kinds.get(stat.S_IFMT(mode), "special file")


def refuse_problems(found: Found) -> None:
    """Raise ToolError that names what cannot be part of a candidate."""
    if found.problems:
        named = ", ".join(f"{path!r} ({what})" for path, what in sorted(found.problems.items())[:5])
        raise ToolError(f"the workspace holds what cannot be recorded: {named}", hint="Delete it.")
    for path in found.paths:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise ToolError(f"a file name is not UTF-8: {path!r}", hint="Rename or delete it.") from None


def refuse_odd_names(found: Found, tracked: Collection[str]) -> None:
    """Raise ToolError for new names that mean something else on another machine. What the base has already stays."""
    fresh = found.paths.keys() - set(tracked)
    for path in sorted(fresh):
        if problem := unwritable(path):
            raise ToolError(f"{path!r} {problem}", hint="Rename or delete it.")
        if kept := reserved_name(path):
            raise ToolError(f"{path!r} is another spelling of {kept} on some disks", hint="Rename or delete it.")
    for other, path in collisions(fresh, found.paths):
        raise ToolError(
            f"{path!r} and {other!r} are one name on disks that fold case or accents", hint="Rename or delete one."
        )


def read_changes(
    root: Path,
    found: Found,
    tracked: Mapping[str, TreeEntry],
    limits: ScanLimits,
    *,
    keep: Callable[[TreeEntry], bool],
    same: Same,
) -> Changes:
    """Compare a directory with a tree, never reading through a link.

    `keep` says which tracked entries stay although they were not found; `same`, which files mean what is stored
    although their bytes differ.
    """
    entries: list[tuple[str, str, str]] = []
    blobs: list[bytes] = []
    left = limits.changed_mb * 1024 * 1024
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path, is_link in found.paths.items():
            before = tracked.get(path)
            mode, content = _read(root_fd, path, before, left, same) if not is_link else _link(root_fd, path, before)
            if content is None:  # the same bytes
                if before is not None and before.mode != mode:
                    entries.append((mode, before.sha, path))
                continue
            left -= len(content)
            blobs.append(content)
            entries.append((mode, blob_sha(content), path))
    finally:
        os.close(root_fd)
    removed = [path for path in tracked if path not in found.paths and not keep(tracked[path])]
    return Changes(tuple(entries), tuple(removed), tuple(blobs))


def with_absent(
    changes: Changes, absent: Mapping[str, tuple[str, str]], found: Found, tracked: Mapping[str, TreeEntry]
) -> Changes:
    """The changes with files that are on record (mode and SHA by path) and on purpose not in the directory."""
    known = {path: (entry.mode, entry.sha) for path, entry in tracked.items()}
    news = ((*at, path) for path, at in absent.items() if path not in found.paths and known.get(path) != at)
    return replace(changes, entries=(*changes.entries, *news))


def stays(entry: TreeEntry, found: Found, skip: Collection[str], left_out: Collection[str]) -> bool:
    """Whether a tracked entry that was not found stays: reserved, never exported, or a submodule nobody replaced."""
    if entry.path.split("/")[0].casefold() in skip or entry.path in left_out:
        return True
    return entry.mode == _MODULE and not any(path.startswith(f"{entry.path}/") for path in found.paths)


def _link(root_fd: int, path: str, before: TreeEntry | None) -> tuple[str, bytes | None]:
    content = _read_link(root_fd, path)
    same = before is not None and before.mode == LINK and before.sha == blob_sha(content)
    return LINK, None if same else content


def _read(root_fd: int, path: str, before: TreeEntry | None, left: int, same: Same) -> tuple[str, bytes | None]:
    """Mode and content of one file; content None where it equals what the tree has."""
    try:
        fd = open_beneath(root_fd, path, _READ)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{path}: not a regular file")
        mode = _EXECUTABLE if status.st_mode & 0o100 else _PLAIN
        if before is not None and status.st_size == before.size and _same(file.read(before.size + 1), before):
            return mode, None
        if before is not None and before.mode != LINK and same(file, before):
            return mode, None
        if status.st_size > left:
            raise ToolError(f"{path}: too much changed data in the workspace", hint="Delete what is not needed.")
        file.seek(0)
        content = file.read(left + 1)
    if len(content) > left:
        raise ToolError(f"{path}: too much changed data in the workspace", hint="Delete what is not needed.")
    return mode, content


def _same(content: bytes, before: TreeEntry) -> bool:
    return before.mode != LINK and blob_sha(content) == before.sha


def blob_sha(content: bytes) -> str:
    """The name git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _read_link(root_fd: int, path: str) -> bytes:
    folder, _, name = path.rpartition("/")
    try:
        parent = open_beneath(root_fd, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.fsencode(os.readlink(name, dir_fd=parent))
        finally:
            os.close(parent)
    except OSError as error:
        raise ToolError(f"{path}: {os.strerror(error.errno or errno.EIO)}") from error


async def links_left_out(git: Git, root: Path, found: Found, tracked: Mapping[str, TreeEntry]) -> tuple[str, ...]:
    """Tracked links that `export` had left out of `root`: their absence is not the expert's doing."""
    missing = [entry for path, entry in tracked.items() if entry.mode == LINK and path not in found.paths]
    targets = await contents_of(git, missing)

    def leads_out(entry: TreeEntry, target: bytes) -> bool:
        place = os.path.realpath(root)
        resolved = os.path.realpath(os.path.join(place, os.path.dirname(entry.path), os.fsdecode(target)))  # noqa: PTH118, PTH120  # an absolute target must win
        return resolved != place and not resolved.startswith(place + os.sep)

    return tuple(e.path for e, target in zip(missing, targets, strict=True) if b"\0" in target or leads_out(e, target))


async def store(git: Git, changes: Changes, env: Mapping[str, str]) -> None:
    """Write new blobs and bring the index of `env` up to date."""
    if changes.blobs:
        stream = b"".join(b"blob\ndata %d\n%s\n" % (len(blob), blob) for blob in changes.blobs)
        await git.check("fast-import", "--quiet", "--done", stdin=stream + b"done\n")
    gone = [b"0 %s\t%s" % (b"0" * 40, os.fsencode(path)) for path in changes.removed]
    here = [b"%s %s\t%s" % (m.encode(), sha.encode(), os.fsencode(path)) for m, sha, path in changes.entries]
    if gone or here:
        lines = b"".join(line + b"\0" for line in gone + here)
        await git.check("update-index", "-z", "--index-info", stdin=lines, env=env)
