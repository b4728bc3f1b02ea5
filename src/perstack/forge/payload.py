"""Reading fields of an event payload by path, with errors that name the path. Knows no event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perstack.core.errors import UserError

Payload = Mapping[str, Any]
UNCHANGED = "Pass the file GitHub wrote (GITHUB_EVENT_PATH) unchanged, and the name of the event it belongs to."
_MISSING = object()
_TOO_LARGE = 2**63


def find(payload: Payload, path: str) -> Any:
    """The value at a dotted path, None where any part is missing or null."""
    value = _walk(payload, path)
    return None if value is _MISSING else value


def text(payload: Payload, path: str) -> str:
    """A string that must be there.

    Raises: UserError naming the path.
    """
    value = _walk(payload, path)
    if not isinstance(value, str):
        raise _bad(path, value, "text")
    return value


def text_or_empty(payload: Payload, path: str) -> str:
    """A string that may be null or absent.

    Raises: UserError when it is something else.
    """
    value = find(payload, path)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _bad(path, value, "text")
    return value


def integer(payload: Payload, path: str) -> int:
    """A whole number above 0 that must be there: ids, numbers and attempts all are.

    Raises: UserError naming the path.
    """
    value = _walk(payload, path)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(path, value, "a whole number")
    if not 0 < value < _TOO_LARGE:
        raise _bad(path, value, "a number that GitHub gives")
    return value


def table(payload: Payload, path: str) -> Payload:
    """An object that must be there.

    Raises: UserError naming the path.
    """
    value = _walk(payload, path)
    if not isinstance(value, Mapping):
        raise _bad(path, value, "an object")
    return value


def _walk(payload: Payload, path: str) -> Any:
    value: Any = payload
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _bad(path: str, value: object, wanted: str) -> UserError:
    found = "is missing" if value is _MISSING else f"is {_kind(value)}, not {wanted}"
    return UserError(
        f"The event payload cannot be read: `{path}` {found}.",
        hint=UNCHANGED,
    )


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", str: "text", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")
