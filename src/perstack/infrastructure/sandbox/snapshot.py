"""What set-up commands leave behind, the same for every back end: its key, its products, its place in sessions.

Set-up runs on a copy of the base commit at the workspace's own path. What it makes below the workspace
(`node_modules`, `.venv`, …) is kept apart and seen read-only at the same place in every session, so links and
editable installs that name `/workspace` work. What it makes in HOME is linked into each session's new HOME.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from perstack.core.errors import PerstackError, SandboxUnavailable, UserError
from perstack.core.sandbox import ExecResult, Mount, SandboxSpec
from perstack.infrastructure.beneath import open_beneath
from perstack.infrastructure.room import lack_of_room
from perstack.infrastructure.sandbox.disk import DISK, MACHINE
from perstack.infrastructure.sandbox.memory import MEMORY

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
        "Package.resolved", "Package.swift", "bun.lockb", "conan.lock", "conanfile.py", "conanfile.txt", "deno.json",
        "deno.lock", "flake.lock", "flake.nix", "gems.locked", "gems.rb", "global.json", "libs.versions.toml",
        "mix.exs", "mix.lock", "packages.lock.json", "pnpm-workspace.yaml", "pubspec.lock", "pubspec.yaml",
        "pylock.toml", "rebar.lock", "settings.gradle", "settings.gradle.kts", "stack.yaml", "stack.yaml.lock",
        "uv.toml", "vcpkg.json", ".npmrc", ".yarnrc.yml", ".python-version", ".nvmrc", ".node-version",
        ".tool-versions", "rust-toolchain", "rust-toolchain.toml",
    }
)  # fmt: skip
# Changed when set-up is done otherwise than before: what an older Perstack made is not used then.
_RECIPE = "3"
_CACHES = frozenset({"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".git"})
_LISTS = ("requirements", "constraints")
_WORD = re.compile(r"[^\s;&|<>()'\"`=]+")
_MAX_PRODUCTS = 64
_LIMITS = {DISK: "diskMb and diskFiles", MEMORY: "memoryMb"}


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link that set-up left: where, below the workspace, and its text."""

    place: str
    text: str


def digest(identity: str, spec: SandboxSpec, source: Path) -> str:
    """The key of a snapshot: SHA-256 over image, commands, what they may reach, and files that pin dependencies."""
    total = hashlib.sha256()
    network = (str(spec.network.open), *spec.network.domains, "", *spec.network.mirrors)
    values = (f"{key}={value}" for key, value in spec.env)
    for part in (_RECIPE, os.uname().machine, identity, spec.image, spec.build, *spec.setup, "", *values, "", *network):
        total.update(part.encode() + b"\0")
    if spec.setup:
        for path in _pinning(source, {os.path.normpath(spec.build), *_named(spec.setup)}):
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
    """Move products into a folder of their own."""
    into.mkdir(parents=True, exist_ok=True)
    for name in names:
        target = into / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(after / name, target)


def product_mounts(place: Path) -> tuple[Mount, ...]:
    """Read-only mounts of what a snapshot's folder keeps for the workspace.

    Never of a link: it would be followed on this machine, and show a session whatever it names here.
    """
    return tuple(
        Mount(place / PRODUCTS / name, f"{WORKSPACE}/{name}")
        for name, mode in _kept_products(place)
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode)
    )


def product_links(place: Path) -> tuple[Link, ...]:
    """The links that a snapshot's folder keeps for the workspace."""
    return tuple(
        Link(name, str((place / PRODUCTS / name).readlink()))
        for name, mode in _kept_products(place)
        if stat.S_ISLNK(mode)
    )


def _kept_products(place: Path) -> Iterator[tuple[str, int]]:
    for name in (place / _LIST).read_text("utf-8", "surrogateescape").split("\0"):
        if name:
            yield name, (place / PRODUCTS / name).lstat().st_mode


def keep_products(source: Path, after: Path, place: Path) -> None:
    """Move what set-up made in a workspace into a snapshot's folder, and list it.

    Raises: UserError where it cannot be kept.
    """
    names = products(source, after)
    keep(after, names, place / PRODUCTS)
    _make_plain(place / PRODUCTS)
    if (place / "home").is_dir():
        _make_plain(place / "home")
    there = (name for name in names if os.path.lexists(place / PRODUCTS / name))
    (place / _LIST).write_text("\0".join(there), "utf-8", "surrogateescape")


def _make_plain(top: Path) -> None:
    """Leave files, folders and links only: nothing that runs as somebody else, nothing that makes a reader wait.

    Programs made it that nobody looked at, and it lies on this machine for weeks.
    """
    try:
        for _, folders, files, fd in os.fwalk(top, follow_symlinks=False):
            for name in (*folders, *files):
                mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
                    wanted = stat.S_IMODE(mode) & 0o777 | (0o700 if stat.S_ISDIR(mode) else 0o400)
                    if wanted != stat.S_IMODE(mode):
                        os.chmod(name, wanted, dir_fd=fd)
                elif not stat.S_ISLNK(mode):
                    os.unlink(name, dir_fd=fd)
    except (RecursionError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EMFILE:
            raise
        raise UserError("[sandbox] setup leaves folders that are nested too deeply to be kept") from error


def remove_mount_points(workspace: Path, mounts: tuple[Mount, ...]) -> None:
    """Take away the empty files and directories that product mounts needed in the workspace."""

    def clear(folder: int, name: str) -> None:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=folder)  # unless it holds something: that is the expert's own
        elif stat.S_ISREG(status.st_mode) and not status.st_size:
            os.unlink(name, dir_fd=folder)

    for mount in mounts:
        _at(workspace, mount.target.removeprefix(f"{WORKSPACE}/"), clear)


def place_links(workspace: Path, links: tuple[Link, ...]) -> None:
    """Make the links of set-up in a workspace. What is there already stays."""

    def make(folder: int, name: str, text: str) -> None:
        os.symlink(text, name, dir_fd=folder)

    for link in links:
        _at(workspace, link.place, partial(make, text=link.text))


def remove_links(workspace: Path, links: tuple[Link, ...]) -> None:
    """Take away those of them that still are what they were."""

    def clear(folder: int, name: str, text: str) -> None:
        if os.readlink(name, dir_fd=folder) == text:
            os.unlink(name, dir_fd=folder)

    for link in links:
        _at(workspace, link.place, partial(clear, text=link.text))


def _at(workspace: Path, place: str, act: Callable[[int, str], None]) -> None:
    """Call `act` with the open folder that holds `place`, and its name there; what fails is left.

    A workspace is hostile: what was a folder on the way may be a link to anywhere by now. None is followed.
    """
    above, _, name = place.rpartition("/")
    with contextlib.suppress(OSError):
        root = os.open(workspace, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            folder = open_beneath(root, above or ".", os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(root)
        try:
            act(folder, name)
        finally:
            os.close(folder)


class MountPoints:
    """Several sandboxes over one workspace share the points where products are mounted: the last one clears them.

    Taking a point away earlier would take the product away from the others.
    """

    def __init__(self) -> None:
        self._users: Counter[Path] = Counter()

    @contextlib.contextmanager
    def dressed(self, workspace: Path, place: Path | None) -> Iterator[tuple[Mount, ...]]:
        """A workspace with what a snapshot's folder keeps for it: links made, and what to mount."""
        mounts, links = (product_mounts(place), product_links(place)) if place else ((), ())

        def clear() -> None:
            remove_mount_points(workspace, mounts)
            remove_links(workspace, links)

        with self.held(workspace, clear):
            place_links(workspace, links)
            yield mounts

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
    if result.limit == MACHINE:
        return SandboxUnavailable(
            f"[sandbox] setup: the disk of this machine is nearly full: `{command}` was stopped",
            hint="Free some space (`perstack prune` removes old snapshots), and run it again.",
        )
    how = "ran out of time" if result.timed_out else f"exited with {result.exit_code}"
    if result.limit:
        how = f"was stopped at the sandbox's {result.limit} limit"
    tail = "\n".join(f"  {line}" for line in result.text().strip().splitlines()[-10:])
    told = f"[sandbox] setup: `{command}` {how}\n{tail}"
    if room := lack_of_room(draft.parent, "XDG_CACHE_HOME"):
        return SandboxUnavailable(told, hint=room)
    if result.limit:
        return UserError(told, hint=f"Set-up may use as much as {_LIMITS[result.limit]} of [sandbox.limits] say.")
    return UserError(told, hint="Fix the command in perstack.toml.")


def _named(setup: tuple[str, ...]) -> Iterator[str]:
    """What may be files of the repository in these commands: a script, a list of requirements under any name."""
    for command in setup:
        for word in _WORD.findall(command):
            yield os.path.normpath(word)


def _pinning(source: Path, named: Set[str]) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(source):
        folders[:] = sorted(set(folders) - _CACHES - {"node_modules"})
        for name in sorted(files):
            path = Path(folder, name)
            pins = name in _LOCK_FILES or (name.startswith(_LISTS) and name.endswith((".txt", ".in")))
            pins = pins or str(path.relative_to(source)) in named
            if pins and path.is_file() and not path.is_symlink():
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
