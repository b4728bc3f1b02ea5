"""The model-free builder: a provider whose model is a plain program that searches for small edits."""

from collections.abc import Callable

from perstack.providers.catalogue import Credentials
from perstack.providers.search.build import Effort
from perstack.providers.search.provider import SearchProvider

__all__ = ["Effort", "SearchProvider", "create"]


def create(_credentials: Credentials, _say: Callable[[str], None]) -> SearchProvider:
    """It needs no credentials and retries nothing."""
    return SearchProvider()
