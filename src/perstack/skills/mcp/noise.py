"""What a server says beside the protocol: told line by line, bounded and at a bounded rate. Redaction is the log's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from perstack.skills.mcp.words import plain

MAX_LINE = 2_000
"""Characters of one told line."""
_BURST = 100
_PER_SECOND = 20.0
_MAX_TOLD = 2_000
_KEPT = 8


class Noise:
    """Takes lines, passes on what a person can read, counts the rest. `clock` is in seconds, monotonic."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._say = say
        self._clock = clock
        self._last: deque[str] = deque(maxlen=_KEPT)
        self._credit = float(_BURST)
        self._seen_at = clock()
        self._told = 0
        self._dropped = 0

    def line(self, text: str) -> bool:
        """One line of output. False where it was only counted: the reader may take its time with the next."""
        cleaned = plain(text, MAX_LINE)
        if not cleaned:
            return True
        self._last.append(cleaned)
        now = self._clock()
        self._credit = min(_BURST, self._credit + (now - self._seen_at) * _PER_SECOND)
        self._seen_at = now
        if self._credit < 1 or self._told >= _MAX_TOLD:
            self._dropped += 1
            return False
        self._credit -= 1
        self._told += 1
        self.flush()
        self._say(cleaned)
        return True

    def skip(self, lines: int) -> None:
        """Count lines nobody looks at."""
        self._dropped += lines

    def remark(self, text: str) -> None:
        """Something we say ourselves: always told, and no last word of the server."""
        self.flush()
        self._say(plain(text, MAX_LINE))

    def flush(self) -> None:
        """Tell how much was left out since the last time."""
        if self._dropped:
            self._say(f"[{self._dropped:,} lines left out]")
            self._dropped = 0

    def last_words(self) -> str:
        """The last lines, for the message that says why a server is not there; empty where it said nothing."""
        return "\n".join(self._last)
