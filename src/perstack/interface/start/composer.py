"""The box one writes in: several lines, sent with Enter, earlier texts with Up. Knows nothing of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

_NEW_LINE = frozenset({"ctrl+j", "alt+enter", "shift+enter"})
MAX_HISTORY = 100


class Composer(TextArea):
    """A text area that grows with what is written; Enter sends."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", show=True),
        Binding("ctrl+j,alt+enter,shift+enter", "new_line", "New line", show=True),
    ]

    @dataclass
    class Sent(Message):
        """What was written."""

        text: str

    def __init__(self, placeholder: str, history: list[str], text: str = "") -> None:
        super().__init__(text, soft_wrap=True, show_line_numbers=False, placeholder=placeholder, compact=True,
                         highlight_cursor_line=False, tab_behavior="focus")  # fmt: skip
        self._history = history
        self._place = len(history)
        self._draft = ""

    def action_submit(self) -> None:
        """Send what is written, unless it is empty."""
        text = self.text.strip()
        if not text:
            return
        if not self._history or self._history[-1] != text:
            self._history.append(text)
            del self._history[:-MAX_HISTORY]
        self._place = len(self._history)
        self.clear()
        self.post_message(self.Sent(text))

    def action_new_line(self) -> None:
        """Begin a new line."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """Up; on the first line, the text sent before."""
        if select or self.cursor_location[0] > 0 or not self._history:
            super().action_cursor_up(select)
        else:
            self._recall(-1)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down; on the last line, the text sent after."""
        if select or self.cursor_location[0] < self.document.line_count - 1 or self._place >= len(self._history):
            super().action_cursor_down(select)
        else:
            self._recall(1)

    async def _on_key(self, event: events.Key) -> None:
        """Enter, in its turn: a binding with priority would overtake letters that are still on their way."""
        if event.key == "enter" or event.key in _NEW_LINE:
            event.prevent_default()
            event.stop()
            if event.key == "enter":
                self.action_submit()
            else:
                self.action_new_line()
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        """Pasted text without control characters; a pasted line end sends nothing."""
        event.prevent_default()
        event.stop()
        kept = "".join(char for char in event.text.replace("\r\n", "\n").replace("\r", "\n")
                       if char in "\n\t" or char.isprintable())  # fmt: skip
        self.insert(kept)

    def _recall(self, step: int) -> None:
        if self._place == len(self._history):
            self._draft = self.text
        self._place = max(0, min(self._place + step, len(self._history)))
        self.load_text(self._history[self._place] if self._place < len(self._history) else self._draft)
        self.move_cursor(self.document.end)
