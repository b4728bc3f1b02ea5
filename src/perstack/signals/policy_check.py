"""The diff policy on a candidate's tree: which texts it gets to read. The policy itself is pure: see `policy.py`.

The difference is the one that git computes from the applied trees, not the text that came in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

import anyio.to_thread

from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.infrastructure.git import Repository
from perstack.infrastructure.secrets import Redactor
from perstack.signals.ground import Ground
from perstack.signals.policy import check_policy
from perstack.signals.preparation import VerifyRequest
from perstack.signals.protected import Protection
from perstack.signals.sections import cut
from perstack.signals.unsaid import secrets_added, secrets_in_binary

# What no text in any single-byte encoding has: control characters beside tab, line feed, form feed and return.
_BINARY = "\nGIT binary patch\n"
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")


async def judge_difference(
    request: VerifyRequest,
    ground: Ground,
    protection: Protection,
    tree: str,
    difference: str,
    *,
    secrets: Redactor,
) -> tuple[PolicyFinding, ...]:
    """Judge what `tree` changes. `difference` is git's own text of it, against the base.

    `secrets` are the harness's.
    """
    modes = {entry.path: entry.mode for entry in ground.entries}
    text = await _with_odd_texts(request.repository, request.base, tree, difference)
    binaries = [await _both_sides(request, tree, path) for path in _binary_files(text)]
    folded = await request.repository.folded_away(ground.entries, sorted({section.path for section in cut(difference)}))

    def read(path: str) -> bytes | None:
        return ground.tree.read(path) if modes.get(path, "").startswith("100") else None

    def judge() -> tuple[PolicyFinding, ...]:
        found = check_policy(
            text,
            base_files=modes,
            protection=protection,
            verify=request.verify,
            read_base=read,
            specs=request.specs,
        )
        found = (*found, *secrets_added(text, secrets), *_folded_away(folded))
        for path, before, after in binaries:
            found = (*found, *secrets_in_binary(path, before, after, secrets))
        return tuple(_without(one, secrets) for one in found)

    return await anyio.to_thread.run_sync(judge)


def _folded_away(folded: Mapping[str, str]) -> Iterator[PolicyFinding]:
    """Threat: a change that was judged, and that nobody who reviews it sees."""
    for path, words in sorted(folded.items()):
        detail = f"forges fold its change away (`{words}` in .gitattributes): open it before you merge"
        yield PolicyFinding(ReasonCode.SUSPICIOUS_CONSTRUCT, path, detail, blocks=False)


async def _both_sides(request: VerifyRequest, tree: str, path: str) -> tuple[str, bytes, bytes]:
    """What is at a path now and after the change; empty where there is nothing."""
    before, after = [await request.repository.read_file(where, path) for where in (request.base, tree)]
    return path, before or b"", after or b""


def _binary_files(text: str) -> list[str]:
    return [one.path for one in cut(text) if _BINARY in one.text] if _BINARY in text else []


def _without(finding: PolicyFinding, secrets: Redactor) -> PolicyFinding:
    detail = secrets.without_known(_printable(finding.detail))
    return replace(finding, path=secrets.without_known(finding.path), detail=detail)


def _printable(text: str) -> str:
    """Bytes that are no UTF-8, written out: findings quote what they found, and go into JSON."""
    return text.encode("utf-8", "backslashreplace").decode()


async def _with_odd_texts(repository: Repository, base: str, tree: str, difference: str) -> str:
    """The difference, with text in encodings other than UTF-8 as lines; bytes that are none as surrogate escapes.

    Elsewhere such a file is a binary section, which keeps every patch printable; but its lines can be judged.
    """
    if _BINARY not in difference:
        return difference
    raw = (await repository.raw_diff(base, tree)).decode("utf-8", "surrogateescape")
    lines = {section.path: section for section in cut(raw)}
    found = []
    for section in cut(difference):
        other = lines.get(section.path)
        is_text = other is not None and not section.hunks and other.hunks and not _NO_TEXT.search(other.text)
        found.append(other.text if other is not None and is_text else section.text)
    return "".join(found)
