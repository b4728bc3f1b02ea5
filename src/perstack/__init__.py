"""Perstack: a verifier that cannot be fooled, a loop that works against it, a bot that carries both."""

from perstack.core.version import __version__

__all__ = ["__version__"]
