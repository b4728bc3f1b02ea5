"""Where a tree keeps its Python packages: what it provides, and from which directories. Pure, by paths alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from posixpath import join, normpath

_NOT_PACKAGES = frozenset({"setup", "conftest", "noxfile", "tasks", "docs", "doc", "test", "tests", "testing",
                           "examples", "example", "benchmarks", "scripts", "tools", "ci", "bin"})  # fmt: skip
_SOURCE_FOLDERS = ("src", "lib", "python")


def packages_of(files: Iterable[str], python_path: Iterable[str]) -> dict[str, str]:
    """Top-level Python packages and modules a tree provides, each with its place."""
    roots = {"", "src/", "lib/", *(f"{path}/" for path in python_path if path != ".")}
    found: dict[str, str] = {}
    for path in files:
        if not path.endswith(".py"):
            continue
        for root in roots:
            rest = path.removeprefix(root)
            name = rest.removesuffix("/__init__.py") if rest.endswith("/__init__.py") else rest.removesuffix(".py")
            if path.startswith(root) and name.isidentifier() and name not in _NOT_PACKAGES:
                found[name] = path
    return found


def source_roots(paths: Collection[str], rootdir: str) -> tuple[str, ...]:
    """Directories, relative to the repository, from which an installation in editable mode would offer the project.

    Each of `rootdir` and the repository offers its source folder where that holds packages, else itself where it does.
    """
    roots: dict[str, None] = {}
    for start in dict.fromkeys((normpath(rootdir), ".")):
        folders = [normpath(join(start, name)) for name in _SOURCE_FOLDERS]
        sources = [folder for folder in folders if f"{folder}/__init__.py" not in paths and _offers(paths, folder)]
        if sources or _offers(paths, start):
            roots.update(dict.fromkeys(sources or [start]))
    return tuple(roots)


def _offers(paths: Collection[str], folder: str) -> bool:
    prefix = "" if folder == "." else f"{folder}/"
    inside = [path.removeprefix(prefix) for path in paths if path.startswith(prefix) and path.endswith(".py")]
    return any(_top_level(path) not in {"", *_NOT_PACKAGES} for path in inside)


def _top_level(path: str) -> str:
    """The name a path offers from its directory; empty for parts of a package."""
    name = path.removesuffix("/__init__.py") if path.endswith("/__init__.py") else path.removesuffix(".py")
    return name if name.isidentifier() else ""
