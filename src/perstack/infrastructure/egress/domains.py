"""Names a skill may reach: their grammar, and their form for the proxy. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from perstack.core.errors import UserError

_DOMAIN = re.compile(r"(?P<wildcard>\*\.)?(?P<name>[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+)")
_LONGEST = 253


def proxy_names(domains: Sequence[str]) -> tuple[str, ...]:
    """`example.com` stays, `*.example.com` becomes `.example.com`; what a wildcard covers already is left out.

    Raises: UserError for what is no domain, an address, or a name in punycode.
    """
    names = {_proxy_name(domain) for domain in domains}
    wild = {name for name in names if name.startswith(".")}
    return tuple(sorted(name for name in names if not any(_covers(other, name) for other in wild - {name})))


def _proxy_name(domain: str) -> str:
    plain = domain.lower().removesuffix(".")
    match = _DOMAIN.fullmatch(plain)
    if match is None or len(plain) > _LONGEST:
        raise UserError(
            f"allowedDomains: {domain!r} is no domain",
            hint="Use exact domain (example.com) or wildcard prefix (*.example.com).",
        )
    labels = match["name"].split(".")
    if any(label.startswith("xn--") for label in labels):
        raise UserError(
            f"allowedDomains: {domain!r} is in punycode, which can imitate other names", hint="Use ASCII domains only."
        )
    if labels[-1].isdigit():
        raise UserError(f"allowedDomains: {domain!r} is an address", hint="Name a domain; addresses are never reached.")
    return f".{match['name']}" if match["wildcard"] else match["name"]


def _covers(wild: str, name: str) -> bool:
    return name.endswith(wild) or name == wild[1:]
