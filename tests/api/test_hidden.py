"""Which values are secrets: by their names, by what they look like, in addresses; and which words are not."""

from __future__ import annotations

import pytest

from perstack.api.configuration import parse_config
from perstack.api.hidden import secrets_in, secrets_of

SKILL = """
[experts."a"]
instruction = "x"
[experts."a".skills."s"]
type = "mcpStdioSkill"
command = "python3"
args = ["s.py"]
requiredEnv = ["LOGIN"]
"""


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("DB_PASSWORD", "supersecret", ["supersecret"]), ("PGPASSWORD", "s3cretpw9", ["s3cretpw9"]),
        ("GITHUB_PAT", "abcDEF1234567", ["abcDEF1234567"]), ("MYSQL_PWD", "hunter2hunter2", ["hunter2hunter2"]),
        ("API_KEYS", "correct horse battery", ["correct horse battery"]),
        ("SENTRY_DSN", "https://abcdef0123456789@o1.example/5", ["abcdef0123456789"]),
        ("HOOK_URL", "https://x.example/y?token=abcdef0123456789&page=1", ["abcdef0123456789"]),
        ("DATABASE_URL", "postgres://ada:p%40ss9word@x/y", ["p%40ss9word", "p@ss9word"]),
    ],
)  # fmt: skip
def test_a_value_is_a_secret_by_its_name_and_by_where_it_stands(name: str, value: str, secrets: list[str]) -> None:
    assert list(secrets_in({name: value})) == secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POSTGRES_PASSWORD", "postgres"), ("ROOT_PASSWORD", "password"), ("MAX_TOKENS", "100000000"), ("KEY", "true"),
        ("KEYBOARD_LAYOUT", "us-international"), ("TOKENIZERS_PARALLELISM", "disabled!"), ("PWD", "/usr/lib/python3"),
        ("GIT_AUTHOR_NAME", "Ada Lovelace 1815"), ("DATABASE_URL", "postgres://ada:postgres@x/y"),
        ("KEY_FILE", "/run/secrets/key1234"), ("TOKEN_URL", "https://x.example/token?page=10"),
    ],
)  # fmt: skip
def test_ordinary_words_and_places_are_none_whatever_they_are_called(name: str, value: str) -> None:
    assert secrets_in({name: value}) == ()


@pytest.mark.parametrize(
    ("value", "is_secret"),
    [("skillvalue-5Hq8", True), ("top-secret-value", True), ("eu-west-1", False), ("/home/ada/of/the/house1", False),
     ("true", False), ("Answer in plain English", False)],
)  # fmt: skip
def test_what_a_skill_is_given_is_a_secret_unless_it_reads_as_something_else(value: str, is_secret: bool) -> None:
    assert (secrets_of(parse_config(SKILL), {"LOGIN": value}) == (value,)) == is_secret
