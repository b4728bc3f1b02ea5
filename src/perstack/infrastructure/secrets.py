"""Takes secrets out of text, and finds them in it. Pure: it is given the secrets, and knows none itself.

Redact before cutting a text: a cut can leave a part of a secret that no pattern knows. Matching is linear in the
text: all forms of all secrets are one alternation of literals, and parts are found by fixed-length windows.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = "[redacted]"

# Parts of a secret are recognised from this length on: shorter ones are as likely ordinary words.
_PART = 12
_SHORTEST = 6

_SHAPES = (
    ("GitHub token", r"gh[pousr]_[A-Za-z0-9]{16,255}"),
    ("GitHub token", r"github_pat_[A-Za-z0-9_]{20,255}"),
    ("Anthropic key", r"sk-ant-[A-Za-z0-9_-]{16,255}"),
    ("API key", r"sk-[A-Za-z0-9_-]{20,255}"),
    ("AWS access key", r"(?:AKIA|ASIA)[A-Z0-9]{16}"),
    ("Slack token", r"xox[abprs]-[A-Za-z0-9-]{10,255}"),
    ("Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    ("npm token", r"npm_[A-Za-z0-9]{36}"),
    ("PyPI token", r"pypi-[A-Za-z0-9_-]{50,255}"),
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
# Every text with such a shape holds one of these. Asking for them first is ten times faster than the pattern.
_MARKS = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "sk-", "AKIA", "ASIA", "xox", "AIza", "npm_", "pypi-")
_SHAPE = re.compile("|".join(f"(?<![A-Za-z0-9])(?:{pattern})" for _, pattern in _SHAPES))


class Redactor:
    """Replaces secrets, their encodings, and long parts of them. Values shorter than 6 characters are left alone."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for value in secrets for secret in (value, value.strip()) if len(secret) >= _SHORTEST}
        forms = {form for secret in known for form in _forms(secret) if len(form) >= _SHORTEST}
        ordered = sorted(forms, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        self._forms = tuple(form for form in ordered if len(form) > _PART)
        self._heads = _index(form[:_PART] for form in self._forms)
        self._tails = _index(form[-_PART:] for form in self._forms)
        # Whatever the patterns above find holds one of these, and nearly no text does.
        self._signs = sorted({end for form in ordered for end in (form[:_PART], form[-_PART:])})

    def __repr__(self) -> str:
        return "Redactor(…)"

    def redact(self, text: str) -> str:
        """The text with every secret replaced by `[redacted]`."""
        if self._whole is not None and any(sign in text for sign in self._signs):
            text = self._whole.sub(MASK, text)
            text = self._without_parts(text)
        text = _without_key_blocks(text)
        return _SHAPE.sub(MASK, text) if any(mark in text for mark in _MARKS) else text

    def _without_parts(self, text: str) -> str:
        """Take out beginnings and ends of 12 or more characters, as far as they reach."""
        spans: list[tuple[int, int]] = []
        if self._heads is None or self._tails is None:
            return text
        for match in self._heads.finditer(text):
            reach = max(_reach(text, match.start(), form) for form in self._forms)
            spans.append((match.start(), match.start() + max(reach, _PART)))
        for match in self._tails.finditer(text):
            reach = max(_reach_back(text, match.end(), form) for form in self._forms)
            spans.append((match.end() - max(reach, _PART), match.end()))
        return _masked(text, spans)


def find_secrets(text: str) -> list[tuple[int, str]]:
    """Lines (1-based) that hold what looks like a secret, and which kind; for scanning a candidate."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if _KEY_BEGIN.search(line):
            found.append((number, "private key"))
        for match in _SHAPE.finditer(line):
            kind = next(name for name, pattern in _SHAPES if re.fullmatch(pattern, match.group()))
            found.append((number, kind))
    return found


def _forms(secret: str) -> set[str]:
    """A secret and the ways it may be written."""
    data = secret.encode()
    forms = {
        secret, secret[::-1], data.hex(), data.hex().upper(), quote(secret, safe=""), quote_plus(secret),
        "".join(f"%{byte:02x}" for byte in data), "".join(f"%{byte:02X}" for byte in data), data.hex(" "),
        data.hex(":"), "".join(f"\\x{b:02x}" for b in data),
        secret.replace("\n", "\\n"),
    }  # fmt: skip
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            # With `offset` unknown bytes before, only the middle characters are the secret's own.
            text = encode(b"\0" * offset + data).decode().rstrip("=")
            start = (0, 2, 3)[offset]
            end = len(text) - (0 if (offset + len(data)) % 3 == 0 else 1)
            forms.add(text[start:end])
    forms |= {line for line in secret.splitlines() if len(line) >= _PART}
    return forms


def _index(parts: Iterable[str]) -> re.Pattern[str] | None:
    unique = sorted(set(parts))
    # A look-ahead finds overlapping places too.
    return re.compile("|".join(map(re.escape, unique))) if unique else None


def _reach(text: str, start: int, form: str) -> int:
    length = 0
    while length < len(form) and start + length < len(text) and text[start + length] == form[length]:
        length += 1
    return length


def _reach_back(text: str, end: int, form: str) -> int:
    length = 0
    while length < len(form) and end - length > 0 and text[end - length - 1] == form[-length - 1]:
        length += 1
    return length


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces = []
    position = 0
    for start, end in sorted(spans):
        if end <= position:
            continue
        if start >= position:
            pieces += [text[position:start], MASK]
        position = end
    return "".join(pieces) + text[position:]


def _without_key_blocks(text: str) -> str:
    """Take out private keys, also one that was cut before its end line."""
    spans = []
    begin = _KEY_BEGIN.search(text)
    while begin:
        end = _KEY_END.search(text, begin.end())
        spans.append((begin.start(), end.end() if end else len(text)))
        begin = _KEY_BEGIN.search(text, end.end()) if end else None
    return _masked(text, spans)
