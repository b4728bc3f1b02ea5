"""Which models a server has: one cheap request that generates nothing. Used to see whether it can be reached."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import httpx2

from perstack.core.errors import ProviderError
from perstack.core.json import Json
from perstack.providers.exchange import SdkErrors
from perstack.providers.failures import Endpoint
from perstack.providers.wire import items, mapping, text

_PATIENCE_S = 15.0


@runtime_checkable
class Listing(Protocol):
    """A provider whose server says which models it has."""

    async def models(self) -> tuple[str, ...]:
        """Their ids. Raises: ProviderError where they cannot be had."""
        ...


async def listed(client: Any, errors: SdkErrors, endpoint: Endpoint, path: str) -> tuple[str, ...]:
    """The ids that `path` of an SDK's client lists. The SDK is the caller's: none is loaded for another's sake.

    Raises: ProviderError.
    """
    try:
        said: Json = await client.get(path, cast_to=object, options={"timeout": _PATIENCE_S})
    except errors.status as error:
        status, body = error.response.status_code, error.body  # type: ignore[attr-defined]  # as both SDKs have them
        raise endpoint.refused(status, body, model="its models", retry_after_s=None) from error
    except (errors.connection, httpx2.HTTPError, OSError) as error:
        raise endpoint.lost(error) from error
    if not isinstance(said, dict) or "data" not in said:
        raise ProviderError(f"{endpoint.label} sent no list of models", hint="Check the provider's base URL.")
    found = (text(mapping(one).get("id")).removeprefix("models/") for one in items(said.get("data")))
    return tuple(name for name in found if name)
