"""An engine whose runtime is loaded when its first job starts: first feedback does not wait for it. Makes no jobs."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from anyio import to_thread

from perstack.api.host import Host
from perstack.core.events import EventSink

if TYPE_CHECKING:
    from perstack.api.engine import Engine, Job

_ENGINE = "perstack.api.engine"


class Jobs(Protocol):
    """What makes jobs: an Engine, now or later."""

    def job(self, kind: str, watch: EventSink | None = None) -> AbstractAsyncContextManager[Job]: ...


class DeferredEngine:
    """Stands in for the Engine of `host`."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.redact = host.redactor().redact

    @asynccontextmanager
    async def job(self, kind: str, watch: EventSink | None = None) -> AsyncIterator[Job]:
        """A new job of the real engine."""
        module = await to_thread.run_sync(importlib.import_module, _ENGINE)
        engine: Engine = module.Engine(self.host)
        async with engine.job(kind, watch) as job:
            yield job
