"""Where experts of somebody else come from, as people write it: `github:owner/repo//path@ref` and its kind. Pure text.

Threat: such a text ends in git's argument list and in messages, so each part has a narrow alphabet: no option, no
credential, no look-alike letter, and no way out of the repository can be written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from perstack.core.errors import UserError
from perstack.core.grammar import TAG, domain_problem

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
MAX_LENGTH = 500
FORMS = (
    "Write github:owner/repository//path@ref, git+https://host/repository//path@ref, git+file:///folder//path@ref, "
    "or the path of a folder or file that begins with ./, ../ or /."
)
_GITHUB = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9_.][A-Za-z0-9._-]{0,99}", re.ASCII)
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*", re.ASCII)
_SEGMENT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+-]*", re.ASCII)
_HOST = re.compile(r"(\[::1\]|[A-Za-z0-9.-]+)(?::\d{1,5})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Source:
    """One source taken apart. `where` is `owner/repository`, a URL, or a path of this machine, by its kind.

    `path` is a folder or file inside it, "" for the root; `ref` a branch, tag or commit, "" for the default branch.
    """

    text: str
    kind: Literal["github", "git", "local"]
    where: str
    path: str = ""
    ref: str = ""

    @property
    def commit(self) -> str:
        """The commit, where the source names one by its whole id."""
        return self.ref if _COMMIT.fullmatch(self.ref) else ""

    @property
    def label(self) -> str:
        """What it may be called, made from its last word."""
        last = (self.path or self.where).rstrip("/").rpartition("/")[2].removesuffix(".toml").removesuffix(".git")
        name = re.sub(r"[^a-z0-9_-]+", "-", last.lower()).strip("-_")
        return name if TAG.fullmatch(name) else "experts"


def parse_source(text: str) -> Source:
    """Take a source apart.

    Raises: UserError that says which part cannot be used.
    """
    if len(text) > MAX_LENGTH or not text.isascii() or not text.isprintable():
        raise _unusable(text, "it has other than printable ASCII characters, or too many of them")
    if text.startswith((".", "/")):
        return _local(text)
    if text.startswith("github:"):
        where, path, ref = _parts(text, text.removeprefix("github:"))
        if _GITHUB.fullmatch(where) is None or where.endswith(("/.", "/..", ".git")):
            raise _unusable(text, f"`{where}` is no owner/repository")
        return Source(text, "github", where, path, ref)
    if text.startswith(("git+https://", "git+http://", "git+file:///")):
        scheme, _, rest = text.removeprefix("git+").partition("://")
        where, path, ref = _parts(text, rest)
        _check_place(text, scheme, where)
        return Source(text, "git", f"{scheme}://{where}", path, ref)
    raise _unusable(text, "its kind is not known")


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine, by name."""
    host = urlsplit(url).netloc.rpartition(":")[0] or urlsplit(url).netloc
    return host in LOOPBACK or urlsplit(url).netloc in LOOPBACK


def _parts(text: str, rest: str) -> tuple[str, str, str]:
    """Place, path and ref."""
    place, at, ref = rest.rpartition("@") if "@" in rest else (rest, "", "")
    where, slashes, path = place.partition("//") if not rest.startswith("/") else _after_root(place)
    if at and (_REF.fullmatch(ref) is None or ".." in ref or ref.endswith((".", ".lock"))):
        raise _unusable(text, f"`{ref[:80]}` is no branch, tag or commit")
    if slashes and not path:
        raise _unusable(text, "there is no path behind `//`")
    for segment in path.split("/") if path else ():
        _check_segment(text, segment)
    return where.rstrip("/"), path, ref


def _after_root(place: str) -> tuple[str, str, str]:
    where, slashes, path = place[1:].partition("//")
    return f"/{where}", slashes, path


def _check_segment(text: str, segment: str) -> None:
    if _SEGMENT.fullmatch(segment) is None or segment in {".", ".."} or segment.casefold() == ".git":
        raise _unusable(text, f"`{segment}` cannot be a part of the path inside the repository")


def _check_place(text: str, scheme: str, where: str) -> None:
    host, _, folder = where.partition("/")
    for segment in folder.split("/"):
        if not segment.startswith("~"):
            _check_segment(text, segment)
    if scheme == "file":
        return
    found = _HOST.fullmatch(host)
    if found is None:
        raise _unusable(text, f"`{host}` is no host (names and passwords do not belong here)")
    if scheme == "http" and found[1] not in LOOPBACK:
        raise _unusable(text, "http:// is for this machine only; use git+https://")
    if found[1] not in LOOPBACK and (problem := domain_problem(found[1])):
        raise _unusable(text, problem)


def _local(text: str) -> Source:
    if "\\" in text or "//" in text:
        raise _unusable(text, "write the path of a folder or file with single slashes; it has no ref")
    return Source(text, "local", text)


def _unusable(text: str, why: str) -> UserError:
    shown = "".join(char if char.isprintable() and char.isascii() else f"<U+{ord(char):04X}>" for char in text[:120])
    return UserError(f"source `{shown}` cannot be used: {why}", hint=FORMS)
