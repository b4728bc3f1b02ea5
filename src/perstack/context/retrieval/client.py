"""The harness's side of the retrieval worker: starts it, asks it, bounds it, and starts it again when it died."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from perstack.context.retrieval.cache import collect, current_file, folder_of, poison
from perstack.context.retrieval.enclosure import enclosure
from perstack.core.errors import ToolError
from perstack.core.json import Json
from perstack.infrastructure.process import open_process

_SECONDS = 600.0
_LARGEST = 4_000_000
_STARTS = 6
_ROOM = 1_000_000  # bytes; an index of less is none
_WORKER = "perstack.context.retrieval.serve"


class RetrievalWorker:
    """A worker over one root; it is started by the first question. `repository` names the index to share."""

    def __init__(
        self, root: Path, cache: Path, repository: str = "", say: Callable[[str], None] = lambda _: None
    ) -> None:
        """`say` takes sentences for the log of the job."""
        self._root, self._cache, self._say = root.absolute(), cache.absolute(), say
        self._enclosed: tuple[str, ...] | None = None
        self._name = ""
        self._repository = repository or str(root.resolve())
        self._one = anyio.Lock()
        self._stack: AsyncExitStack | None = None
        self._process: Process | None = None
        self._answers: BufferedByteReceiveStream | None = None

    async def ask(self, name: str, arguments: Mapping[str, Json]) -> str:
        """One answer as text.

        Raises: ToolError where the question is none, or the worker dies of it again and again.
        """
        line = json.dumps({"name": name, "arguments": dict(arguments)}).encode() + b"\n"
        async with self._one:
            for _ in range(_STARTS):
                reply = await self._asked(line)
                if reply is not None:
                    answer = json.loads(reply)
                    if "rejected" in answer:
                        raise ToolError(answer["rejected"])
                    return str(answer["text"])
                if self._full():
                    break
        raise ToolError(
            f"{name} could not be answered: its reader ended without an answer.",
            hint=f"There is no room for its index below {self._cache}. Use other tools."
            if self._full()
            else "Use other tools, or a narrower query.",
        )

    def _full(self) -> bool:
        """Whether what ended a worker may well be that its disk is full."""
        try:
            return shutil.disk_usage(self._cache).free < _ROOM
        except OSError:
            return False

    async def close(self) -> None:
        """End the worker."""
        stack, self._stack, self._process = self._stack, None, None
        if stack is not None:
            await stack.aclose()

    async def _asked(self, line: bytes) -> bytes | None:
        """The reply; None where the worker died or took too long. Whatever it was learning is not tried again."""
        process, answers = await self._started()
        with contextlib.suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, OSError):
            with anyio.move_on_after(_SECONDS):
                if process.stdin is not None:
                    await process.stdin.send(line)
                return await answers.receive_until(b"\n", _LARGEST)
        await self.close()
        folder = folder_of(self._cache, self._repository)
        current = current_file(folder, self._name)
        with contextlib.suppress(OSError):
            digest = current.read_text("ascii").strip()
            current.unlink()
            if digest and not self._full():
                poison(folder, digest)
        return None

    def _folder(self) -> Path:
        collect(self._cache)
        try:
            return folder_of(self._cache, self._repository)
        except OSError as error:
            raise ToolError(
                f"The index cannot be kept below {self._cache}: {error.strerror}.",
                hint="Use other tools; whoever runs Perstack can free that folder or name another cache.",
            ) from error

    async def _started(self) -> tuple[Process, BufferedByteReceiveStream]:
        if self._process is not None and self._answers is not None:
            return self._process, self._answers
        folder = self._folder()
        if self._enclosed is None:
            self._enclosed = await enclosure(self._root, folder)
            if not self._enclosed:
                self._say("bubblewrap does not work here: retrieval reads files in a plain process with limits.")
        self._name = uuid4().hex
        argv = (*self._enclosed, sys.executable, "-I", "-m", _WORKER, str(self._root), str(folder), self._name)
        self._stack = AsyncExitStack()
        self._process = await self._stack.enter_async_context(open_process(argv, env={}))
        if self._process.stdout is None:
            raise ToolError("the worker has no output")
        self._answers = BufferedByteReceiveStream(self._process.stdout)
        return self._process, self._answers
