"""Forge calls block; this is how async code makes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from anyio import to_thread

P = ParamSpec("P")
T = TypeVar("T")


async def call(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking function in a thread; a cancelled caller does not wait for it."""
    return await to_thread.run_sync(partial(function, *args, **kwargs), abandon_on_cancel=True)
