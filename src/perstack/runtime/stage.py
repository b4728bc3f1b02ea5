"""A stage of a job in its log: that it started, and how and after how long it ended. Runs nothing."""

from __future__ import annotations

from collections.abc import Callable

from perstack.core.json import JsonObject


class Stage:
    """A context whose beginning and end become events. `now_s` is a monotonic clock."""

    def __init__(self, emit: Callable[[str, JsonObject], None], now_s: Callable[[], float], fields: JsonObject) -> None:
        self._emit = emit
        self._now_s = now_s
        self._fields = fields
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = self._now_s()
        self._emit("startStage", self._fields)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        seconds = round(self._now_s() - self._started, 3)
        self._emit("finishStage", {**self._fields, "seconds": seconds, "ok": kind is None})
