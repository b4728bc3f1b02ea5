"""Writes that a token or a place may not allow: a job goes on without them and says so. Retries nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

from perstack.core.errors import ForgeError
from perstack.interface.calls import call

P = ParamSpec("P")
# Not permitted, or what was written to is gone: asking again changes nothing. Limits and outages are others.
_NEVER = frozenset({401, 403, 404, 410})


async def permitted(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> str:
    """Make a blocking call of the forge; empty where it was done, else the sentence why it may not be.

    Raises: ForgeError where the forge failed.
    """
    try:
        await call(function, *args, **kwargs)
    except ForgeError as error:
        if error.status not in _NEVER:
            raise
        return f"{error.message} {error.hint}".strip()
    return ""
