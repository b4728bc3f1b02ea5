"""Experts of other repositories as dependencies: what a source brings, how that differs from a pin, writing it down.

Nothing of a package is executed, and nothing is written before somebody saw what it brings.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from perstack.api.configuration import CONFIG_NAME, beside, finished
from perstack.api.stamps import now_ms
from perstack.api.writing import put
from perstack.core.errors import UserError
from perstack.core.experts import Config, Expert
from perstack.core.grammar import TAG
from perstack.definition.builtin import builtin_config
from perstack.definition.load import load_config, package_tables
from perstack.definition.lock import LOCK_NAME, Lock, Pin
from perstack.definition.lock_file import parse_lock
from perstack.definition.lock_text import render_lock
from perstack.definition.package import (
    Package,
    definition_files,
    experts_as,
    read_package,
)
from perstack.definition.package_entry import with_entry, without_entry
from perstack.definition.package_load import VENDOR_FOLDER, loading, pinned
from perstack.definition.package_source import Source, is_loopback, parse_source
from perstack.definition.package_text import vendored_text
from perstack.infrastructure.remote_package import Remote, read_commit, read_folder, resolve

_NOTHING = "Nothing was written."


@dataclass(frozen=True, slots=True)
class Access:
    """How repositories are reached. `token` goes to the host of `server` alone; `scratch` is a private folder."""

    scratch: Path
    server: str = "https://github.com"
    token: str = field(default="", repr=False)
    proxy: str = ""

    def remote(self, source: Source) -> Remote:
        """Raises: UserError where the GitHub server is not reached by https."""
        server = self.server.rstrip("/")
        url = f"{server}/{source.where}.git" if source.kind == "github" else source.where
        trusted = url.startswith("https://") or is_loopback(url)
        if source.kind == "github" and not trusted:
            raise UserError(f"{server}: packages are fetched by https only", hint="Set GITHUB_SERVER_URL to https://….")
        own = trusted and urlsplit(url)[:2] == urlsplit(server)[:2]
        basic = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
        return Remote(url, f"Authorization: Basic {basic}" if own and self.token else "", self.proxy)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A dependency as it would be: its experts under their names here, and those that it brings now (`before`).

    `before` is None where it is new, or where what is there cannot be read; `note` says why then.
    """

    name: str
    source: str
    commit: str
    package: Package
    experts: Mapping[str, Expert]
    before: Mapping[str, Expert] | None = None
    before_commit: str = ""
    note: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the experts are those that are there already, word by word."""
        return self.before is not None and self.before == self.experts


@dataclass(frozen=True, slots=True)
class Dependencies:
    """A definition and its lock as they were read; `lock` is None where there is none, or a damaged one."""

    path: Path
    data: bytes | None
    lock_data: bytes | None
    lock: Lock | None
    problem: str = ""

    @classmethod
    def read(cls, path: Path) -> Dependencies:
        """Raises: UserError where one of the files cannot be read."""
        read = beside(path)
        data, lock_data = read(path.name), read(LOCK_NAME)
        try:
            lock = None if lock_data is None else parse_lock(lock_data.decode("utf-8"), str(path.with_name(LOCK_NAME)))
        except (UserError, UnicodeDecodeError) as error:
            return cls(path, data, lock_data, None, error.message if isinstance(error, UserError) else "not UTF-8 text")
        return cls(path, data, lock_data, lock)

    @property
    def text(self) -> str:
        """The definition. Raises: UserError where it is not UTF-8."""
        try:
            return (self.data or b"").decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.path}: not UTF-8 text (byte {error.start})", hint="Save it as UTF-8.") from error

    def config(self) -> Config:
        """What the definition says, without its dependencies. Raises: UserError with every problem at its line."""
        return load_config(self.text, str(self.path))

    def pin(self, source: str) -> Pin | None:
        """The pin of a source."""
        return self.lock.dependencies.get(source) if self.lock else None

    def named(self, names: Iterable[str]) -> Mapping[str, str]:
        """Name → source of these dependencies, of all where none is named. Raises: UserError for one that is none."""
        own, asked = self.config().dependencies, tuple(names)
        for name in asked:
            if name not in own:
                there = ", ".join(own) or "there is none"
                raise UserError(f'{self.path}: there is no dependency "{name}"', hint=f"Its dependencies: {there}.")
        return {name: own[name] for name in asked or own}

    def before(self, name: str, source: str) -> tuple[Package | None, str]:
        """The package that is pinned, or why there is none to compare with."""
        pin = self.pin(source)
        if pin is None:
            return None, self.problem or "it is not pinned yet"
        try:
            return finished(pinned(name, pin), beside(self.path), str(self.path)), ""
        except UserError as error:
            return None, error.message


async def propose(there: Dependencies, text: str, name: str, access: Access) -> Proposal:
    """What a source brings, as dependency `name` ("": the name of its team, or made from the source).

    Raises: UserError for a source that cannot be used, and a package that may not come in; ForgeError.
    """
    source = parse_source(text)
    commit, package = await _fetched(there, source, access)
    name = name or (package.teams[0].lower() if len(package.teams) == 1 else source.label)
    if TAG.fullmatch(name) is None:
        raise UserError(f"`{name}` cannot be a dependency's name", hint="Give --as a name of a-z, 0-9, - and _.")
    proposal = Proposal(name, text, commit, package, experts_as(package, name))
    old = there.config().dependencies.get(name)
    if old is not None:
        before, note = there.before(name, old)
        pin = there.pin(old)
        proposal = replace(
            proposal, before=experts_as(before, name) if before else None,
            before_commit=pin.commit if pin else "", note=note,
        )  # fmt: skip
    return proposal


async def renewed(there: Dependencies, name: str, text: str, access: Access) -> Proposal:
    """A dependency as its source is now. One whose commit is the pinned one is not fetched again.

    Raises: as `propose`.
    """
    source, pin = parse_source(text), there.pin(text)
    before, note = there.before(name, text)
    if before is not None and pin is not None and pin.commit:
        commit = source.commit or await resolve(access.remote(source), source.ref, access.scratch)
        if commit == pin.commit:
            experts = experts_as(before, name)
            return Proposal(name, text, commit, before, experts, experts, commit)
    commit, package = await _fetched(there, source, access)
    experts = experts_as(package, name)
    old = experts_as(before, name) if before else None
    return Proposal(name, text, commit, package, experts, old, pin.commit if pin else "", note)


async def _fetched(there: Dependencies, source: Source, access: Access) -> tuple[str, Package]:
    if source.kind == "local":
        found = await read_folder(there.path.parent / source.where, definition_files)
        place = source.text
    else:
        remote = access.remote(source)
        commit = await resolve(remote, source.ref, access.scratch)
        found = await read_commit(remote, commit, source.path, definition_files, access.scratch)
        place = f"{source.text} ({commit[:12]})"
    for last, group in enumerate(found.files, start=1 - len(found.files)):
        files = [(f"{place}: {name}", text) for name, text in group]
        # A perstack.toml may hold settings alone: then the experts are in their folder.
        package = read_package(files) if last == 0 or _has_experts(files) else None
        if package is not None:
            return found.commit, package
    raise UserError(f"{place}: there is no expert in it", hint="Name another path behind `//`.")


def _has_experts(files: Sequence[tuple[str, str]]) -> bool:
    return any(package_tables(text, name)[0] for name, text in files)


def local_source(text: str, start: Path, definition: Path) -> str:
    """A path as it was typed in `start`, as a definition in another folder has to say it."""
    if not text.startswith((".", "/")) or text.startswith("/"):
        return text
    relative = os.path.relpath(start / text, definition.resolve().parent)
    return relative if relative.startswith(".") else f"./{relative}"


def accept(there: Dependencies, proposals: Iterable[Proposal], *, vendor: bool = False) -> None:
    """Write dependencies down, the definition last but for tidying: cut off anywhere, the files still belong together.

    Raises: UserError where they do not fit, or a file changed meanwhile; InfrastructureError. Then nothing counts.
    """
    text, path = there.text, str(there.path)
    own = there.config().dependencies
    pins = dict(there.lock.dependencies) if there.lock else {}
    files: dict[str, bytes] = {}
    for one in proposals:
        old = pins.get(own.get(one.name, one.source))
        pin = Pin(one.package.digest, one.commit, tables=one.package.tables)
        if vendor or (old is not None and old.file):
            file = f"{VENDOR_FOLDER}/{one.name}.{one.package.digest.removeprefix('sha256:')[:12]}.toml"
            files[file] = vendored_text(one.package, one.source, one.commit).encode()
            pin = replace(pin, file=file, tables={})
        pins[one.source] = pin
        if own.get(one.name) != one.source:
            text = with_entry(text, path, one.name, one.source)
    _commit(there, text, pins, files)


def remove(there: Dependencies, name: str) -> None:
    """Take a dependency out of the definition and the lock. Raises: UserError where it is none, or is in use."""
    source = there.named([name])[name]
    package, _ = there.before(name, source)
    gone = experts_as(package, name).keys() if package else ()
    config = there.config()
    for expert in config.experts.values():
        for delegate in expert.delegates:
            if delegate in gone:
                raise UserError(
                    f'{there.path}: expert "{expert.key}" delegates to "{delegate}" of dependency "{name}"',
                    hint="Take the delegate out first.",
                )
    pins = dict(there.lock.dependencies) if there.lock else {}
    _commit(there, without_entry(there.text, str(there.path), name), pins, {})


def _commit(there: Dependencies, text: str, pins: Mapping[str, Pin], files: Mapping[str, bytes]) -> None:
    """New files, then a lock that fits the old and the new definition, then the definition, then what is left over."""
    sources = set(load_config(text, str(there.path)).dependencies.values())
    base = there.lock or Lock(now_ms(), there.path.name or CONFIG_NAME)
    after = replace(base, dependencies={key: pin for key, pin in pins.items() if key in sources})
    between = replace(base, dependencies={**base.dependencies, **pins})
    lock_path = there.path.with_name(LOCK_NAME)
    _try(there, text, render_lock(after).encode(), files)
    now = Dependencies.read(there.path)
    if (now.data, now.lock_data) != (there.data, there.lock_data):
        raise UserError(f"{there.path} or its lock changed meanwhile", hint=f"Try again. {_NOTHING}")
    for name, data in files.items():
        (there.path.parent / name).parent.mkdir(exist_ok=True)
        put(there.path.parent / name, data)
    if sources or there.lock_data is not None:
        put(lock_path, render_lock(between).encode())
    if text.encode() != there.data:
        put(there.path, text.encode())
    if sources or after.experts:
        put(lock_path, render_lock(after).encode())
    else:
        lock_path.unlink(missing_ok=True)
    _tidy(there, after)


def _try(there: Dependencies, text: str, lock: bytes, files: Mapping[str, bytes]) -> None:
    """Load what would be there. Raises: UserError where it does not fit together."""
    disk = beside(there.path)

    def read(name: str) -> bytes | None:
        return lock if name == LOCK_NAME else files[name] if name in files else disk(name)

    finished(loading(text, str(there.path), builtin_config().experts), read, str(there.path))


def _tidy(there: Dependencies, after: Lock) -> None:
    """Take away vendored files that the old lock named and the new one does not."""
    kept = {pin.file for pin in after.dependencies.values()}
    for pin in there.lock.dependencies.values() if there.lock else ():
        if pin.file and pin.file not in kept and pin.file.startswith(f"{VENDOR_FOLDER}/") and ".." not in pin.file:
            (there.path.parent / pin.file).unlink(missing_ok=True)
    folder = there.path.parent / VENDOR_FOLDER
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


async def stale(there: Dependencies, names: Iterable[str], access: Access) -> tuple[str, ...]:
    """What of the dependencies is not pinned, not as pinned, or another thing at its source now; one line each.

    Raises: UserError, ForgeError where a source cannot be asked.
    """
    asked = there.named(names)
    lines = [f"{LOCK_NAME} is damaged: {there.problem}"] if there.problem else []
    for name, source in asked.items():
        found = await renewed(there, name, source, access)
        if found.before is None:
            lines.append(f'dependency "{name}": {found.note}')
        elif not found.is_same:
            at = f" ({found.before_commit[:12]} → {found.commit[:12]})" if found.commit else ""
            lines.append(f'dependency "{name}": {source} is another thing now{at}')
    used = set(there.config().dependencies.values())
    if there.lock is not None:
        lines += [
            f"{LOCK_NAME} pins {each}, which nobody names" for each in there.lock.dependencies if each not in used
        ]
    return tuple(lines)
