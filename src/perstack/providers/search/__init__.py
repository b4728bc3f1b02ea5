"""The model-free builder: a provider whose model is a plain program that searches for small edits."""

from perstack.providers.search.build import Effort
from perstack.providers.search.provider import SearchProvider

__all__ = ["Effort", "SearchProvider"]
