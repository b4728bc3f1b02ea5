"""Auditing evidence from outside: what holds offline, and what a second run of the signals says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from perstack.core.errors import PerstackError
from perstack.core.verdict import ReasonCode, Report
from perstack.signals.audit import Audit, audit
from perstack.signals.evidence import EvidenceInvalid


class EvidenceRefused(PerstackError):
    """Evidence that does not hold. The message says which file and why."""


def audited(path: Path) -> Audit:
    """Check an `evidence.json`, or the one in a folder, offline.

    Raises: EvidenceRefused.
    """
    try:
        return audit(path / "evidence.json" if path.is_dir() else path)
    except EvidenceInvalid as error:
        raise EvidenceRefused(str(error), hint="Ask for the evidence again, or run the signals: --rerun.") from error


def differences(recorded: Audit, again: Report) -> tuple[str, ...]:
    """What a second run says otherwise: the verdict first, then reasons that came or went. Empty where nothing.

    Of signals that were not run the first time, the second run may say anything.
    """
    found: list[str] = []
    if recorded.verdict is not again.verdict:
        found.append(f"verdict: recorded {recorded.verdict.value}, now {again.verdict.value}")
    unknown = {reason.signal for reason in recorded.reasons if reason.code is ReasonCode.NOT_RUN}
    old, new = (
        Counter((reason.code.value, reason.signal) for reason in reasons if reason.signal not in unknown)
        for reasons in (recorded.reasons, again.reasons)
    )
    found += [f"reason gone: {_named(*key)}" for key in sorted((old - new).elements())]
    found += [f"reason new: {_named(*key)}" for key in sorted((new - old).elements())]
    return tuple(found)


def _named(code: str, signal: str) -> str:
    return f"{code} ({signal})" if signal else code
