"""What the sandbox of a job guarantees, for its record: measured once an hour and engine, told once a job."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path

from anyio import to_thread

from perstack.api.choice import guaranteed
from perstack.api.host import Host
from perstack.core.capabilities import Capabilities, Fact, Guarantee, Known
from perstack.core.contracts import Sandbox
from perstack.core.sandbox import SandboxSpec, Snapshot

FOLDER = "guarantees"  # below the cache
_FRESH_S = 3600.0
# Without one of these, another back end is looked at.
ESSENTIAL = (
    Guarantee.NETWORK, Guarantee.NON_ROOT, Guarantee.PROCESS_IDS, Guarantee.IPC, Guarantee.NO_CAPABILITIES,
    Guarantee.READ_ONLY_ROOT, Guarantee.MEMORY, Guarantee.PROCESSES, Guarantee.FILE_SIZE,
)  # fmt: skip


async def known(host: Host, sandbox: Sandbox, made: Snapshot, spec: SandboxSpec) -> Capabilities:
    """What `sandbox` guarantees. What the configuration demands is measured for this very job; the rest may be kept.

    Raises: SandboxUnavailable where something that is demanded is missing.
    """
    place = host.cache / FOLDER / f"{_key(host, sandbox, made, spec)}.json"
    if not spec.require and (kept := await to_thread.run_sync(_read, place)):
        return kept
    found = await guaranteed(sandbox, made, spec.require)
    await to_thread.run_sync(_write, place, found)
    return found


def lacks(found: Capabilities) -> int:
    """How many of the essential guarantees do not hold."""
    return sum(not found.holds(each) for each in ESSENTIAL)


def _key(host: Host, sandbox: Sandbox, made: Snapshot, spec: SandboxSpec) -> str:
    """The same until the machine starts anew, for the same user, engine, runtime and limits."""
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii") + Path("/proc/self/cgroup").read_text("utf-8")
    engine = [host.env.get(name, "") for name in ("DOCKER_HOST", "XDG_RUNTIME_DIR")] if sandbox.name == "docker" else []
    parts = [boot, str(os.getuid()), sandbox.name, *engine, spec.engine, spec.runtime, repr(made.limits)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _read(place: Path) -> Capabilities | None:
    try:
        if time.time() - place.stat().st_mtime > _FRESH_S:
            return None
        told = json.loads(place.read_text("utf-8"))
        facts = {
            Guarantee(name): Fact(bool(fact["holds"]), Known(fact["known"]), str(fact["detail"]))
            for name, fact in told["guarantees"].items()
        }
        return Capabilities(str(told["backEnd"]), str(told["engine"]), facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write(place: Path, found: Capabilities) -> None:
    with contextlib.suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(found.document()), "utf-8")
        draft.replace(place)
