"""Paths, modes and names in a patch: what escapes the tree, what is no plain file, what shadows something else.

Pure. Whether a path is protected is asked of `protected.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.infrastructure.names import folded, means_git
from perstack.signals.policy_characters import invisible_in
from perstack.signals.policy_patch import FileChange
from perstack.signals.protected import Protection

_PLAIN = frozenset({"100644", "100755"})
_SPECIAL = {"120000": "a symbolic link", "160000": "a submodule"}
_COMPILED = re.compile(
    r"\.(py[cod]|so(\.\d+)*|pyd|dll|dylib|class|jar|war|o|obj|a|lib|whl|egg|exe|wasm|bin|elf|node|rlib|rmeta)$",
    re.IGNORECASE,
)
_ASSET = re.compile(r"\.(png|jpe?g|gif|webp|ico|svg|woff2?|ttf|otf|pdf|mp4|webm)$", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def check_paths(
    changes: Iterable[FileChange], base_files: Mapping[str, str], protection: Protection
) -> Iterator[PolicyFinding]:
    """Judge names, modes and kinds of every change."""
    changes = list(changes)
    seen: set[str] = set()
    for change in changes:
        unsafe = [finding for path in _paths(change) for finding in _unsafe(path, base_files)]
        yield from unsafe
        if unsafe:
            continue
        if change.path in seen:
            detail = "the patch has more than one section for this path"
            yield PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, change.path, detail)
        seen.add(change.path)
        yield from _fits_base(change, base_files)
        yield from _modes(change, base_files, protection)
        yield from _binary(change, protection)
    yield from _collisions(changes, base_files)


def _paths(change: FileChange) -> list[str]:
    return list(dict.fromkeys(path for path in (change.old_path, change.new_path) if path))


def _unsafe(path: str, base_files: Mapping[str, str]) -> Iterator[PolicyFinding]:
    parts = path.split("/")
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts or "." in parts or "" in parts:
        yield PolicyFinding(ReasonCode.PATH_ESCAPE, path, "the path does not stay inside the repository")
    elif "\\" in path or _CONTROL.search(path):
        yield PolicyFinding(ReasonCode.PATH_ESCAPE, path, "the path holds a backslash or a control character")
    elif any(_is_git_directory(part) for part in parts):
        yield PolicyFinding(ReasonCode.PATH_ESCAPE, path, "the path is, or looks like, git's own directory")
    elif invisible_in(path) or unicodedata.normalize("NFKC", path) != unicodedata.normalize("NFC", path):
        yield PolicyFinding(ReasonCode.HIDDEN_CHARACTERS, path, "the path does not read as what it is")
    for parent in PurePosixPath(path).parents:
        mode = base_files.get(str(parent), "")
        if mode in _SPECIAL:
            yield PolicyFinding(ReasonCode.SPECIAL_FILE, path, f"the path leads through {_SPECIAL[mode]}")


def _is_git_directory(part: str) -> bool:
    visible = "".join(c for c in part if unicodedata.category(c) not in {"Cf", "Mn"})
    return means_git(part) or means_git(visible)


def _fits_base(change: FileChange, base_files: Mapping[str, str]) -> Iterator[PolicyFinding]:
    missing = change.old_path and change.kind != "added" and change.old_path not in base_files
    if missing:
        yield PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, change.old_path, "the base has no such file")
    if change.kind in {"added", "renamed", "copied"} and change.new_path in base_files:
        yield PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, change.new_path, "the base has this file already")


def _modes(change: FileChange, base_files: Mapping[str, str], protection: Protection) -> Iterator[PolicyFinding]:
    before = change.old_mode or base_files.get(change.old_path, "")
    after = change.new_mode or ("" if change.kind == "deleted" else before)
    for mode in (before, after):
        if mode in _SPECIAL:
            yield PolicyFinding(ReasonCode.SPECIAL_FILE, change.path, f"{_SPECIAL[mode]} is added, changed or removed")
            return
        if mode and mode not in _PLAIN:
            yield PolicyFinding(ReasonCode.SPECIAL_FILE, change.path, f"mode {mode} is not that of a plain file")
            return
    if before and after and before != after:
        allowed = protection.is_allowed(change.path)
        detail = f"the mode changes from {before} to {after}"
        yield PolicyFinding(ReasonCode.MODE_CHANGE, change.path, detail, blocks=not allowed)
    elif change.kind == "added" and after == "100755":
        yield PolicyFinding(ReasonCode.MODE_CHANGE, change.path, "a new file is executable", blocks=False)


def _binary(change: FileChange, protection: Protection) -> Iterator[PolicyFinding]:
    if change.kind == "deleted":
        return
    if _COMPILED.search(change.path):
        yield PolicyFinding(ReasonCode.BINARY_FILE, change.path, "compiled files are not accepted; send their source")
    elif change.binary:
        harmless = change.kind == "added" and (
            protection.is_test_file(change.path) or _ASSET.search(change.path) is not None
        )
        allowed = harmless or protection.is_allowed(change.path)
        yield PolicyFinding(ReasonCode.BINARY_FILE, change.path, "binary content cannot be judged", blocks=not allowed)


def _collisions(changes: Iterable[FileChange], base_files: Mapping[str, str]) -> Iterator[PolicyFinding]:
    """Names that differ only in case or normal form: one of them replaces the other on many file systems."""
    changes = list(changes)
    gone = {change.old_path for change in changes if change.kind in {"deleted", "renamed"}}
    known: dict[str, str] = {}
    for path in base_files:
        if path not in gone:
            for spelt, prefix in _prefixes(path):
                known.setdefault(spelt, prefix)
    for change in changes:
        if change.kind not in {"added", "renamed", "copied"}:
            continue
        for spelt, prefix in _prefixes(change.new_path):
            other = known.setdefault(spelt, prefix)
            if other != prefix:
                detail = f"the name differs from {other} only in case or spelling of its characters"
                yield PolicyFinding(ReasonCode.PATH_ESCAPE, change.new_path, detail)
                break


def _prefixes(path: str) -> Iterator[tuple[str, str]]:
    """A path and each folder it lies in, with the one spelling of all that are the same on some disk."""
    spelt, end = "", 0
    for part in path.split("/"):
        spelt += f"/{folded(part)}"
        end += len(part) + 1
        yield spelt, path[: end - 1]
