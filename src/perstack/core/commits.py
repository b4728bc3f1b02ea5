"""What one commit changes, as data: enough to make the same commit again somewhere else. Reads nothing itself."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN, EXECUTABLE, LINK, MODULE = "100644", "100755", "120000", "160000"


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One changed path. Modes are git's octal text, empty on the side where there is no file; so are the SHAs.

    A path that is not UTF-8 has surrogate escapes. `content` is empty for what was deleted and for submodules.
    """

    path: str
    mode_before: str
    mode: str
    sha_before: str = ""
    sha: str = ""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class CommitContents:
    """A commit against its first parent. `size` counts the new contents in bytes.

    Where `size` is over what the reader wanted to see, all contents are left empty.
    """

    tree: str
    parents: tuple[str, ...]
    parent_tree: str
    message: str
    size: int
    files: tuple[ChangedFile, ...]
