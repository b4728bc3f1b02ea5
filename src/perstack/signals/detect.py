"""Signals found in a repository's own files, for projects that configured none.

Pure: file names and a reader in, signal specs and sentences out. Nothing is run; whether a signal can be red is shown
by the first verification.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import SignalSpec

Read = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Detection:
    """Signals, a sandbox to run them in, and one sentence for each decision."""

    signals: tuple[SignalSpec, ...] = ()
    sandbox: SandboxSpec = field(default_factory=SandboxSpec)
    explanations: tuple[str, ...] = ()
