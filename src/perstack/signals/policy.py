"""The diff policy: what a candidate may not contain, read from its text alone.

Pure. It runs before anything is executed, judges the whole difference against the base, and never applies a patch to
a disk. A finding that blocks fails the candidate (`test-change-needed` asks for a human instead); the others are
shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.signals.policy_characters import hidden_characters
from perstack.signals.policy_in_file import in_file_edit
from perstack.signals.policy_metadata import only_metadata
from perstack.signals.policy_patch import FileChange, PatchUnreadable, apply_hunks, parse_patch
from perstack.signals.policy_paths import check_paths
from perstack.signals.policy_tests import TestEdit, classify
from perstack.signals.policy_text import check_text
from perstack.signals.protected import Protection
from perstack.signals.shadow import check_shadowing
from perstack.signals.suspicious import Changed, Project, find_suspicious

_NOTHING = "the patch changes nothing"


@dataclass(slots=True)
class _Judged:
    """The inputs of one judgement, and texts read so far."""

    base_files: Mapping[str, str]
    protection: Protection
    verify: VerifySpec
    read_base: Callable[[str], bytes | None]
    specs: Sequence[SignalSpec]
    texts: dict[str, str] = field(default_factory=dict)

    def base_text(self, path: str) -> str:
        if path not in self.texts:
            raw = self.read_base(path) if path in self.base_files else b""
            self.texts[path] = (raw or b"").decode("utf-8", "surrogateescape")
        return self.texts[path]


def check_policy(
    patch_text: str,
    *,
    base_files: Mapping[str, str],
    protection: Protection,
    verify: VerifySpec,
    read_base: Callable[[str], bytes | None],
    specs: Sequence[SignalSpec] = (),
) -> tuple[PolicyFinding, ...]:
    """Judge a patch as `git diff` writes it, with or without renames; bytes that are no UTF-8 as surrogate escapes.

    `base_files` maps each path of the base tree to its git mode (`100644`, `100755`, `120000`, `160000`).
    `read_base` must know every file of the base, not only those the patch touches: what is news depends on what the
    project does already and on its tests. Pass the difference that git computed from the applied trees, not the text
    that came in, so that both are about the same change.
    """
    try:
        changes = parse_patch(patch_text)
    except PatchUnreadable as error:
        return (PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, "", str(error), error.line),)
    if not changes:
        return (PolicyFinding(ReasonCode.EMPTY_PATCH, "", _NOTHING),)
    judged = _Judged(base_files, protection, verify, read_base, specs)
    findings = list(check_paths(changes, base_files, protection))
    if any(finding.code in {ReasonCode.PATH_ESCAPE, ReasonCode.SPECIAL_FILE} for finding in findings):
        return _unique(findings)
    findings += check_shadowing(changes, base_files, read_base)
    findings += check_text(changes, verify, specs)
    product: list[Changed] = []
    for change in changes:
        after = _after(judged, change)
        if after is None:
            detail = "its hunks do not fit the base"
            findings.append(PolicyFinding(ReasonCode.PATCH_DOES_NOT_APPLY, change.path, detail))
            continue
        findings += _protected(judged, change, after)
        base = judged.base_text(change.old_path)
        if not change.binary:
            findings += _hidden(change, base)
        if change.kind != "deleted" and not change.binary and not protection.is_test_file(change.path):
            product.append(Changed(change.path, base, after, frozenset(n for n, _ in change.added_lines())))
    findings += find_suspicious(product, _project(judged), certain_blocks=verify.suspicious == "fail")
    return _unique(findings)


def _unique(findings: Sequence[PolicyFinding]) -> tuple[PolicyFinding, ...]:
    return tuple(dict.fromkeys(findings))


def _after(judged: _Judged, change: FileChange) -> str | None:
    if change.binary or change.kind == "deleted":
        return ""
    base = "" if change.kind == "added" else judged.base_text(change.old_path)
    return apply_hunks(base, change.hunks)


def _project(judged: _Judged) -> Project:
    return Project(tuple(judged.base_files), judged.base_text, judged.protection.is_test_file)


def _hidden(change: FileChange, base: str) -> Iterator[PolicyFinding]:
    for number, sentence, certain in hidden_characters(change.path, change.added_lines(), base):
        yield PolicyFinding(ReasonCode.HIDDEN_CHARACTERS, change.path, sentence, number, blocks=certain)


def _protected(judged: _Judged, change: FileChange, after: str) -> Iterator[PolicyFinding]:
    """Judge each side of the change; a rename touches two paths."""
    for path in dict.fromkeys(p for p in (change.old_path, change.new_path) if p):
        why = judged.protection.why(path)
        if not why:
            continue
        if judged.protection.is_configured(path):
            finding = _configuration(judged, change, path, after)
        else:
            finding = _existing_test(judged, change, path, after)
        if finding is not None:
            yield finding
    if change.kind == "modified" and not change.binary and not judged.protection.is_test_file(change.path):
        yield from _in_file_tests(judged, change, after)


def _configuration(judged: _Judged, change: FileChange, path: str, after: str) -> PolicyFinding | None:
    base = judged.base_text(path)
    edited = change.kind == "modified" and not change.binary
    if edited and not judged.protection.is_structural(path) and only_metadata(path, base, after):
        return None
    is_conftest = PurePosixPath(path).name == "conftest.py"
    if edited and is_conftest and classify(path, base, after, change.hunks) is TestEdit.ADDITION:
        detail = "fixtures were added to a file that every test uses"
        return PolicyFinding(ReasonCode.TEST_CHANGE_NEEDED, path, detail)
    verb = {"added": "added", "deleted": "deleted", "renamed": "renamed"}.get(change.kind, "changed")
    detail = f"may not be {verb}: {judged.protection.why(path)}{_how_to_allow(judged, path)}"
    return PolicyFinding(ReasonCode.PROTECTED_PATH, path, detail)


def _how_to_allow(judged: _Judged, path: str) -> str:
    """The line that lets people's changes of this file pass; empty where no configuration can."""
    protection = judged.protection
    if protection.is_structural(path) or protection.protect.match_file(path):
        return ""
    listed = json.dumps([*judged.verify.allow, path], ensure_ascii=False)
    return f"; where such changes are wanted, perstack.toml of the base has to say: [verify] allow = {listed}"


def _existing_test(judged: _Judged, change: FileChange, path: str, after: str) -> PolicyFinding | None:
    if change.kind == "copied" and path == change.old_path:
        return None
    if change.kind != "modified" or change.binary:
        detail = f"an existing test file may not be {change.kind}"
        return PolicyFinding(ReasonCode.PROTECTED_PATH, path, detail)
    edit = classify(path, judged.base_text(path), after, change.hunks)
    if edit is TestEdit.REMOVAL:
        return PolicyFinding(ReasonCode.PROTECTED_PATH, path, edit.value)
    asks = edit is TestEdit.EXPECTATIONS
    return PolicyFinding(ReasonCode.TEST_CHANGE_NEEDED, path, edit.value, blocks=asks)


def _in_file_tests(judged: _Judged, change: FileChange, after: str) -> Iterator[PolicyFinding]:
    edit = in_file_edit(change.path, judged.base_text(change.path), after, doctests=_runs_doctests(judged))
    if edit is TestEdit.REMOVAL:
        yield PolicyFinding(ReasonCode.PROTECTED_PATH, change.path, f"in this file {edit.value}")
    elif edit is TestEdit.EXPECTATIONS:
        yield PolicyFinding(ReasonCode.TEST_CHANGE_NEEDED, change.path, f"in this file {edit.value}")


def _runs_doctests(judged: _Judged) -> bool:
    if any("doctest" in " ".join(spec.run) for spec in judged.specs):
        return True
    names = ("pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", ".pytest.ini")
    return any("doctest-modules" in judged.base_text(name) for name in names if name in judged.base_files)
