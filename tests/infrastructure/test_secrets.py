"""Secrets are taken out of text in every form they may be written in."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest

from perstack.infrastructure.secrets import MASK, Redactor, find_secrets

SECRET = "s3cr/et+Value=with&odd:chars-1234567890"


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


def test_redaction_takes_time_in_proportion_to_the_text() -> None:
    redactor = Redactor([SECRET, "another-secret-value-42", "x" * 100])
    worst = (SECRET[:11] + "x" * 11) * 2000

    def processor_seconds(text: str) -> float:
        best = 9.0
        for _ in range(3):
            started = time.process_time()
            redactor.redact(text)
            best = min(best, time.process_time() - started)
        return best

    assert processor_seconds(worst * 8) < 30 * processor_seconds(worst)


def test_a_redactor_does_not_show_its_secrets() -> None:
    assert SECRET not in repr(Redactor([SECRET]))
