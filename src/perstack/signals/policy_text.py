"""Rules over added lines, whatever the language: suppressions, secrets, configured reject rules, size.

Pure.
"""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.infrastructure.secrets_shapes import find_shapes
from perstack.signals.policy_patch import FileChange

_SUPPRESSIONS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a linter is silenced", re.compile(
        r"#\s*(?:ruff:|flake8:)?\s*noqa|#\s*ruff:\s*(?:file-)?(?:disable|ignore)|#\s*pylint:\s*(?:disable|skip-file)|#\s*nosec\b|#\s*isort:\s*skip|#\s*fmt:\s*(?:off|skip)"
        r"|eslint-disable|biome-ignore|tslint:disable|//\s*nolint|//\s*lint:(?:file-)?ignore|#!?\[allow\(|#!?\[expect\("
        r"|@SuppressWarnings|@SuppressFBWarnings|NOPMD|CHECKSTYLE:OFF|NOLINT|clang-format off|pragma[ \t(\"]+(?:GCC|clang)[ \t]+(?:diagnostic[ \t]+(?:ignored|warning)|system_header)"
        r"|#[ \t]*pragma warning\s*\(\s*disable|^\s*#\s*\d+\s+\"[^\"]*\"[\d ]*\b3\b|^\s*#line\s+\d|#!?\[cfg_attr\(.*[\s,](?:allow|expect)\("
        r"|^\s*//\s*(?:go:build|\+build)\s+ignore\b|/\*\s*eslint\s+\S+\s*:\s*[\"']?(?:off|0)\b|/\*\s*globals?\s+[\w$]+(?:\s*[:,]\s*[\w$]+)*\s*\*/|rubocop:disable|@phpstan-ignore", re.IGNORECASE)),
    ("a type checker is silenced", re.compile(
        r"#\s*type:\s*ignore|#\s*pyright:\s*(?:ignore|basic|off|\w+\s*=\s*(?:false|none))|#\s*mypy:|#\s*pyre-(?:ignore|fixme)|@ts-(?:ignore|nocheck"
        r"|expect-error)|\bno_type_check\b|\bif\s+not\s+(?:\w+\.)?TYPE_CHECKING\b|\bas any\b|declare module\s+[\"']\*[\"']", re.IGNORECASE)),
    # a comment of the form that most tools have agreed on, and words that nothing else has
    ("a checker is silenced", re.compile(
        r"(?:#|//|/\*+|--|<!--|;)\s*[@$]?(?!(?:todo|note|hint|fixme|xxx|tip|nb|warning|important|example|see|re)\b)[\w.+]+(?:-[\w.+]+)*\s*(?::\s*|-)(?:file-|next-|line-)?(?:disable|ignore|suppress|skip|off|allow|noqa)\b"
        r"|(?:#|//|/\*+|--|<!--)\s*(?:shellcheck|hadolint|yamllint|jshint|cspell|markdownlint|tflint|pycodestyle|no)\s*(?:disable|ignore|inspection)\b"
        r"|\bNOSONAR\b|\bnosemgrep\b|\$Flow(?:FixMe|Ignore|Issue|ExpectedError)|\bcoverity\s*\[|@(?:file:)?Suppress(?:Lint)?\s*\(|\bSuppressMessage\s*\("
        r"|\brustfmt::skip\b|\bno_sanitize\b|\bas unknown as\b|no-default-lib|<any>|#\s*pragma\s+warning\s+disable"
        r"|^\W*(?:@generated\b|Code generated .*DO NOT EDIT|<auto-?generated)", re.IGNORECASE)),
    ("coverage is silenced", re.compile(
        r"#\s*pragma:\s*no\s*(?:cover|branch)|istanbul ignore|c8 ignore|v8 ignore|LCOV_EXCL|@codeCoverageIgnore"
        r"|#\[(?:no_coverage|coverage\(off)|node:coverage\s+(?:disable|ignore)|ExcludeFromCodeCoverage", re.IGNORECASE)),
)  # fmt: skip
_LINTERS = re.compile(
    r"\b(?:ruff|flake8|pylint|mypy|pyright|basedpyright|bandit|eslint|biome|tsc|golangci-lint|staticcheck|vet|clippy|checkstyle"
    r"|spotbugs|pmd|clang-tidy|rubocop|phpstan|lint|typecheck|coverage|--cov)\b"
)
_LONG_LINE = 5000
_FREE_OF_CODE = (".md", ".rst", ".txt")


def check_text(
    changes: Sequence[FileChange], verify: VerifySpec, specs: Sequence[SignalSpec]
) -> Iterator[PolicyFinding]:
    """Judge added lines and the size of the whole patch."""
    yield from _size(changes, verify)
    strict = any(_checks_style(spec) for spec in specs)
    # What a change only moves was there before: its being there is no news of this change.
    moved = {found for change in changes for _, _, found in find_shapes("\n".join(change.removed_lines()))}
    for change in changes:
        added = change.added_lines()
        yield from _secrets(change.path, added, moved)
        yield from _secrets_in_name(change)
        yield from _rejected(change.path, added, verify.reject)
        if not change.path.lower().endswith(_FREE_OF_CODE):
            yield from _suppressions(change, added, strict)
        for number, line in added:
            if len(line) > _LONG_LINE:
                detail = f"a line of {len(line)} characters cannot be reviewed"
                yield PolicyFinding(ReasonCode.PATCH_TOO_LARGE, change.path, detail, number)


def _checks_style(spec: SignalSpec) -> bool:
    return spec.kind is SignalKind.COMPILER or _LINTERS.search(" ".join(spec.run)) is not None


def _size(changes: Sequence[FileChange], verify: VerifySpec) -> Iterator[PolicyFinding]:
    lines = sum(change.changed for change in changes)
    if 0 < verify.max_files < len(changes):
        detail = f"{len(changes)} files change; [verify] max_files is {verify.max_files}"
        yield PolicyFinding(ReasonCode.PATCH_TOO_LARGE, "", detail)
    if 0 < verify.max_lines < lines:
        detail = f"{lines} lines change; [verify] max_lines is {verify.max_lines}"
        yield PolicyFinding(ReasonCode.PATCH_TOO_LARGE, "", detail)


def _secrets(path: str, added: Sequence[tuple[int, str]], moved: Container[str]) -> Iterator[PolicyFinding]:
    for at, what, found in find_shapes("\n".join(line for _, line in added)):
        if found in moved:
            continue
        number = added[at - 1][0] if 0 < at <= len(added) else 0
        yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, path, what, number)


def _secrets_in_name(change: FileChange) -> Iterator[PolicyFinding]:
    before = {found for _, _, found in find_shapes(change.old_path)}
    for _, what, found in find_shapes(change.new_path):
        if found not in before:
            yield PolicyFinding(ReasonCode.SECRET_IN_PATCH, change.path, f"{what}, in the name of the file")


def _rejected(path: str, added: Iterable[tuple[int, str]], rules: Iterable[str]) -> Iterator[PolicyFinding]:
    lines = list(added)
    for rule in rules:
        try:
            pattern = re.compile(rule)
        except re.error as error:
            detail = f"[verify] reject: {rule!r} is not a regular expression: {error}"
            yield PolicyFinding(ReasonCode.REJECT_RULE, path, detail)
            continue
        for number, line in lines:
            if pattern.search(line):
                yield PolicyFinding(ReasonCode.REJECT_RULE, path, f"matches the reject rule {rule!r}", number)


def _suppressions(change: FileChange, added: Sequence[tuple[int, str]], strict: bool) -> Iterator[PolicyFinding]:
    """Net new ones only: a moved or reworded suppression is not new."""
    removed = "\n".join(change.removed_lines())
    for what, pattern in _SUPPRESSIONS:
        budget = Counter({what: len(pattern.findall(removed))})
        for number, line in added:
            for match in pattern.findall(line):
                budget[what] -= 1
                if budget[what] < 0:
                    detail = f"{what}: {match.strip()}"
                    yield PolicyFinding(ReasonCode.SUPPRESSION_ADDED, change.path, detail, number, blocks=strict)
