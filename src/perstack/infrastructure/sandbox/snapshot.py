"""What set-up commands leave behind, the same for every back end: its key, its products, its place in sessions.

Set-up runs on a copy of the base commit at the workspace's own path. What it makes below the workspace
(`node_modules`, `.venv`, …) is kept apart and seen read-only at the same place in every session, so links and
editable installs that name `/workspace` work. What it makes in HOME is linked into each session's new HOME.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from perstack.core.errors import PerstackError, SandboxUnavailable, UserError
from perstack.core.sandbox import ExecResult, Mount, SandboxSpec
from perstack.infrastructure.room import lack_of_room

HOME = "/home/perstack"
KEPT_HOME = "/home/.perstack-setup"
WORKSPACE = "/workspace"
CONTROL = "/run/perstack"
PRODUCTS = "products"
_LIST = "products.list"

_LOCK_FILES = frozenset(
    {
        "pyproject.toml", "setup.py", "setup.cfg", "poetry.lock", "uv.lock", "pdm.lock", "Pipfile", "Pipfile.lock",
        "package.json", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock",
        "Cargo.toml", "Cargo.lock", "go.mod", "go.sum", "Gemfile", "Gemfile.lock", "composer.json", "composer.lock",
        "pom.xml", "build.gradle", "build.gradle.kts", "gradle.lockfile", "environment.yml", "Dockerfile",
        ".python-version", ".nvmrc", ".node-version", ".tool-versions", "rust-toolchain", "rust-toolchain.toml",
    }
)  # fmt: skip
# Changed when set-up is done otherwise than before: what an older Perstack made is not used then.
_RECIPE = "2"
_CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".git"})
_MAX_PRODUCTS = 64


def digest(identity: str, spec: SandboxSpec, source: Path) -> str:
    """The key of a snapshot: SHA-256 over image, commands, what they may reach, and files that pin dependencies."""
    total = hashlib.sha256()
    network = (str(spec.network.open), *spec.network.domains, "", *spec.network.mirrors)
    values = (f"{key}={value}" for key, value in spec.env)
    for part in (_RECIPE, identity, spec.image, spec.build, *spec.setup, "", *values, "", *network):
        total.update(part.encode() + b"\0")
    if spec.setup:
        for path in _pinning(source, spec.build):
            total.update(os.fsencode(path.relative_to(source)) + b"\0")
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def products(before: Path, after: Path) -> tuple[str, ...]:
    """The topmost paths that `after` has and `before` has not, caches aside.

    Raises: UserError where there are more than a session can hold.
    """
    found = sorted(_new_paths(before, after, ""))
    if len(found) > _MAX_PRODUCTS:
        raise UserError(
            f"[sandbox] setup leaves {len(found)} new paths among the repository's files; {_MAX_PRODUCTS} are possible",
            hint=f"Build into one folder instead. For instance: {', '.join(found[:3])}",
        )
    return tuple(found)


def keep(after: Path, names: tuple[str, ...], into: Path) -> None:
    """Move products into a folder of their own, readable for everybody."""
    into.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(after / name, target)


def product_mounts(place: Path) -> tuple[Mount, ...]:
    """Read-only mounts of what a snapshot's folder keeps for the workspace."""
    names = (place / _LIST).read_text("utf-8").split("\0")
    return tuple(Mount(place / PRODUCTS / name, f"{WORKSPACE}/{name}") for name in names if name)


def keep_products(source: Path, after: Path, place: Path) -> None:
    """Move what set-up made in a workspace into a snapshot's folder, and list it."""
    names = products(source, after)
    keep(after, names, place / PRODUCTS)
    (place / _LIST).write_text("\0".join(names), "utf-8")


def remove_mount_points(workspace: Path, mounts: tuple[Mount, ...]) -> None:
    """Take away the empty files and directories that product mounts needed in the workspace."""
    for mount in mounts:
        point = workspace / mount.target.removeprefix(f"{WORKSPACE}/")
        try:
            if point.is_dir() and not point.is_symlink():
                point.rmdir()
            elif point.is_file() and not point.is_symlink() and point.stat().st_size == 0:
                point.unlink()
        except OSError:
            continue  # not empty: the expert's own


class MountPoints:
    """Several sandboxes over one workspace share the points where products are mounted: the last one clears them.

    Taking a point away earlier would take the product away from the others.
    """

    def __init__(self) -> None:
        self._users: Counter[Path] = Counter()

    @contextlib.contextmanager
    def held(self, workspace: Path, clear: Callable[[], None]) -> Iterator[None]:
        """Count one sandbox over `workspace`; `clear` is called when it was the last one."""
        key = workspace.resolve()
        self._users[key] += 1
        try:
            yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key]
                clear()


def setup_failed(command: str, result: ExecResult, draft: Path) -> PerstackError:
    """The error for a set-up command: which, how, and its last lines. On a full disk it is not the command's fault."""
    how = "ran out of time" if result.timed_out else f"exited with {result.exit_code}"
    tail = "\n".join(f"  {line}" for line in result.text().strip().splitlines()[-10:])
    told = f"[sandbox] setup: `{command}` {how}\n{tail}"
    if room := lack_of_room(draft.parent, "XDG_CACHE_HOME"):
        return SandboxUnavailable(told, hint=room)
    return UserError(told, hint="Fix the command in perstack.toml.")


def _pinning(source: Path, build: str) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(set(folders) - _CACHES - {"node_modules"})
        for name in sorted(files):
            path = Path(folder, name)
            named = name in _LOCK_FILES or (name.startswith("requirements") and name.endswith((".txt", ".in")))
            if (named or path == source / build) and path.is_file() and not path.is_symlink():
                found.append(path)
    return found


def _new_paths(before: Path, after: Path, below: str) -> Iterator[str]:
    for entry in os.scandir(after / below):
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.name in _CACHES:
            continue
        there = before / name
        if not os.path.lexists(there):
            yield name
        elif entry.is_dir(follow_symlinks=False) and there.is_dir():
            yield from _new_paths(before, after, name)
