"""Doctor's look at a repository: its configuration, and the signals a job would run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from perstack import api
from perstack.core.errors import ExitCode, PerstackError, UserError
from perstack.core.experts import Config
from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import SignalSpec
from perstack.interface.doctor.finding import Finding, State, failed, well
from perstack.interface.options import read_config


@dataclass(frozen=True, slots=True)
class Project:
    """What is known of a repository. `suggestion` is the sandbox that fits its files."""

    config: Config
    findings: tuple[Finding, ...]
    signals: tuple[SignalSpec, ...] = ()
    suggestion: SandboxSpec = field(default_factory=SandboxSpec)

    @property
    def programs(self) -> tuple[str, ...]:
        """What the signals start."""
        return tuple(dict.fromkeys(spec.run[0] for spec in self.signals if spec.run and "/" not in spec.run[0]))


async def of_checkout(repo: Path, given: Path | str | None, scratch: Path) -> Project:
    """A checkout of this machine, with its own configuration or the one that was given."""
    source = given or (repo / api.CONFIG_NAME if (repo / api.CONFIG_NAME).is_file() else None)
    try:
        config = read_config(source)
    except PerstackError as error:
        return Project(read_config(None), (failed("configuration", error),))
    told = [configured(config, str(source or ""))]
    try:
        checkout = await api.Checkout.open(repo, scratch)
        detection = await api.detect_signals(checkout.repository, await checkout.repository.resolve("HEAD"))
    except UserError as error:
        hint = error.hint or "Run doctor in the repository that is to be verified, or name it with --repo."
        return Project(config, (*told, Finding("signals", State.WARNING, error.message, hint)))
    signals = config.signals or detection.signals
    told.append(_signals(signals, detected=not config.signals, why=detection.explanations))
    return Project(config, tuple(told), signals, detection.sandbox)


def of_commit(config: Config) -> Project:
    """A repository of which only the configuration is at hand."""
    told = (configured(config, config.path),)
    signals = (_signals(config.signals, detected=False),) if config.signals else ()
    return Project(config, (*told, *signals), config.signals)


def configured(config: Config, source: str) -> Finding:
    """That a configuration is valid, with what it warns of."""
    if not source:
        return well("configuration", "none, and none is needed: signals are detected")
    if config.warnings:
        return Finding("configuration", State.WARNING, f"{source} is valid, but: {'; '.join(config.warnings)}")
    return well("configuration", f"{source} is valid")


def _signals(signals: tuple[SignalSpec, ...], *, detected: bool, why: tuple[str, ...] = ()) -> Finding:
    if not signals:
        return Finding("signals", State.PROBLEM, "none is configured, and none was recognised", "\n".join(why),
                       ExitCode.USAGE)  # fmt: skip
    names = ", ".join(f"{spec.name} ({' '.join(spec.run)})" for spec in signals)
    return well("signals", f"{'detected' if detected else 'configured'}: {names}")
