"""What git made of a commit in a user's checkout: files it left out, stored bytes it wrote in another form, exclusions.

Only looks; records nothing itself. Workspaces of experts are exports, where nothing of this holds. Threat: a checkout's
index is read by git with our configuration alone, so it can name files, and start nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import BufferedReader

from perstack.core.errors import UserError
from perstack.infrastructure.git_command import Git, last_line
from perstack.infrastructure.git_ignore import attributes, check_ignore
from perstack.infrastructure.git_remote import Source
from perstack.infrastructure.git_tree import TreeEntry, blob_sha

_MOST_TEXT = 16 << 20  # bytes of a file that are read again to see whether only its form differs
_POINTER = range(100, 300)  # bytes of a pointer to a large file that is kept elsewhere (LFS)
_ATTRIBUTES = ("filter", "ident", "working-tree-encoding")
_ENCODING = re.compile(
    r"(utf-?(?:16|32))(?:[bl]e)?-bom|((?:utf|windows|cp|iso|shift|euc|gb|big|koi)[\w-]{0,16})", re.IGNORECASE
)
_IDENT = re.compile(rb"\$Id:[^$\n]{0,200}\$")


async def ignored(git: Git, source: Source, paths: Sequence[str]) -> set[str]:
    """Which paths a checkout's own `.gitignore` files and its exclude file leave out."""
    excludes = source.common / "info" / "exclude"
    return await check_ignore(git, source.root, excludes, paths) if paths else set()


async def left_out(git: Git, source: Source) -> dict[str, tuple[str, str]]:
    """Files that a checkout has on record and not on disk, by the user's wish (sparse checkout): mode and SHA by path.

    Raises: UserError for an index that git cannot read.
    """
    index = source.own / "index"
    if not index.is_file():
        return {}
    for part in source.own.glob("sharedindex.*"):
        with contextlib.suppress(FileExistsError):
            (git.directory / part.name).symlink_to(part)
    result = await git.run("ls-files", "-t", "-s", "-z", env={"GIT_INDEX_FILE": str(index)})
    if result.exit_code:
        raise UserError(f"{index}: git cannot read this index: {last_line(result.stderr)}")
    rows = (row.partition(b"\t") for row in result.stdout.split(b"\0") if row.startswith(b"S "))
    found = {os.fsdecode(path): about.decode().split(" ") for about, _, path in rows}
    return {path: (words[1], words[2]) for path, words in found.items()}


async def written_otherwise(
    git: Git, source: Source, paths: Collection[str]
) -> Callable[[BufferedReader, TreeEntry], bool]:
    """A judge whether a file of a checkout holds what git, by its attributes, made of a stored blob.

    Line ends count for nothing; `$Id$`, other encodings and large files (LFS) only where an attribute says so.
    """
    told: Mapping[str, Mapping[str, str]] = {}
    given = source.common / "info" / "attributes"
    if given.is_file() or any(path.rpartition("/")[2] == ".gitattributes" for path in paths):
        beside = str(given) if given.is_file() else os.devnull
        told = await attributes(git, source.root, beside, _ATTRIBUTES, paths)
    return lambda file, before: _is_same(file, before, told.get(before.path, {}))


def _is_same(file: BufferedReader, before: TreeEntry, told: Mapping[str, str]) -> bool:
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    if told.get("filter") == "lfs" and before.size in _POINTER:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n"
        return blob_sha(pointer.encode()) == before.sha
    if size > _MOST_TEXT:
        return False
    return any(blob_sha(stored) == before.sha for stored in _as_stored(file.read(_MOST_TEXT), told))


def _as_stored(content: bytes, told: Mapping[str, str]) -> Iterator[bytes]:
    """What git may have stored for a file that reads so."""
    if encoding := _ENCODING.fullmatch(told.get("working-tree-encoding", "")):
        with contextlib.suppress(UnicodeDecodeError, LookupError):
            content = content.decode(encoding[1] or encoding[2]).encode()
            yield content
    yield content.replace(b"\r\n", b"\n")
    if told.get("ident") == "set":
        plain = _IDENT.sub(b"$Id$", content)
        yield from (plain, plain.replace(b"\r\n", b"\n"))
