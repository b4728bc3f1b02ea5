"""Dependencies of a definition → their experts, from the lock beside it. Reads no file itself and asks no network.

It is a generator: it yields the name of each file it needs, relative to the definition, and is sent its bytes. So one
set of rules reads a folder, a commit, and a forge.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from perstack.core.errors import UserError
from perstack.core.experts import Config, Expert
from perstack.core.json import Json
from perstack.definition.load import FILE_NAME, load_config, package_tables
from perstack.definition.locate import line_of, locate
from perstack.definition.lock import LOCK_NAME, Lock, Pin
from perstack.definition.lock_file import parse_lock
from perstack.definition.package import MAX_BYTES, Package, digest_of, experts_as, require_free

VENDOR_FOLDER = "perstack.vendor"
_VENDORED = re.compile(rf"{re.escape(VENDOR_FOLDER)}/[a-z0-9][a-z0-9_-]*\.[0-9a-f]{{12}}\.toml")

Wanted = Generator[str, bytes | None, "Loaded"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A definition with the experts of its dependencies; `brought` has those alone."""

    own: Config
    brought: Mapping[str, Expert]

    def config(self) -> Config:
        """Both together."""
        return replace(self.own, experts={**self.brought, **self.own.experts})


def loading(text: str, path: str, shipped: Mapping[str, Expert]) -> Wanted:
    """Read a definition with its dependencies. `shipped` are the experts that ship: nobody else's may be called so.

    Raises: UserError with every problem of the definition, or with the dependency that is not as it was pinned.
    """
    own = load_config(text, path)
    if not own.dependencies:
        return Loaded(own, {})
    lines = locate(text)
    lock_path = f"{path.removesuffix(FILE_NAME)}{LOCK_NAME}" if path.endswith(FILE_NAME) else LOCK_NAME
    data = yield LOCK_NAME
    lock = parse_lock(_text(data, lock_path), lock_path) if data is not None else Lock(0, "")
    taken = {*shipped, *own.experts}
    brought: dict[str, Expert] = {}
    for name, source in own.dependencies.items():
        place = f"{path}:{line_of(lines, ('dependencies', name))}"
        pin = lock.dependencies.get(source)
        if pin is None:
            raise UserError(
                f'{place}: dependency "{name}" ({source}) is not pinned in {LOCK_NAME}',
                hint=f"Run `perstack add --update {name}`, look at what it brings, and commit {LOCK_NAME}.",
            )
        package = yield from pinned(name, pin)
        experts = experts_as(package, name)
        require_free(experts, taken, name)
        taken |= experts.keys()
        brought.update(experts)
    return Loaded(own, brought)


def pinned(name: str, pin: Pin) -> Generator[str, bytes | None, Package]:
    """The package that a pin stands for, exactly as it was taken.

    Raises: UserError where its text is not there, or is another one.
    """
    tables = pin.tables
    if pin.file:
        if _VENDORED.fullmatch(pin.file) is None:
            raise UserError(f'{LOCK_NAME}: dependency "{name}": `{pin.file}` is no file of {VENDOR_FOLDER}/')
        data = yield pin.file
        if data is None or len(data) > 2 * MAX_BYTES:
            raise _not_as_pinned(name, f"{pin.file} {'is missing' if data is None else 'is too large'}")
        tables = cast("Mapping[str, Json]", package_tables(_text(data, pin.file), pin.file)[0])
    if digest_of(tables) != pin.digest:
        raise _not_as_pinned(name, f"{pin.file or LOCK_NAME} does not have the digest {pin.digest[:19]}…")
    return Package(tables, pin.digest)


def _not_as_pinned(name: str, why: str) -> UserError:
    return UserError(
        f'dependency "{name}" is not as it was pinned: {why}',
        hint=f"Restore the file from git, or run `perstack add --update {name}` and look at the difference.",
    )


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})", hint="Restore it from git.") from error
