"""Fresh trees: base and candidate as directories that no builder process ever touched.

The candidate's tree is made from git objects alone: base plus those parts of the patch that may count. Protected
paths are as on the base, added protected names and added tests are not there, caches and stale reports neither.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import anyio.to_thread

from perstack.infrastructure import foreign
from perstack.infrastructure.git import Repository, TreeEntry
from perstack.signals.protected import Protection
from perstack.signals.sections import Section, cut, keep

BASE, CANDIDATE, OWN = "base", "candidate", "own"

_CACHE_NAMES = frozenset(
    {
        "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".coverage",
        ".eslintcache", ".stylelintcache", ".dmypy.json",
    }
)  # fmt: skip
_CACHE_SUFFIXES = (".pyc", ".pyo", ".egg-link", ".tsbuildinfo")


LARGEST = 1 << 30  # bytes of one file of a tree


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree on disk. `path` stays pristine: runs work on copies. `digest` covers paths, modes and contents."""

    name: str
    path: Path
    files: frozenset[str]
    digest: str

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None where there is none."""
        place = self.path / path
        if path not in self.files:
            return None
        try:
            return foreign.read(place, LARGEST, below=self.path)
        except OSError:
            return None


@dataclass(frozen=True, slots=True)
class Effective:
    """What of a patch counts, and the git tree with just that.

    `own_tests_tree` has the candidate's additions and edits of tests as well; empty where there are none.
    `changed_tests` are existing tests that the candidate edits.
    """

    tree: str
    sections: tuple[Section, ...]
    own_tests_tree: str = ""
    changed_tests: tuple[str, ...] = ()


def is_cache(path: str) -> bool:
    """Whether a path is a cache that a tool would trust, or compiled code."""
    parts = PurePosixPath(path).parts
    return path.endswith(_CACHE_SUFFIXES) or any(part in _CACHE_NAMES for part in parts)


async def effective_tree(
    repository: Repository,
    base: str,
    candidate_tree: str,
    protection: Protection,
    base_paths: frozenset[str],
    *,
    difference: str = "",
) -> Effective:
    """The git tree to judge: base plus the parts of the candidate that are neither protected nor tests nor caches.

    `difference` is git's own text of what the candidate changes, where it is known.
    """
    sections = cut(difference or (await repository.diff(base, candidate_tree)).text)

    def is_test(section: Section) -> bool:
        path = section.path
        return protection.is_test_file(path) and not (protection.is_configured(path) or is_cache(path))

    def counts(section: Section) -> bool:
        path = section.path
        if protection.is_protected(path) or is_cache(path):
            return False
        return not protection.is_test_file(path) or protection.is_allowed(path)

    kept = tuple(section for section in sections if counts(section))
    tests = [section for section in sections if is_test(section) and not section.deleted]

    async def tree_of(wanted: Callable[[Section], bool]) -> str:
        whole = all(map(wanted, sections))
        return candidate_tree if whole else await repository.apply(base, keep(sections, wanted))

    own = await tree_of(lambda s: counts(s) or s in tests) if tests else ""
    return Effective(
        tree=await tree_of(counts),
        sections=kept,
        own_tests_tree=own,
        changed_tests=tuple(section.path for section in tests if section.path in base_paths),
    )


async def make_tree(
    repository: Repository, commit: str, name: str, into: Path, entries: Sequence[TreeEntry] | None = None
) -> Tree:
    """Export a commit or tree into a new directory, without caches. `entries` are its files, where they are known."""
    entries = await repository.list_files(commit) if entries is None else entries
    await repository.export(commit, into, entries)
    cached = [entry.path for entry in entries if is_cache(entry.path)]
    if cached:
        await anyio.to_thread.run_sync(_remove, into, cached)
    kept = [entry for entry in entries if not is_cache(entry.path)]
    return Tree(name, into, frozenset(entry.path for entry in kept), _digest(kept))


async def copy_tree(tree: Tree, into: Path, *, leave_out: Callable[[str], bool] | None = None) -> None:
    """A writable copy for one run. `leave_out` names relative paths that are not copied."""

    def ignore(folder: str, names: list[str]) -> list[str]:
        here = Path(folder).relative_to(tree.path)
        return [name for name in names if leave_out is not None and leave_out(str(here / name))]

    await anyio.to_thread.run_sync(lambda: shutil.copytree(tree.path, into, symlinks=True, ignore=ignore))


def _remove(root: Path, paths: list[str]) -> None:
    for path in paths:
        (root / path).unlink(missing_ok=True)


def _digest(entries: list[TreeEntry]) -> str:
    lines = sorted(f"{entry.mode} {entry.sha} {entry.path}" for entry in entries)
    return hashlib.sha256("\0".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
