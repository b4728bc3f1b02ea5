"""Text that can be stored: without halves of surrogate pairs, which JSON can carry in and UTF-8 cannot write.

Models write them (an emoji cut in two), file names hold them (bytes that are no text), servers send them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perstack.core.json import Json


def well_formed(text: str) -> str:
    """`text` with halves that belong together joined, and lone ones replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def well_formed_json(value: Json) -> Json:
    """A JSON value whose texts and keys are all well formed."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {well_formed(key): well_formed_json(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [well_formed_json(item) for item in value]
    return value
