"""The list of entries on the screen: only the lines that are seen are made. Knows no job and no event."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from perstack.interface.start.activity import Activity, Entry
from perstack.interface.start.rows import height_of, lines_of

_KEPT = 400  # entries whose lines are kept
_PAGE = 10


class ActivityList(ScrollView, can_focus=True):
    """Entries of a job, the newest last. While the cursor is on the last, the list follows what comes."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"activity--cursor", "activity--empty"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home,g", "edge(False)", "First", show=False),
        Binding("end,G", "edge(True)", "Last", show=False),
        Binding("enter,space", "open", "Open", show=True),
        Binding("e", "toggle_all", "Open all", show=False),
        Binding("n", "next_match(1)", "Next match", show=False),
        Binding("N", "next_match(-1)", "Previous match", show=False),
        Binding("slash", "screen.search", "Search", show=False),
        Binding("y", "screen.copy", "Copy", show=False),
        Binding("question_mark", "app.help", "Help", show=False),
    ]

    def __init__(self, activity: Activity) -> None:
        super().__init__()
        self.activity = activity
        self.cursor = 0
        self.follows = True
        self.needle = ""
        self.made = 0  # lines laid out so far, for measuring
        self._seen = 0  # number after the last entry that is laid out
        self._dropped = 0
        self._tops: list[int] = [0]
        self._lines: OrderedDict[int, tuple[object, list[Strip]]] = OrderedDict()

    def show(self, activity: Activity) -> None:
        """Another job's entries."""
        self.activity = activity
        self.cursor, self.follows = max(0, len(activity.entries) - 1), True
        self._lay_out(0)
        self.sync()

    def sync(self) -> None:
        """Take over what has changed in the activity since the last time."""
        activity = self.activity
        dropped = activity.dropped - self._dropped
        if dropped:
            self.cursor = max(0, self.cursor - dropped)
            self._lay_out(0)
        else:
            known = [n - self._dropped for n in activity.touched if n < self._seen and n >= self._dropped]
            start = min((i for i in known if self._height(i) != self._tops[i + 1] - self._tops[i]), default=None)
            self._lay_out(len(self._tops) - 1 if start is None else start)
        activity.touched.clear()
        if self.follows:
            self.cursor = max(0, len(activity.entries) - 1)
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        self.refresh()

    @property
    def current(self) -> Entry | None:
        """The entry at the cursor."""
        entries = self.activity.entries
        return entries[self.cursor] if self.cursor < len(entries) else None

    def search(self, needle: str) -> bool:
        """Go to the next entry, from the cursor on, that holds `needle`; whether there is one."""
        self.needle = needle
        self._lines.clear()
        self.refresh()
        return bool(needle) and self._find(0)

    def action_next_match(self, step: int) -> None:
        """The next or previous entry that holds what was searched for."""
        if self.needle and not self._find(step):
            self.app.bell()

    def action_move(self, step: int) -> None:
        """Move the cursor by entries."""
        self._go(self.cursor + step)

    def action_edge(self, last: bool) -> None:
        """Go to the first or last entry."""
        self._go(len(self.activity.entries) - 1 if last else 0)

    def action_open(self) -> None:
        """Open or close the entry at the cursor."""
        entry = self.current
        if entry is not None and entry.detail:
            entry.opened = not entry.opened
            self._lay_out(self.cursor)
            self._go(self.cursor)

    def action_toggle_all(self) -> None:
        """Open all entries, or close them where one is open."""
        opened = not any(entry.opened and entry.kind in {"call", "thinking"} for entry in self.activity.entries)
        for entry in self.activity.entries:
            if entry.kind in {"call", "thinking", "delegate", "change", "signal"}:
                entry.opened = opened
        self._lay_out(0)
        self._go(self.cursor)

    def on_click(self, event: events.Click) -> None:
        """Select what is clicked; a click on the selected opens it."""
        index = self._index_at(int(self.scroll_offset.y + event.y))
        if index == self.cursor:
            self.action_open()
        else:
            self._go(index)

    def on_resize(self) -> None:
        """Another width folds texts elsewhere."""
        self._lay_out(0)
        self.sync()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling away from the end stops following."""
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.max_scroll_y:
            self.follows = False
        elif new_value >= self.max_scroll_y and self.cursor >= len(self.activity.entries) - 1:
            self.follows = True

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        width = self.size.width
        line = int(self.scroll_offset.y) + y
        base = self.rich_style
        if line >= self._tops[-1]:
            return Strip.blank(width, base)
        index = self._index_at(line)
        strips = self._strips(index)
        row = line - self._tops[index]
        strip = strips[row] if row < len(strips) else Strip.blank(width)
        is_here = index == self.cursor and self.has_focus
        if is_here and strip.cell_length > 0 and strip.text.strip():
            style = self.get_component_rich_style("activity--cursor")
            mark = Strip([Segment("▌", Style(color=style.color))])
            return Strip.join([mark, strip.crop(1)]).adjust_cell_length(width).apply_style(base + style)
        return strip.adjust_cell_length(width, base).apply_style(base)

    def _go(self, index: int) -> None:
        last = len(self.activity.entries) - 1
        self.cursor = max(0, min(index, last))
        self.follows = self.cursor >= last
        if last >= 0:
            top, end = self._tops[self.cursor], self._tops[self.cursor + 1]
            self.scroll_to_region(Region(0, top, 1, min(end - top, max(1, self.size.height))), animate=False)
        self.refresh()

    def _find(self, step: int) -> bool:
        entries, wanted = self.activity.entries, self.needle.casefold()
        for away in range(1 if step else 0, len(entries) + 1):
            index = (self.cursor + away * (step or 1)) % len(entries)
            if wanted in entries[index].text.casefold():
                self._open_for(entries[index], wanted)
                self._go(index)
                return True
        return False

    def _open_for(self, entry: Entry, wanted: str) -> None:
        if not entry.opened and wanted not in entry.title.casefold():
            entry.opened = True
            self._lay_out(0)

    def _lay_out(self, start: int) -> None:
        """Count the lines of the entries from `start` on."""
        entries = self.activity.entries
        if start == 0:
            self._lines.clear()
        self._dropped = self.activity.dropped
        tops = self._tops
        del tops[start + 1 :]
        for index in range(start, len(entries)):
            tops.append(tops[-1] + self._height(index))
        self._seen = self._dropped + len(entries)
        self.virtual_size = Size(self.size.width, tops[-1])

    def _height(self, index: int) -> int:
        return height_of(self.activity.entries[index], self.size.width - 1, first=index == 0)

    def _index_at(self, line: int) -> int:
        return max(0, min(bisect_right(self._tops, line) - 1, len(self.activity.entries) - 1))

    def _strips(self, index: int) -> list[Strip]:
        entry = self.activity.entries[index]
        state = (entry.version, entry.opened, self.size.width, index == 0)
        known = self._lines.get(entry.number)
        if known is not None and known[0] == state:
            self._lines.move_to_end(entry.number)
            return known[1]
        console = self.app.console
        texts = lines_of(entry, self.size.width - 1, self.needle, first=index == 0)
        strips = [Strip(text.render(console), text.cell_len) for text in texts]
        self.made += len(strips)
        self._lines[entry.number] = state, strips
        while len(self._lines) > _KEPT:
            self._lines.popitem(last=False)
        return strips
