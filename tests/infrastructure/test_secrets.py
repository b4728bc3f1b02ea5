"""Secrets are taken out of text in every form they may be written in."""

from __future__ import annotations

import base64
import codecs
import gzip
import hashlib
import json
import random
import re
import time
import unicodedata
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.infrastructure.secrets import MASK, Redactor, find_secrets

SECRET = "s3cr/et+Value=with&odd:chars-1234567890"


@pytest.mark.threat("R8", "K2")
@pytest.mark.parametrize(
    "written",
    [
        SECRET, SECRET[::-1], SECRET.encode().hex(), SECRET.encode().hex().upper(), quote(SECRET, safe=""),
        base64.b64encode(SECRET.encode()).decode(), base64.urlsafe_b64encode(SECRET.encode()).decode(),
        base64.b64encode(b"x" + SECRET.encode()).decode(), base64.b64encode(b"xy" + SECRET.encode() + b"z").decode(),
        base64.b64encode(b"user:" + SECRET.encode()).decode(), SECRET.encode().hex(" "),
        "".join(f"%{byte:02X}" for byte in SECRET.encode()),
        SECRET[:12], SECRET[:20], SECRET[-12:], SECRET[-25:], SECRET.encode().hex()[:30],
    ],
)  # fmt: skip
def test_a_secret_is_redacted_however_it_is_written(written: str) -> None:
    text = Redactor([SECRET]).redact(f"before >{written}< after")
    assert MASK in text
    assert text.startswith("before >")
    assert text.endswith("< after")
    for start in range(len(written) - 12):
        assert written[start : start + 12] not in text


@pytest.mark.threat("R8", "P3")
@pytest.mark.parametrize(
    "taken_apart",
    [
        "\u200b".join(SECRET), "\n".join(SECRET), " ".join(SECRET), "', '".join(SECRET), "-".join(SECRET.upper()),
        json.dumps(SECRET), "".join(f"\\u{ord(sign):04x}" for sign in SECRET),
        "".join(f"&#{ord(sign)};" for sign in SECRET), "".join(f"&#x{ord(sign):x};" for sign in SECRET),
        ", ".join(str(byte) for byte in SECRET.encode()), ", ".join(hex(byte) for byte in SECRET.encode()),
        "".join(f"\\{byte:03o}" for byte in SECRET.encode()), base64.b32encode(SECRET.encode()).decode(),
        base64.b64encode(base64.b64encode(SECRET.encode())).decode(), codecs.encode(SECRET, "rot13"),
        base64.b64encode(SECRET[::-1].encode()).decode(), base64.b64encode(SECRET.encode().hex().encode()).decode(),
        base64.b64encode(SECRET.encode()).decode()[:20] + "\n" + base64.b64encode(SECRET.encode()).decode()[20:],
        "".join(chr(ord(sign) + 0xFEE0) for sign in SECRET), SECRET[7:-7], SECRET[3:18],
        unicodedata.normalize("NFC", "\u0301".join(SECRET)),
        SECRET.translate(dict(zip(b"aceopxy", "асеорху", strict=True))),
        "".join(chr(0x1D41A + ord(sign) - 97) if sign.islower() else sign for sign in SECRET),
        "".join(chr(0xE0000 + ord(sign)) for sign in SECRET),
    ],
)  # fmt: skip
def test_no_piece_of_a_secret_is_left_when_it_is_taken_apart(taken_apart: str) -> None:
    text = Redactor([SECRET]).redact(f"before >{taken_apart}< after")
    assert MASK in text
    assert text.startswith("befor")
    assert text.endswith("after")
    assert len(text) < len("before >< after") + len(MASK) + 16


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(("", " ", "\u200b", "\n", "%")), st.integers(0, 20))
def test_a_secret_anywhere_in_any_text_leaves_no_twelve_characters_in_a_row(
    before: str, after: str, between: str, cut: int
) -> None:
    secret = "Zq7-canary+8Lw3/Kx9_Tm2Vb5Rc1Nd"
    text = Redactor([secret]).redact(before + between.join(secret[cut:]) + after)
    plain = re.sub("[^a-z0-9]", "", text.lower())
    bare = re.sub("[^a-z0-9]", "", secret.lower())
    if len(bare) - cut >= 12:
        assert not [bare[at : at + 12] for at in range(len(bare) - 11) if bare[at : at + 12] in plain]


DATA = SECRET.encode()


@pytest.mark.threat("R8", "K2")
@pytest.mark.parametrize(
    "resolved",
    [
        *("".join(way.format(byte) if at % 2 else chr(byte) for at, byte in enumerate(DATA))
          for way in ("%{:02x}", "%25{:02X}", "\\x{:02x}", "\\u{:04x}", "\\u{{{:x}}}", "&#{};", "&#0{};", "={:02X}",
                      "<b>{:c}</b>")),
        "".join(f"<span class='x'>{sign}</span>" for sign in SECRET),
        "".join(f"\x1b[31m{sign}\x1b[0m" for sign in SECRET),
        "+".join(f"chr({byte})" for byte in DATA), " ".join(f"U+{byte:04X}" for byte in DATA),
        base64.b64encode(gzip.compress(DATA)).decode(), zlib.compress(DATA).hex(), DATA.hex().encode().hex(),
        base64.b64encode(base64.b64encode(base64.b64encode(DATA))).decode(), " ".join(f"{byte:08b}" for byte in DATA),
        base64.b64encode(SECRET.encode("utf-32-le")).decode(), DATA.hex()[::-1], base64.b64encode(DATA).decode()[::-1],
        *(base64.b32encode(b"x" * shift + DATA).decode() for shift in (1, 2, 3, 4)),
    ],
)  # fmt: skip
def test_a_secret_is_found_where_escapes_markup_and_packing_hide_it(resolved: str) -> None:
    text = Redactor([SECRET]).redact(f"before >{resolved}< after")
    assert MASK in text
    assert text.startswith("befor")
    assert text.endswith("after")
    assert len(text) < len("before >< after") + len(MASK) + 16 + len(resolved) // 4


@pytest.mark.parametrize("written", ["p4ss-w0rd99", "p4ss-w0rd99"[::-1], " ".join("p4ss-w0rd99"), "P4SS-W0RD99"])
def test_a_short_secret_is_found_when_it_is_taken_apart(written: str) -> None:
    assert Redactor(["p4ss-w0rd99"]).redact(f"a >{written}< b") == f"a >{MASK}< b"


def test_hashes_ids_and_lock_files_hold_no_secret() -> None:
    text = "\n".join(
        [
            *(hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)),
            *(base64.b64encode(hashlib.sha512(str(n).encode()).digest()).decode() for n in range(2000)),
            '"integrity": "sha512-9vKFb3xNqRZQm7pVJmTf4ZHWqgXbYkzC0d1E2s3u4w5x6y7z8A9B+/=="',
            "AKIAIOSFODNN7EXAMPLE", "sk-your-key-goes-here-please-change", "ghp_" + "x" * 36,
            "task-runner-of-the-project",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx1",
        ]
    )  # fmt: skip
    assert find_secrets(text) == []
    assert Redactor([SECRET]).redact(text).count(MASK) <= 3, "examples of keys alone"


def test_what_is_learned_later_is_redacted_as_well() -> None:
    redactor = Redactor()
    assert (redactor.knows, redactor.redact(SECRET)) == (False, SECRET)
    redactor.learn([SECRET])
    assert (redactor.knows, redactor.redact(SECRET)) == (True, MASK)


@pytest.mark.slow
@pytest.mark.parametrize(("alphabet", "most"), [("0123456789abcdef", 3), ("abcdef ghij\n", 3), ("-", 3), ("éа€", 16)])
def test_a_long_text_takes_less_time_than_a_look_at_every_fifth_place_of_it(alphabet: str, most: int) -> None:
    redactor = Redactor([SECRET, *(f"key-{n}-" + hashlib.sha256(bytes([n])).hexdigest() for n in range(3))])
    text = "".join(random.Random(1).choices(alphabet, k=200_000))
    table = {text[at : at + 8] for at in range(100)}
    assert _seconds(lambda: redactor.spans(text)) < most * _seconds(
        lambda: [at for at in range(0, len(text), 5) if text[at : at + 8] in table]
    )


def _seconds(action: Callable[[], object]) -> float:
    """Of the processor, in the best of three."""
    found = []
    for _ in range(3):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "s3cr/et is short; sk-learn is a library; ghp_ alone is nothing; AKIA is a prefix\n" * 3
    assert Redactor([SECRET, "", "abc"]).redact(text) == text
    assert Redactor([]).redact(text) == text


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("ghp_" + "a1B2" * 9, "GitHub token"), ("gho_" + "a1B2" * 9, "GitHub token"),
        ("ghs_" + "a1B2" * 9, "GitHub token"), ("github_pat_" + "a1B2_" * 9, "GitHub token"),
        ("sk-ant-api03-" + "aB3_" * 9, "Anthropic key"), ("sk-" + "aB3x" * 9, "API key"),
        ("AKIA" + "ABCD1234" * 2, "AWS access key"),
    ],
)  # fmt: skip
def test_known_tokens_are_found_without_being_told(token: str, kind: str) -> None:
    assert find_secrets(f"a\nkey = '{token}'\n") == [(2, kind)]
    assert token not in Redactor([]).redact(f"x={token};")


def test_private_keys_are_taken_out_whole_even_when_cut() -> None:
    head, tail = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
    redactor = Redactor([])
    assert redactor.redact(f"a\n{head}\nMIIE\n{tail}\nb") == f"a\n{MASK}\nb"
    assert redactor.redact(f"a\n{head}\nMIIE") == f"a\n{MASK}"
    assert find_secrets(f"x\n{head}\n") == [(2, "private key")]


@pytest.mark.slow
def test_redaction_takes_time_in_proportion_to_the_text() -> None:
    redactor = Redactor([SECRET, "another-secret-value-42", "x" * 100])
    worst = (SECRET[:11] + "x" * 11) * 2000

    assert _seconds(lambda: redactor.redact(worst * 8)) < 30 * _seconds(lambda: redactor.redact(worst))


def test_a_redactor_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(Redactor([SECRET]))
