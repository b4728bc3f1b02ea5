"""What looks like a secret although nobody said so: tokens by their form, private keys, passwords in addresses. Pure.

Forms with a mark of their own only (a prefix, a frame): a hash, an id or a fixture has none, and a rule that guesses
from disorder alone would refuse lock files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Kind, the mark that every such text holds, and what follows it.
_SHAPES = (
    *(("GitHub token", f"gh{kind}_", r"[A-Za-z0-9]{16,255}") for kind in "pousr"),
    ("GitHub token", "github_pat_", r"[A-Za-z0-9_]{20,255}"),
    *(("GitLab token", f"gl{kind}-", r"[A-Za-z0-9_-]{20,255}") for kind in ("pat", "ptt", "dt", "rt", "cbt", "soat")),
    ("Anthropic key", "sk-ant-", r"[A-Za-z0-9_-]{16,255}"),
    *(("Stripe key", f"{kind}k_live_", r"[A-Za-z0-9]{16,255}") for kind in "sr"),
    ("API key", "sk-", r"(?!ant-)(?=[A-Za-z0-9_-]{0,60}[0-9])[A-Za-z0-9_-]{20,255}"),
    *(("AWS access key", kind, r"[A-Z0-9]{16}(?![A-Za-z0-9])") for kind in ("AKIA", "ASIA")),
    ("Slack token", "xox", r"[abeoprs]-[A-Za-z0-9-]{10,255}"),
    ("Slack webhook", "hooks.slack.com/", r"services/T[A-Za-z0-9]{6,20}/B[A-Za-z0-9]{6,20}/[A-Za-z0-9]{16,40}"),
    ("Google API key", "AIza", r"[A-Za-z0-9_-]{35}"),
    ("Google client secret", "GOCSPX-", r"[A-Za-z0-9_-]{20,60}"),
    ("npm token", "npm_", r"[A-Za-z0-9]{36}"),
    ("PyPI token", "pypi-", r"[A-Za-z0-9_-]{50,255}"),
    ("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,60}"),
    ("SendGrid key", "SG.", r"[A-Za-z0-9_-]{16,40}\.[A-Za-z0-9_-]{30,60}"),
    ("DigitalOcean token", "dop_v1_", r"[a-f0-9]{64}"),
    ("Vault token", "hvs.", r"[A-Za-z0-9_-]{24,255}"),
    ("Docker token", "dckr_pat_", r"[A-Za-z0-9_-]{20,60}"),
    ("age key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{40,80}"),
)
# The mark first: a search for a literal is ten times faster than one for a pattern.
_PATTERNS = tuple(
    (kind, mark, re.compile(f"{re.escape(mark)}(?<![A-Za-z0-9]{re.escape(mark)}){rest}"))
    for kind, mark, rest in _SHAPES
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END (?:[A-Z]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
# Examples of manuals and placeholders: what is all one letter, or says itself that it is none.
_NO_SECRET = re.compile(r"EXAMPLE|example|XXXX|xxxx|<|\*\*\*|0{10}|(.)\1{9}|(?:1234567890|abcdefghij){1}")


def without_shapes(text: str, mask: str) -> str:
    """`text` with `mask` in place of everything that looks like a secret, private keys whole, also cut ones."""
    text = _without_key_blocks(text, mask)
    for _, sign, pattern in _PATTERNS:
        if sign in text:
            text = pattern.sub(mask, text)
    return text


def find_shapes(text: str) -> Iterator[tuple[int, str, str]]:
    """Line (1-based), kind and the text of what looks like a secret and not like an example of one."""
    for number, line in enumerate(text.split("\n"), start=1):
        if found := _KEY_BEGIN.search(line):
            yield number, "private key", found.group()
        for kind, sign, pattern in _PATTERNS:
            if sign in line:
                texts = (match.group() for match in pattern.finditer(line))
                yield from ((number, kind, one) for one in texts if not _NO_SECRET.search(one))


def _without_key_blocks(text: str, mask: str) -> str:
    """Take out private keys, also one that was cut before its end line."""
    if "PRIVATE KEY" not in text:
        return text
    pieces, position = [], 0
    begin = _KEY_BEGIN.search(text)
    while begin:
        end = _KEY_END.search(text, begin.end())
        pieces += [text[position : begin.start()], mask]
        position = end.end() if end else len(text)
        begin = _KEY_BEGIN.search(text, position) if end else None
    return "".join(pieces) + text[position:]
