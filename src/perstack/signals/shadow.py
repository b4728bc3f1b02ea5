"""Added names that a program would find instead of the standard library, the runner, a dependency or the product.

Pure. Only added files count: a project that is called like another one is its own business.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.signals.policy_patch import FileChange
from perstack.signals.syntax import parse

_RUNNER = frozenset(
    {"pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "exceptiongroup", "tomli", "pygments", "coverage",
     "hypothesis", "xdist", "execnet", "mock", "nose", "nose2", "attr", "attrs", "tox", "nox", "pytest_cov",
     "pytest_mock", "pytest_asyncio", "anyio", "pip", "setuptools", "pkg_resources", "wheel", "_distutils_hack",
     "junitparser", "perstack", "numpy", "sitecustomize", "usercustomize", "colorama", "typing_extensions", "mypy",
     "mypyc", "mypy_extensions", "pathspec", "ruff", "pyright", "basedpyright", "nodeenv", "pylint", "astroid",
     "flake8", "pyflakes", "pycodestyle", "mccabe", "bandit", "black", "isort"}
)  # fmt: skip
_HEADERS = frozenset(
    {"assert.h", "cassert", "stdio.h", "stdlib.h", "string.h", "stdint.h", "stddef.h", "setjmp.h", "signal.h",
     "unistd.h", "gtest.h", "gmock.h", "catch.hpp", "doctest.h", "check.h", "unity.h", "cmocka.h", "criterion.h"}
)  # fmt: skip
_ROOTS = ("", "src", "lib", "python")
_SUFFIXES = (".py", ".pyi", ".pyx", ".pyw")
# A script's own folder comes first on its search path.
_SCRIPT_FOLDERS = frozenset({"tools", "scripts", "script", "bin", "ci", "hack", "checks", "lint"})
_MANY = 2000  # base files that are read to learn the dependencies


def check_shadowing(
    changes: Iterable[FileChange], base_files: Mapping[str, str], read_base: Callable[[str], bytes | None]
) -> Iterator[PolicyFinding]:
    """Judge every added name that a search path may offer."""
    added = [change.new_path for change in changes if change.kind in {"added", "renamed", "copied"}]
    gone = {change.old_path for change in changes if change.kind in {"deleted", "renamed"}}
    yield from _headers(added)
    yield from _package_over_module(added, base_files, gone)
    yield from _stale_siblings(added, base_files, gone)
    offered = _offered(added, base_files)
    if not offered:
        return
    product = _top_level(base_files)
    dependencies = _imported(base_files, read_base) - set(product)
    for path, name, root in offered:
        if name in sys.stdlib_module_names:
            what = f"the standard library's `{name}`"
        elif name in _RUNNER or name.startswith(("pytest_", "_pytest")):
            what = f"the test runner or a tool of it, `{name}`"
        elif name in dependencies:
            what = f"the installed `{name}`, which the project imports"
        elif any(other != root for other in product.get(name, ())):
            what = f"the project's own `{name}`"
        else:
            continue
        yield PolicyFinding(ReasonCode.SHADOWED_MODULE, path, f"the new file would be found instead of {what}")


def _module_name(path: str) -> str:
    """The name under which a directory on the search path would offer this file's module or package."""
    name = PurePosixPath(path).name
    return name.partition(".")[0] if name.endswith(_SUFFIXES) else ""


def _search_roots(base_files: Mapping[str, str]) -> set[str]:
    """Directories that are, or are likely to be, on the search path: those of tests and scripts that are no package."""
    roots = set(_ROOTS)
    for path in base_files:
        pure = PurePosixPath(path)
        if (
            pure.suffix == ".py"
            and pure.parent.name in _SCRIPT_FOLDERS
            and f"{pure.parent}/__init__.py" not in base_files
        ):
            roots.add(str(pure.parent))
        if pure.name == "conftest.py" or (pure.name.startswith("test_") or pure.stem.endswith("_test")):
            directory = pure.parent
            while f"{directory}/__init__.py" in base_files:
                directory = directory.parent
            if pure.suffix == ".py":
                roots.add("" if str(directory) == "." else str(directory))
    return roots


def _offered(added: Iterable[str], base_files: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(path, name, search root) of every added file that makes a new top-level name."""
    roots = _search_roots(base_files)
    found: list[tuple[str, str, str]] = []
    for path in added:
        if not path.endswith(_SUFFIXES):
            continue
        for root in roots:
            inside = path if not root else path.removeprefix(f"{root}/")
            if root and inside == path:
                continue
            first, _, rest = inside.partition("/")
            name = first if rest else _module_name(first)
            exists = any(known.startswith(f"{root}/{first}/".removeprefix("/")) for known in base_files)
            if name and name != "__init__" and not (rest and exists):
                found.append((path, name, root))
    return found


def _top_level(base_files: Mapping[str, str]) -> dict[str, set[str]]:
    """Which search roots offer which top-level names on the base."""
    names: dict[str, set[str]] = {}
    for path in base_files:
        for root in ("", "src", "lib"):
            inside = path if not root else path.removeprefix(f"{root}/")
            if (root and inside == path) or not path.endswith(".py"):
                continue
            first, _, rest = inside.partition("/")
            name = first if rest else _module_name(first)
            if name not in {"src", "lib", "tests", "test", "__init__"}:
                names.setdefault(name, set()).add(root)
    return names


def _imported(base_files: Mapping[str, str], read_base: Callable[[str], bytes | None]) -> set[str]:
    names: set[str] = set()
    for path in [path for path in base_files if path.endswith(".py")][:_MANY]:
        try:
            tree = parse(read_base(path) or b"")
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.add(node.module.partition(".")[0])
    return names


def _package_over_module(
    added: Iterable[str], base_files: Mapping[str, str], gone: set[str]
) -> Iterator[PolicyFinding]:
    """`x/__init__.py` beside `x.py`: the package wins."""
    for path in added:
        module = f"{PurePosixPath(path).parent}.py"
        if PurePosixPath(path).name == "__init__.py" and module in base_files and module not in gone:
            yield PolicyFinding(ReasonCode.SHADOWED_MODULE, path, f"the new package would be found instead of {module}")


def _stale_siblings(added: Iterable[str], base_files: Mapping[str, str], gone: set[str]) -> Iterator[PolicyFinding]:
    """`x.js` beside `x.ts` (and the like): the resolver takes the first it finds."""
    twins = {".js": (".ts", ".tsx", ".jsx"), ".mjs": (".mts",), ".cjs": (".cts",), ".json": (".ts", ".js")}
    for path in added:
        pure = PurePosixPath(path)
        for other in twins.get(pure.suffix, ()):
            twin = str(pure.with_suffix(other))
            if twin in base_files and twin not in gone:
                yield PolicyFinding(ReasonCode.SHADOWED_MODULE, path, f"the new file would be found instead of {twin}")


def _headers(added: Iterable[str]) -> Iterator[PolicyFinding]:
    for path in added:
        if PurePosixPath(path).name in _HEADERS:
            yield PolicyFinding(
                ReasonCode.SHADOWED_MODULE, path, "the new header would be found instead of the system's"
            )
