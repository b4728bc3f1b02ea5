"""The ways a secret may be written down. Pure; what none of them is (a cipher, a compression) nobody can look for.

Two alphabets. Plain forms are compared as they are. Squeezed forms are letters and digits alone, in lower case: a text
that is squeezed too shows a secret however it was taken apart: by spaces, line breaks, hidden characters, quotes and
commas, `%`, `\\x`, `&#;` or in another case.
"""

from __future__ import annotations

import base64
import codecs
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from perstack.infrastructure.secrets_views import squeezed

# Longer ones are documents (tokens with claims, private keys): written in fewer ways, or the tables would be huge.
_LONG = 256
_LEAST_LINE = 12


def plain_forms(secret: str) -> set[str]:
    """The forms that are looked for as they are."""
    data = secret.encode("utf-8", "surrogatepass")
    escaped = json.dumps(secret)[1:-1]
    forms = {
        secret, secret[::-1], quote(secret, safe=""), quote_plus(secret), escaped, json.dumps(escaped)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret), data.hex(), data.hex().upper(),
    }  # fmt: skip
    for shift in range(3):
        forms.add(_base64(data, shift))
        forms.add(_base64(data, shift).replace("+", "-").replace("/", "_"))
    return forms | {line for line in secret.splitlines() if len(line) >= _LEAST_LINE}


def squeezed_forms(secret: str) -> set[str]:
    """The forms that are looked for in squeezed text."""
    data = secret.encode("utf-8", "surrogatepass")
    forms = {squeezed(form) for form in plain_forms(secret)}
    if len(data) <= _LONG:
        forms |= {squeezed(form) for form in _far_forms(secret, data)}
    return forms


def _far_forms(secret: str, data: bytes) -> Iterator[str]:
    back, packed = data[::-1], base64.b64encode(data)
    yield from (back.hex(), packed.hex(), data.hex()[::-1], packed.decode()[::-1], codecs.encode(secret, "rot13"))
    yield from (_base32(data, shift) for shift in range(5))
    yield from ("".join(f"{mark}{byte:02x}" for byte in data) for mark in ("x", "0x"))
    yield from ("".join(f"{mark}{ord(sign):04x}" for sign in secret) for mark in ("u", "u00"))
    yield from ("".join(f"u{ord(sign):x}" for sign in secret), "".join(f"{byte:03o}" for byte in data))
    yield from ("".join(str(byte) for byte in data), "".join(f"{byte:03d}" for byte in data))
    yield "".join(f"{byte:08b}" for byte in data)
    twice = (back, packed, data.hex().encode(), secret.encode("utf-16-le", "surrogatepass"))
    for inner in twice:
        yield from (_base64(inner, shift) for shift in range(3))


def _base32(data: bytes, shift: int) -> str:
    """As `_base64` below, with `shift` modulo 5."""
    text = base64.b32encode(b"\0" * shift + data).decode().rstrip("=")
    return text[(0, 2, 4, 5, 7)[shift] : len(text) - ((shift + len(data)) % 5 != 0)]


def _base64(data: bytes, shift: int) -> str:
    """The characters that are the data's own where `shift` unknown bytes (modulo 3) stand before it."""
    text = base64.b64encode(b"\0" * shift + data).decode().rstrip("=")
    end = len(text) - (0 if (shift + len(data)) % 3 == 0 else 1)
    return text[(0, 2, 3)[shift] : end]
