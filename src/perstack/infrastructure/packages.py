"""Packages of MCP skills: installed once, in a sandbox with set-up's network; served from there without any.

Installing runs the packages' own scripts. They see an empty folder and the toolchain: no workspace, no secret. What
they could still do is reach what set-up may reach and fill their own folder with something else than they should,
which is what the package could do as well; the record says exactly what came.

`npx` and `uvx` without a version mean the newest one at the time of installing, kept until it is renewed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import anyio.to_thread

from perstack.core.contracts import Sandbox
from perstack.core.errors import UserError
from perstack.core.sandbox import ExecResult, Mount, Snapshot
from perstack.infrastructure import package_tree
from perstack.infrastructure.file_lock import locked
from perstack.infrastructure.owned import remove_tree
from perstack.infrastructure.package_store import Lease, leased
from perstack.infrastructure.package_tree import Package
from perstack.infrastructure.package_words import Wanted, package_name, pinned, plain_name, wanted
from perstack.infrastructure.sandbox.disk_bound import DiskBound
from perstack.infrastructure.sandbox.snapshot_store import size_of

# In place of a version: the newest one that fits the words, whatever is there.
NEWEST = "newest"
_FORMAT = "1"  # of the record; part of the key, so another format starts anew
_INSIDE = "/opt/perstack"
_INSTALL_S = 600.0

_NPM = (
    "npm", "install", "--prefix", ".", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress",
    "--omit=dev", "--save-exact", "--loglevel=error", "--",
)  # fmt: skip
_PYPI = """set -e
python=$1; shift
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet ${python:+--python "$python"} venv
  exec uv pip install --quiet --compile-bytecode --python venv/bin/python -- "$@"
fi
"python${python:-3}" -m venv venv
exec venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --no-cache-dir -- "$@"
"""

_OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ECONNRESET|CERT_|self-signed certificate"
    r"|Temporary failure in name resolution|Failed to establish a new connection|Network is unreachable"
    r"|Tunnel connection failed|tunneling socket could not|unsuccessful tunnel"
    r"|CERTIFICATE_VERIFY_FAILED|dns error|[Ee]rror sending request|[Cc]ould not connect|timed out"
)
_UNKNOWN = re.compile(
    r"E404|ETARGET|No matching distribution|not found in the package registry|[Tt]here is no version of|"
    r"No solution found|no versions of"
)


@dataclass(frozen=True, slots=True)
class Launch:
    """How to serve a skill: the words, what to mount, what to add to the environment, and what it is made of.

    `packages` and `integrity` (sha256:… over the installed tree, of this machine's installation) are empty for a
    program that needs nothing installed.
    """

    argv: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()
    integrity: str = ""
    lease: Lease | None = field(default=None, compare=False, repr=False)  # what is in use is not taken away


async def installed(
    sandbox: Sandbox,
    snapshot: Snapshot,
    command: str,
    words: Sequence[str],
    *,
    cache: Path,
    log: Callable[[str], None] | None = None,
    version: str = "",
) -> Launch:
    """How to start `command words…` without network, its packages installed below `cache` where it needs some.

    For a skill with `packageName`, `words` is that name alone. `version` is the one the first package is to have:
    empty for what is there or else as the words say, NEWEST to install that again.
    Raises: UserError (what cannot be installed, and why), SandboxUnavailable.
    """
    want = wanted(command, words)
    if want is None:
        return Launch((command, *words))
    key = _key(sandbox, snapshot, want)
    if version not in {"", NEWEST} and not _holds(_read(cache / f"{key}.json", cache / key), want, version):
        want = pinned(want, version)
        key = _key(sandbox, snapshot, want)
    folder, record = cache / key, cache / f"{key}.json"
    target = str(folder) if sandbox.name == "host" else f"{_INSIDE}/{key}"
    cache.mkdir(parents=True, exist_ok=True)
    lease = await leased(cache, key)
    async with locked(cache / f"{key}.lock"):
        found = None if version == NEWEST else _read(record, folder)
        if found is None:
            if log:
                log(f"installing {' '.join(want.specs)}")
            found = await _install(sandbox, snapshot, want, Mount(folder, target, writable=True))
            _write(record, found)
    argv = (f"{target}/{found.program}", *want.arguments)
    return Launch(argv, (Mount(folder, target),), {}, found.packages, found.integrity, lease)


@dataclass(frozen=True, slots=True)
class _Record:
    """What an installation came to. `program` is a path below its folder; `about` and `bytes` are for who clears up."""

    program: str
    packages: tuple[Package, ...]
    integrity: str
    about: str = ""
    bytes: int = 0


async def _install(sandbox: Sandbox, snapshot: Snapshot, want: Wanted, folder: Mount) -> _Record:
    """Install into an empty folder and describe what came. The folder is gone where it did not work."""
    await anyio.to_thread.run_sync(_emptied, folder.source)  # without its folder, an older record counts for nothing
    try:
        argv = [*_NPM, *want.specs] if want.registry == "npm" else ["sh", "-c", _PYPI, "sh", want.python, *want.specs]
        async with DiskBound(snapshot.limits).held(f"the installation of {' '.join(want.specs)}", [folder.source]):
            result = await sandbox.install(snapshot, argv, folder, timeout_s=_INSTALL_S)
        _check(sandbox, want, result)
        return await anyio.to_thread.run_sync(_described, want, folder.source)
    except BaseException:
        remove_tree(folder.source)
        raise


def _described(want: Wanted, folder: Path) -> _Record:
    package_tree.make_readable(folder)
    return _Record(
        package_tree.program(folder, want.registry, want.specs, want.program),
        package_tree.packages(folder, want.registry),
        package_tree.integrity(folder),
        " ".join(want.specs),
        size_of(folder),
    )


def _key(sandbox: Sandbox, snapshot: Snapshot, want: Wanted) -> str:
    total = hashlib.sha256()
    for part in (_FORMAT, sandbox.name, snapshot.digest, want.registry, want.python, want.program, *want.specs):
        total.update(part.encode() + b"\0")
    return total.hexdigest()[:32]


def _holds(found: _Record | None, want: Wanted, version: str) -> bool:
    """Whether an installation is there that has the first package at this version."""
    name = package_name(want)
    packages = found.packages if found else ()
    return any(plain_name(package.name) == name and package.version == version for package in packages)


def _emptied(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        remove_tree(folder)
    folder.mkdir()


def _read(record: Path, folder: Path) -> _Record | None:
    """The record of a whole installation; None where there is none, or half of one."""
    try:
        found = json.loads(record.read_text("utf-8"))
        packages = tuple(Package(**entry) for entry in found["packages"])
        whole = _Record(found["program"], packages, found["integrity"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return whole if os.path.lexists(folder / whole.program) else None


def _write(record: Path, found: _Record) -> None:
    """Written last and at once: a folder without its record counts as half-made."""
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(found), indent=1), "utf-8")
    draft.replace(record)


def _check(sandbox: Sandbox, want: Wanted, result: ExecResult) -> None:
    if result.exit_code:
        raise _failed(sandbox, want, result)


def _failed(sandbox: Sandbox, want: Wanted, result: ExecResult) -> UserError:
    """Which package, why as far as the words of the installer tell, and its last lines."""
    text = result.text().strip()
    tail = "\n".join(f"  {line}" for line in text.splitlines()[-6:])
    name = " ".join(want.specs)
    if result.exit_code == 127:
        need = "npm (Node.js)" if want.registry == "npm" else "uv, or Python with its venv module,"
        return UserError(f"{name} cannot be installed: {need} is not in the sandbox\n{tail}", hint=_where(sandbox))
    if result.timed_out:
        return UserError(f"{name} cannot be installed: not done after {_INSTALL_S:.0f} s\n{tail}")
    if _OFFLINE.search(text):
        return UserError(
            f"{name} cannot be installed: the registry cannot be reached\n{tail}",
            hint="Check the network; a registry of your own is named in [sandbox] env (NPM_CONFIG_REGISTRY, "
            "UV_INDEX_URL, PIP_INDEX_URL), and in setupMirrors where its address is private.",
        )
    if _UNKNOWN.search(text):
        return UserError(
            f"{name}: no such package or version\n{tail}", hint="Check the spelling of the skill's package."
        )
    if "ensurepip is not" in text:
        return UserError(f"{name} cannot be installed: Python has no venv module\n{tail}", hint=_where(sandbox))
    return UserError(f"{name} cannot be installed: the installer exited with {result.exit_code}\n{tail}")


def _where(sandbox: Sandbox) -> str:
    if sandbox.name == "docker":
        return "Install it in [sandbox] setup, or name an image that has it: [sandbox] image or build in perstack.toml."
    return "Install it on this machine; the sandbox shows this machine's own programs."
