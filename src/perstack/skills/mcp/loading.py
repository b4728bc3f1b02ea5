"""Brings in the modules that need the SDK when the first server starts, in a thread: about a second of importing."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread

from perstack.skills.mcp.contract import Connect, Connection, Pulse
from perstack.skills.mcp.noise import Noise

STDIO = "perstack.skills.mcp.wire_stdio"
HTTP = "perstack.skills.mcp.wire_http"


def deferred(module: str, **settings: Any) -> Connect:
    """`connect` of a module that is loaded when it is needed, with `settings` as its keyword arguments."""

    @asynccontextmanager
    async def connect(noise: Noise, pulse: Pulse) -> AsyncIterator[Connection]:
        loaded = await to_thread.run_sync(importlib.import_module, module)
        async with loaded.connect(noise, pulse, **settings) as connection:
            yield connection

    return connect
