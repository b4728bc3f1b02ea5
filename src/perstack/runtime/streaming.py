"""Deltas of a reply as streaming events. For display only: they are not stored and change no state."""

from __future__ import annotations

from collections.abc import Callable

from perstack.core.json import JsonObject
from perstack.core.messages import Delta, ModelReply, TextPart, ThinkingPart
from perstack.core.unicode import well_formed


class DeltaRelay:
    """Turns the deltas of one reply into start, stream and complete events, reasoning before text."""

    def __init__(self, emit: Callable[[str, JsonObject], None]) -> None:
        self._emit = emit
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
        self._emit(f"stream{name}", {"delta": text})

    def finish(self, reply: ModelReply) -> None:
        """Close what is open; reasoning that never streamed is told once, whole.

        A provider that asked again by itself has streamed twice: the reply says what counts.
        """
        thinking = "".join(part.thinking for part in reply.contents if isinstance(part, ThinkingPart))
        text = "".join(part.text for part in reply.contents if isinstance(part, TextPart))
        self._pieces = [text if self._open == "RunResult" else thinking]
        self.close()
        if thinking and not self._reasoned:
            self._emit("completeStreamingReasoning", {"text": thinking})

    def close(self) -> None:
        """Close the stream that is open, if any."""
        if self._open:
            self._emit(f"completeStreaming{self._open}", {"text": "".join(self._pieces)})
        self._open = ""
        self._pieces = []
