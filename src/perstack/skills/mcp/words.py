"""Cleans what a server says: control characters, escape sequences, text that people do not see. Pure."""

from __future__ import annotations

import re

from perstack.core.json import Json

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# Tag characters and the variation selectors beyond the first sixteen carry whole hidden sentences.
_SMUGGLED = re.compile("[\U000e0000-\U000e007f\U000e0100-\U000e01ef]")
# Zero width, reordering, filler: they hide text, or show it in another order than a model reads it.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\u3164\ufeff\uffa0\ufff9-\ufffb]"
)
_MAX_DEPTH = 32


def plain(text: str, limit: int) -> str:
    """Words of a server for a person or a prompt: visible characters, at most `limit`, and `…` where more was said."""
    text = _INVISIBLE.sub("", result_text(_ESCAPES.sub("", text[: 4 * limit + 64]))).strip()
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def result_text(text: str) -> str:
    """A tool's text: what a file may hold stays (joiners, direction marks), smuggled text and control codes go."""
    return _SMUGGLED.sub("", _CONTROLS.sub("", text))


def plain_json(value: Json, limit: int, depth: int = 0) -> Json:
    """A schema with all its texts and keys cleaned; each text has at most `limit` characters.

    Raises: ValueError where it is nested too deep.
    """
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested deeper than {_MAX_DEPTH} levels")
    if isinstance(value, str):
        return plain(value, limit)
    if isinstance(value, dict):
        return {plain(str(key), limit): plain_json(item, limit, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item, limit, depth + 1) for item in value]
    return value
