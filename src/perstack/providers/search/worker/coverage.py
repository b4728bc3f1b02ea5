"""Which product lines a test executes, by the interpreter's own tracing. Knows nothing of pytest."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

_TOOL = 4  # an id of sys.monitoring that neither coverage, nor profilers, nor debuggers claim


class Tracer:
    """Collects (file, line) pairs of the files a predicate accepts, from `start` to `stop`."""

    def __init__(self, wanted: Callable[[str], bool]) -> None:
        self._wanted = wanted
        self._known: dict[str, str] = {}
        self.lines: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Begin with an empty set."""
        self.lines = set()
        if sys.version_info >= (3, 12):
            self._monitor()
        else:
            threading.settrace(self._call)
            sys.settrace(self._call)

    def stop(self) -> set[tuple[str, int]]:
        """The lines executed since `start`."""
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(_TOOL, 0)
            sys.monitoring.free_tool_id(_TOOL)
        else:
            sys.settrace(None)
            threading.settrace(None)
        return self.lines

    def _file(self, code: CodeType) -> str:
        """The real path of a wanted file, else an empty text."""
        name = code.co_filename
        if name not in self._known:
            path = os.path.realpath(name)
            self._known[name] = path if self._wanted(path) else ""
        return self._known[name]

    def _call(self, frame: FrameType, _event: str, _argument: Any) -> Callable[..., Any] | None:
        path = self._file(frame.f_code)
        if not path:
            return None
        self.lines.add((path, frame.f_lineno))
        return self._line

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:
        if event == "line":
            self.lines.add((self._known[frame.f_code.co_filename], frame.f_lineno))
        return self._line

    def _monitor(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        monitoring.use_tool_id(_TOOL, "perstack-search")

        def on_line(code: CodeType, line: int) -> Any:
            path = self._file(code)
            if path:
                self.lines.add((path, line))
            return monitoring.DISABLE

        monitoring.register_callback(_TOOL, monitoring.events.LINE, on_line)
        monitoring.set_events(_TOOL, monitoring.events.LINE)
        monitoring.restart_events()
