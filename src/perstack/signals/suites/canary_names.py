"""Names for canaries of languages whose tests are compiled: words that no source and no command line can know."""

from __future__ import annotations

from random import Random

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word(random: Random, length: int) -> str:
    """A random word of small letters."""
    return "".join(random.choice(_LETTERS) for _ in range(length))
