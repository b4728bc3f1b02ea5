"""The harness's own secrets, kept out of what is measured, judged and handed over. Knows none itself.

Threat: a key that somebody wrote into a file, or that a test prints, in reports and in evidence that strangers read.
The texts of a run are cleared where the run ends, so that reasons, reports and evidence, which are made from them,
agree. Names of tests stay: they are identities.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from perstack.core.signals import Diagnostic, SignalRun, TestCase
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.infrastructure.secrets import Redactor
from perstack.signals.evidence import Evidence
from perstack.signals.policy_patch import PatchUnreadable, parse_patch


def cleared(run: SignalRun, secrets: Redactor) -> SignalRun:
    """The run, with known secrets taken out of what it said."""
    if not secrets.knows or not secrets.spans("\n".join(_said(run))):
        return run

    def case(one: TestCase) -> TestCase:
        return replace(one, message=secrets.without_known(one.message)) if one.message else one

    def diagnostic(one: Diagnostic) -> Diagnostic:
        return replace(one, message=secrets.without_known(one.message))

    return replace(
        run,
        output=secrets.without_known(run.output),
        problem=secrets.without_known(run.problem),
        tests={name: case(one) for name, one in run.tests.items()},
        diagnostics=tuple(map(diagnostic, run.diagnostics)),
    )


def secrets_added(difference: str, secrets: Redactor) -> Iterator[PolicyFinding]:
    """Lines that a candidate adds and that hold a secret of the harness, or much of one.

    A file that had it before tells nobody anything new.
    """
    try:
        changes = parse_patch(difference) if secrets.knows else ()
    except PatchUnreadable:
        return  # the policy says so
    for change in changes:
        added = change.added_lines()
        if secrets.known_lines("\n".join(change.removed_lines())):
            continue
        for at in secrets.known_lines("\n".join(line for _, line in added)):
            yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, change.path, "a secret of this machine", added[at - 1][0])


def without_secrets(evidence: Evidence, secrets: Redactor) -> Evidence:
    """Evidence that may be handed over: a patch that holds a secret is withheld, its text is there without it."""
    refused = any(finding.code is ReasonCode.SECRET_IN_PATCH for finding in evidence.report.policy)
    if refused:
        return replace(evidence, patch=secrets.redact(evidence.patch), withheld=True)
    if secrets.spans(evidence.patch):
        return replace(evidence, patch=secrets.without_known(evidence.patch), withheld=True)
    return evidence


def _said(run: SignalRun) -> Iterator[str]:
    yield from (run.output, run.problem)
    yield from (case.message for case in run.tests.values() if case.message)
    yield from (diagnostic.message for diagnostic in run.diagnostics)
