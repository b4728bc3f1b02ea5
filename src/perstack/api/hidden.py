"""Which values of an environment and a configuration are secrets, and errors without them. Reads no environment."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from perstack.core.errors import PerstackError
from perstack.core.experts import Config
from perstack.infrastructure.secrets import Redactor

_WORDS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "BEARER", "COOKIE")
# Such names are given to harmless things as well: what they hold must look like a secret too.
_WEAKER = ("PASS", "PWD", "PAT", "AUTH", "AUTHORIZATION", "DSN", "SALT", "SESSION", "JWT")
# A single word or number, which other texts hold too: taken out everywhere, `postgres` would hide the rest.
_WORD = re.compile(r"[a-z]{1,9}|[A-Z]{1,9}|[A-Z][a-z]{1,8}|[0-9]{1,9}")
# They say where a secret is, not what it is.
_PLACES = ("_FILE", "_PATH", "_DIR", "_COMMAND", "_SOCK", "_URL", "_URI", "_NAME")
_LEAST = 8
_SPOKEN = re.compile(r"[A-Za-z]+ ")
_MAX_FILE = 65_536


def secrets_in(env: Mapping[str, str]) -> tuple[str, ...]:
    """Values that must never leave the process: by their names, in addresses, in Google's credentials file."""
    return tuple(dict.fromkeys(value for value in _secrets_in(env) if len(value) >= _LEAST))


def redactor(env: Mapping[str, str]) -> Redactor:
    """A redactor that knows the secrets of an environment."""
    return Redactor(secrets_in(env))


def secrets_of(config: Config, env: Mapping[str, str]) -> tuple[str, ...]:
    """What a configuration makes a secret: values for its skills, and headers for its provider."""
    names = {
        name for expert in config.experts.values() for skill in expert.skills.values() for name in skill.required_env
    }
    found = [env[name] for name in sorted(names) if name in env]
    headers = config.provider.setting.get("headers") if config.provider else None
    if isinstance(headers, Mapping):
        # `Bearer KEY`, `Basic KEY`
        found += [_SPOKEN.sub("", value, count=1) for value in headers.values() if isinstance(value, str)]
    return tuple(value for value in found if _may_be_secret(value))


@contextmanager
def logging_without(secrets: Redactor) -> Iterator[None]:
    """What libraries log meanwhile is redacted: with OPENAI_LOG=debug they write whole requests, headers included."""
    before = logging.getLogRecordFactory()

    def made(*given: Any, **more: Any) -> logging.LogRecord:
        record = before(*given, **more)
        record.msg, record.args = secrets.redact(record.getMessage()), ()
        if record.exc_info and record.exc_info[1] is not None:
            without_secrets(record.exc_info[1], secrets)
        return record

    logging.setLogRecordFactory(made)
    try:
        yield
    finally:
        logging.setLogRecordFactory(before)


def without_secrets(error: BaseException, secrets: Redactor) -> None:
    """Redact what an error says, and what the errors behind it say, where they are."""
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(secrets.redact(arg) if isinstance(arg, str) else arg for arg in one.args)
        if isinstance(one, PerstackError):
            one.message, one.hint = secrets.redact(one.message), secrets.redact(one.hint)
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
        todo += (one.__cause__, one.__context__)


def _secrets_in(env: Mapping[str, str]) -> Iterator[str]:
    for name, value in env.items():
        if _names_secret(name.upper(), value) and not _is_place(value) and not _WORD.fullmatch(value):
            yield value
        if "://" in value:
            yield from _passwords(value)
    if env.get("GOOGLE_APPLICATION_CREDENTIALS"):
        yield from _account(Path(env["GOOGLE_APPLICATION_CREDENTIALS"]))


def _names_secret(name: str, value: str) -> bool:
    """Whether a variable is named like a secret; a name that only contains such a word asks more of the value."""
    if name.endswith(_PLACES):
        return False
    parts = re.split("[^A-Z0-9]+", name)
    if any(part.removesuffix("S").endswith(_WORDS) for part in parts):
        return True
    weaker = any(word in name for word in _WORDS) or any(part in _WEAKER for part in parts)
    return weaker and _is_mixed(value) and _may_be_secret(value)


def _passwords(value: str) -> Iterator[str]:
    """What an address holds: a password, a user that is a token, parameters that are named like a secret."""
    try:
        parts = urlsplit(value.strip())
        user, password = parts.username or "", parts.password or ""
        asked = parse_qsl(parts.query)
    except ValueError:
        return
    if password and not _WORD.fullmatch(password):
        yield from (password, unquote(password))
    if not password and _may_be_secret(user):
        yield from (user, unquote(user))
    yield from (one for name, one in asked if _names_secret(name.upper(), one) and _may_be_secret(one))


def _account(path: Path) -> Iterator[str]:
    """The private key of a service account. Who needs it reads the file again, and says what is wrong with it."""
    try:
        data = json.loads(path.read_bytes()[:_MAX_FILE]) if path.is_file() else {}
    except (OSError, ValueError):
        return
    if isinstance(data, dict):
        for name in ("private_key", "private_key_id", "refresh_token", "client_secret"):
            if isinstance(value := data.get(name), str):
                yield value


def _is_place(value: str) -> bool:
    """A path of this machine, or an address that holds no password. A key may begin with a slash as well."""
    return "://" in value if not value.startswith("/") else Path(value[:4096]).exists()


def _may_be_secret(value: str) -> bool:
    """Not every value that a skill is given is one: a region or a folder, taken out everywhere, would hide the rest."""
    if value.startswith(("/", "~", "./")) or "://" in value:
        return False
    mixed = _is_mixed(value)
    return len(value) >= (12 if mixed else 16) and (mixed or " " not in value)


def _is_mixed(value: str) -> bool:
    return any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)
