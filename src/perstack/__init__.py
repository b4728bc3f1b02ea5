"""Perstack: a verifier that cannot be fooled, a loop that works against it, a bot that carries both."""

__version__ = "0.1.0"
