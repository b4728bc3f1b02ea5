"""Deltas of a reply as streaming events. For display only: they are not stored and change no state.

A secret may come in two deltas: the end of what came is held back until it is known not to be the beginning of one.
"""

from __future__ import annotations

from collections.abc import Callable

from perstack.core.json import JsonObject
from perstack.core.messages import Delta, ModelReply, TextPart, ThinkingPart
from perstack.core.unicode import well_formed
from perstack.infrastructure.secrets import Redactor

# Characters that wait for what follows them; a piece of a secret is told from 12 on, also with signs between.
_HELD = 64
_MOST_HELD = 65_536


class DeltaRelay:
    """Turns the deltas of one reply into start, stream and complete events, reasoning before text."""

    def __init__(self, emit: Callable[[str, JsonObject], None], secrets: Redactor | None = None) -> None:
        self._emit = emit
        self._secrets = secrets or Redactor()
        self._held = ""
        self._open = ""
        self._pieces: list[str] = []
        self._reasoned = False

    def __call__(self, delta: Delta) -> None:
        """Relay one piece."""
        name = "Reasoning" if delta.kind == "thinking" else "RunResult"
        if self._open != name:
            self.close()
            self._open = name
            self._reasoned = self._reasoned or name == "Reasoning"
            self._emit(f"startStreaming{name}", {})
        text = well_formed(delta.text)
        self._pieces.append(text)
        self._held += text
        self._release(len(self._held) if not self._secrets.knows else self._safe())

    def finish(self, reply: ModelReply) -> None:
        """Close what is open; reasoning that never streamed is told once, whole.

        A provider that asked again by itself has streamed twice: the reply says what counts.
        """
        thinking = "".join(part.thinking for part in reply.contents if isinstance(part, ThinkingPart))
        text = "".join(part.text for part in reply.contents if isinstance(part, TextPart))
        self._pieces = [text if self._open == "RunResult" else thinking]
        self.close()
        if thinking and not self._reasoned:
            self._emit("completeStreamingReasoning", {"text": self._secrets.redact(thinking)})

    def close(self) -> None:
        """Close the stream that is open, if any."""
        if self._open:
            self._release(len(self._held))
            self._emit(f"completeStreaming{self._open}", {"text": self._secrets.redact("".join(self._pieces))})
        self._open = ""
        self._pieces = []

    def _safe(self) -> int:
        """How many of the held characters cannot be the beginning of a secret that goes on."""
        safe = len(self._held) - _HELD
        if len(self._held) > _MOST_HELD:
            return len(self._held)
        return min((start for start, end in self._secrets.spans(self._held) if end > safe), default=safe)

    def _release(self, count: int) -> None:
        if count > 0:
            self._emit(f"stream{self._open}", {"delta": self._secrets.redact(self._held[:count])})
            self._held = self._held[count:]
