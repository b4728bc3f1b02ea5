"""What a sandbox guarantees, and how that is known. Data and its words; measuring is done elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from perstack.core.json import JsonObject


class Guarantee(StrEnum):
    """What a configuration may demand under `[sandbox] require`."""

    NETWORK = "network"
    NON_ROOT = "non-root"
    PROCESS_IDS = "process-ids"
    IPC = "ipc"
    USER_NAMESPACE = "user-namespace"
    NO_NEW_PRIVILEGES = "no-new-privileges"
    NO_CAPABILITIES = "no-capabilities"
    SECCOMP = "seccomp"
    READ_ONLY_ROOT = "read-only-root"
    MEMORY = "memory"
    PROCESSES = "processes"
    CPU = "cpu"
    FILE_SIZE = "file-size"
    DISK = "disk"
    EGRESS_PROXY = "egress-proxy"
    SNAPSHOTS = "snapshots"
    IMAGES = "images"
    SERVICES = "services"


class Known(StrEnum):
    """How a fact is known: seen from inside a sandbox that was started for it, or by how the back end is built."""

    MEASURED = "measured"
    DESIGN = "by design"


@dataclass(frozen=True, slots=True)
class Fact:
    """Whether one guarantee holds. `detail` is what was seen, or why it does not hold."""

    holds: bool
    known: Known
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The guarantees of one back end on this machine. `engine` says more of it, such as `Podman 4.3.1, rootless`."""

    back_end: str
    engine: str
    facts: Mapping[Guarantee, Fact]

    def holds(self, guarantee: Guarantee) -> bool:
        """Whether it is known to hold; what nobody looked at does not."""
        fact = self.facts.get(guarantee)
        return fact is not None and fact.holds

    def missing(self, wanted: Iterable[str]) -> tuple[str, ...]:
        """Sentences for what of `wanted` does not hold, in its order."""
        told = []
        for name in wanted:
            guarantee = Guarantee(name)
            if not self.holds(guarantee):
                fact = self.facts.get(guarantee)
                told.append(f"{name} ({fact.detail if fact and fact.detail else 'not there'})")
        return tuple(told)

    def lacking(self) -> tuple[str, ...]:
        """Names of all that does not hold."""
        return tuple(each.value for each in Guarantee if not self.holds(each))

    def document(self) -> JsonObject:
        """For programs: each guarantee, whether it holds, how that is known, and what was seen."""
        return {
            "backEnd": self.back_end,
            "engine": self.engine,
            "guarantees": {
                each.value: {"holds": fact.holds, "known": fact.known.value, "detail": fact.detail}
                for each, fact in self.facts.items()
            },
        }
