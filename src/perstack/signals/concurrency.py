"""Task groups wrap what their tasks raise; callers want the error itself. Nothing else is here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from perstack.core.errors import PerstackError


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise the first error of ours inside an exception group instead of the group; other groups pass unchanged."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = _first(group)
        if error is None:
            raise
        raise error from group


def _first(group: BaseExceptionGroup[BaseException]) -> PerstackError | None:
    for inner in group.exceptions:
        found = _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
        if isinstance(found, PerstackError):
            return found
    return None
