"""What this machine says of set-up: its mirrors, and how long snapshots are kept. And taking them away again."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import anyio.to_thread

from perstack.api.host import Host
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure import package_store
from perstack.infrastructure.sandbox.snapshot_store import Keeping, Kept, SnapshotStore

SNAPSHOTS, PACKAGES = "snapshots", "packages"  # below the cache
MAX_AGE, MAX_SIZE = "PERSTACK_SNAPSHOT_MAX_AGE", "PERSTACK_SNAPSHOT_MAX_SIZE"
_MIRRORS = "PERSTACK_SETUP_MIRRORS"
_DOCKER = "perstack.infrastructure.sandbox.docker"
_LEFTOVERS = "perstack.infrastructure.sandbox.docker_leftovers"
_ENGINES = "perstack.infrastructure.sandbox.engines"
_UNITS = {
    "age": {"s": 1, "m": 60, "h": 3600, "d": 86_400},
    "size": {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40},
}


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be, and what stays."""

    removed: tuple[Kept, ...]
    stays: tuple[Kept, ...]


def keeping(env: Mapping[str, str], *, max_age: str = "", max_size: str = "") -> Keeping:
    """What is kept on this machine: the given words, else its environment's, else the default.

    Raises: UserError for what is no age or no size.
    """
    usual = Keeping()
    age, size = max_age or env.get(MAX_AGE, ""), max_size or env.get(MAX_SIZE, "")
    return Keeping(
        _amount(age, "age", "30d, 12h or 0d") if age else usual.max_age_s,
        int(_amount(size, "size", "20g, 500m or 0b")) if size else usual.max_bytes,
    )


def with_mirrors(spec: SandboxSpec, env: Mapping[str, str]) -> SandboxSpec:
    """A specification with the mirrors of this machine beside its own."""
    own = tuple(word for word in env.get(_MIRRORS, "").replace(",", " ").split() if word)
    return replace(spec, network=replace(spec.network, mirrors=(*spec.network.mirrors, *own))) if own else spec


async def prune(host: Host, wanted: Keeping, *, dry_run: bool = False) -> Pruned:
    """Remove snapshots and packages of skills that are too old or too much, and images that were built and are too old.

    What a job uses stays.
    """
    store, packages = SnapshotStore(host.cache / SNAPSHOTS), host.cache / PACKAGES

    def work() -> Pruned:
        before = (*store.kept(), *package_store.kept(packages))
        engine, answers = "", False
        with contextlib.suppress(SandboxUnavailable):
            engine, answers = importlib.import_module(_ENGINES).choose("auto", host.env).address, True
        drop = partial(importlib.import_module(_DOCKER).drop_image, engine=engine)
        removed = store.prune(wanted, drop, dry_run=dry_run)
        removed += package_store.prune(packages, wanted, dry_run=dry_run)
        names = {one.name for one in removed}
        if answers:
            # An engine that stops in the middle is told: snapshots are gone by then, builds stay for the next time.
            removed += importlib.import_module(_LEFTOVERS).remove_leftovers(wanted, engine, dry_run=dry_run)
        return Pruned(removed, tuple(one for one in before if one.name not in names))

    return await anyio.to_thread.run_sync(work)


def _amount(text: str, kind: str, examples: str) -> float:
    number, unit = text.strip().lower()[:-1], text.strip().lower()[-1:]
    try:
        amount = float(number) * _UNITS[kind][unit]
    except (ValueError, KeyError):
        amount = -1.0
    if not 0 <= amount < float("inf"):
        raise UserError(f"{text!r} is no {kind} of snapshots", hint=f"Write a number and a unit: {examples}.")
    return amount
