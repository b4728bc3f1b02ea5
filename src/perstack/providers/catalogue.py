"""What a provider needs, and which model a tier means. Imports no SDK and reads no environment."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from urllib.parse import urlsplit

from perstack.core.errors import UserError
from perstack.core.json import Json
from perstack.providers.entries import ENTRIES, TIERS, Entry, Value

_NETWORK = frozenset({"PERSTACK_PROXY_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE"})
_HOST_PART = re.compile(r"[A-Za-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a provider class is made with. The key is never shown by `repr`."""

    provider: str
    api_key: str = field(repr=False)
    key_name: str = ""
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    reasoning_field: str = ""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeouts: Mapping[str, float] = field(default_factory=dict)
    network: Mapping[str, str] = field(default_factory=dict, repr=False)


def entry(name: str) -> Entry:
    """The provider of this name.

    Raises: UserError when there is none.
    """
    found = ENTRIES.get(name)
    if found is None:
        raise UserError(f'unknown provider "{name}"', hint=f"Use one of: {', '.join(sorted(ENTRIES))}.")
    return found


def load(known: Entry) -> ModuleType:
    """The module that makes the provider; slow at the first time.

    Raises: UserError where a package it needs is not installed.
    """
    try:
        return importlib.import_module(known.module)
    except ImportError as error:
        if not known.extra:
            raise
        raise UserError(
            f'provider "{known.name}" needs a package that is not installed ({error.name})',
            hint=f"Install it with: pip install 'perstack[{known.extra}]'",
        ) from error


def resolve(name: str, model: str = "", tier: str = "") -> str:
    """The model's id: `model` if given, else the provider's model of `tier`, else its middle one.

    Raises: UserError for an unknown provider or tier, or where the provider has no models of its own.
    """
    known = entry(name)
    if model:
        return model
    if tier and tier not in TIERS:
        raise UserError(f'unknown model tier "{tier}"', hint=f"Use one of: {', '.join(TIERS)}.")
    found = known.tiers.get(tier or "middle", "")
    if not found:
        raise UserError(
            f'provider "{name}" has no default model', hint="Name one with --model or `model` in perstack.toml."
        )
    return found


def credentials(name: str, env: Mapping[str, str], setting: Mapping[str, Json]) -> Credentials:
    """What the provider needs, from the environment and `[provider.setting]`; a setting wins over the environment.

    Raises: UserError when something is missing or no URL.
    """
    known = entry(name)
    key = env.get(known.key_env, "").strip()
    if known.key_required and not key:
        raise UserError(
            f"{known.key_env} is not set",
            hint=f"Put the key of {name} into the environment variable {known.key_env}, or where it is into "
            f"{known.key_env}_FILE (a file) or {known.key_env}_COMMAND (a program that prints it), or choose another "
            "provider.",
        )
    _require_key(known.key_env, key)
    headers = _headers(setting)
    for header, (variable, field_name) in known.headers_env.items():
        value = setting.get(field_name) or env.get(variable, "")
        if isinstance(value, str) and value:
            headers[header] = value
    values = {value.name: _value(value, env, setting, has_key=bool(key)) for value in known.values}
    url = _url(known, env, setting, values)
    key_name = known.key_env if key or not values.get("access_key") else "AWS_SECRET_ACCESS_KEY"
    network = {name: value for name, value in env.items() if name.upper() in _NETWORK}
    return Credentials(name, key, key_name, url, headers, known.reasoning_field, values, network=network)


def _require_key(variable: str, key: str) -> None:
    if not _fits_header(key):
        raise UserError(
            f"{variable} is no key: it holds spaces, line breaks or letters beyond ASCII",
            hint=f"Set {variable} again, to the key alone.",
        )


def _value(value: Value, env: Mapping[str, str], setting: Mapping[str, Json], *, has_key: bool) -> str:
    given = setting.get(value.setting, "") if value.setting else ""
    found = "yes" if given is True else given if isinstance(given, str) else ""
    found = found or env.get(value.env, "").strip() or value.default
    if not found and value.required and not (value.instead and has_key):
        place = f"the environment variable {value.env}" + (f" or `{value.setting}`" if value.setting else "")
        raise UserError(f"{value.env} is not set", hint=f"Put it into {place}, or choose another provider.")
    if value.secret:
        _require_key(value.env, found)
    return found


def _url(known: Entry, env: Mapping[str, str], setting: Mapping[str, Json], values: Mapping[str, str]) -> str:
    given = setting.get("baseUrl") or env.get(known.url_env, "")
    url = given.strip().rstrip("/") if isinstance(given, str) else ""
    url = url or _own_url(known, values)
    if not url:
        if known.url_required:
            raise UserError(
                f"{known.url_env} is not set",
                hint=f'Provider "{known.name}" needs the address of its server, in {known.url_env} or '
                "`baseUrl` under [provider.setting], for example http://127.0.0.1:8080/v1.",
            )
        return ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UserError(
            f'the base URL of provider "{known.name}" is no URL', hint="It begins with https:// or http://."
        )
    if known.url_suffix and not url.endswith(known.url_suffix):
        url += known.url_suffix
    return url


def _own_url(known: Entry, values: Mapping[str, str]) -> str:
    """The provider's address. Threat: a value with `/` or `@` in it would send the key to another host."""
    for value in known.values:
        if f"{{{value.name}}}" not in known.url:
            continue
        given = values[value.name]
        if not given:
            raise UserError(
                f"{value.env} or baseUrl is not set", hint=f"Set {value.env}, or `baseUrl` under [provider.setting]."
            )
        if not _HOST_PART.fullmatch(given):
            raise UserError(
                f"{value.env} cannot be part of an address: {given!r}", hint="It is letters, digits and hyphens."
            )
    if not _HOST_PART.fullmatch(values.get("location", "global")):
        raise UserError("GOOGLE_VERTEX_LOCATION is no location", hint="For example global or europe-west1.")
    return known.url.format_map(values)


def _headers(setting: Mapping[str, Json]) -> dict[str, str]:
    given = setting.get("headers")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError("`headers` under [provider.setting] must map names to strings")
    found: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str) or not _fits_header(value.replace(" ", "")) or not _fits_header(name):
            raise UserError(
                f"header {name!r} under [provider.setting] cannot be sent",
                hint="Its value must be a string of ASCII letters, digits and signs.",
            )
        found[name] = value
    return found


def _fits_header(text: str) -> bool:
    """Threat: an HTTP library quotes a header it cannot send, so a malformed key would end up in a message."""
    return text.isascii() and text.isprintable() and " " not in text
