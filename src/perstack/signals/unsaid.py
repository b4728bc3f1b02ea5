"""The harness's own secrets, kept out of what is measured, judged and handed over. Knows none itself.

Threat: a key that somebody wrote into a file, or that a test prints, in reports and in evidence that strangers read.
The texts of a run are cleared where the run ends, so that reasons, reports and evidence, which are made from them,
agree. Names of tests stay: they are identities.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from perstack.core.signals import Diagnostic, SignalRun, TestCase
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.infrastructure.secrets import Redactor
from perstack.infrastructure.secrets_shapes import find_shapes
from perstack.signals.evidence import Evidence
from perstack.signals.policy_patch import PatchUnreadable, parse_patch

_OURS = "a secret of this machine"
_BINARY = re.compile(r"(?<=^GIT binary patch\n).*?(?=^diff --git |\Z)", re.MULTILINE | re.DOTALL)


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
    """Lines and names that a candidate adds and that hold a secret of the harness, or much of one.

    What it only moves, somebody could read before: that tells nobody anything new.
    """
    try:
        changes = parse_patch(difference) if secrets.knows else ()
    except PatchUnreadable:
        return  # the policy says so
    gone = ("\n".join(change.removed_lines()) for change in changes)
    moved = {piece for text in gone for _, piece in secrets.known_pieces(text)}
    for change in changes:
        old = {piece for _, piece in secrets.known_pieces(change.old_path)}
        if any(piece not in old for _, piece in secrets.known_pieces(change.new_path)):
            yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, change.path, f"{_OURS}, in the name of the file")
        added = change.added_lines()
        pieces = secrets.known_pieces("\n".join(line for _, line in added))
        for at in sorted({at for at, piece in pieces if piece not in moved}):
            yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, change.path, _OURS, added[at - 1][0])


def secrets_in_binary(path: str, before: bytes, after: bytes, secrets: Redactor) -> Iterator[PolicyFinding]:
    """What a file that is no text says now, and did not before. Nothing is unpacked."""
    old, new = before.decode("latin-1"), after.decode("latin-1")
    known = {piece for _, piece in secrets.known_pieces(old)}
    if any(piece not in known for _, piece in secrets.known_pieces(new)):
        yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, path, f"{_OURS}, in a file that is no text")
    shapes = {found for _, _, found in find_shapes(old)}
    for kind in sorted({kind for _, kind, found in find_shapes(new) if found not in shapes}):
        yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, path, f"{kind}, in a file that is no text")


def without_secrets(evidence: Evidence, secrets: Redactor) -> Evidence:
    """Evidence that may be handed over: a patch that holds a secret is withheld, its text is there without it."""
    refused = any(finding.code is ReasonCode.SECRET_IN_PATCH for finding in evidence.report.policy)
    if refused:
        text = _BINARY.sub("[redacted]\n", evidence.patch)  # it is packed: nobody could take one secret out
        return replace(evidence, patch=secrets.redact(text), withheld=True)
    if secrets.spans(evidence.patch):
        return replace(evidence, patch=secrets.without_known(evidence.patch), withheld=True)
    return evidence


def _said(run: SignalRun) -> Iterator[str]:
    yield from (run.output, run.problem)
    yield from (case.message for case in run.tests.values() if case.message)
    yield from (diagnostic.message for diagnostic in run.diagnostics)
