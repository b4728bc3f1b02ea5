"""The diff policy: what a candidate may not contain, read from its text alone.

Pure. It runs before anything is executed, judges the whole difference against the base, and never applies a patch to
a disk. A finding that blocks fails the candidate (`test-change-needed` asks for a human instead); the others are
shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.signals.policy_patch import PatchUnreadable, parse_patch
from perstack.signals.protected import Protection


def check_policy(
    patch_text: str,
    *,
    base_files: Mapping[str, str],
    protection: Protection,
    verify: VerifySpec,
    read_base: Callable[[str], bytes | None],
    specs: Sequence[SignalSpec] = (),
) -> tuple[PolicyFinding, ...]:
    """Judge a patch as `git diff` writes it (`--binary --no-renames` or with renames; `a/` and `b/` prefixes).

    `base_files` maps each path of the base tree to its git mode (`100644`, `100755`, `120000`, `160000`).
    """
    try:
        changes = parse_patch(patch_text)
    except PatchUnreadable as error:
        return (PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, "", str(error), error.line),)
    if not changes:
        return (PolicyFinding(ReasonCode.EMPTY_PATCH, "", "the patch changes nothing"),)
    return tuple(
        PolicyFinding(ReasonCode.PROTECTED_PATH, change.path, protection.why(change.path))
        for change in changes
        if protection.is_protected(change.path)
    )
