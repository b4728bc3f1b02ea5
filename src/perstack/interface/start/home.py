"""The first screen: pick an expert, say what is to be done. Starts nothing by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from perstack.core.experts import Expert
from perstack.interface.start.composer import Composer
from perstack.interface.start.session import FIX
from perstack.interface.start.text import flat, shortened

_KEYS = 24  # cells of the column of keys
_PANEL, _WIDE = 64, 96  # columns from which there is room for a panel, and for descriptions beside it
_FIX_WORDS = "Plans, builds and verifies a fix of what is red in this checkout. Nothing is written to it."


class HomeScreen(Screen[None]):
    """Experts on the left, what one is on the right, the query below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "experts", "Experts", show=False)]

    @dataclass
    class Asked(Message):
        """An expert (or `FIX`) and what it is to do."""

        expert: str
        query: str

    def __init__(self, experts: Mapping[str, Expert | None], chosen: str, place: str, history: list[str]) -> None:
        super().__init__()
        self.experts = experts
        self.keys = list(experts)
        self.chosen = chosen if chosen in self.keys else self.keys[0]
        self.place = place
        self.history = history

    def compose(self) -> ComposeResult:
        yield Static(_title(self.place), id="title", markup=False)
        with Horizontal(id="pick"):
            yield OptionList(*self._options(), id="experts", markup=False)
            with VerticalScroll(id="about", can_focus=False):
                yield Static("", id="about-text", markup=False)
        with Vertical(id="say"):
            yield Static("", id="ask", markup=False)
            yield Composer("What is to be done?", self.history)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        experts = self.query_one("#experts", OptionList)
        experts.highlighted = self.keys.index(self.chosen)
        self._tell()
        self.query_one(Composer).focus()

    def on_resize(self) -> None:
        """A narrow window has no room for the panel, the next one none for descriptions in the list."""
        width = self.app.size.width
        self.set_class(width < _PANEL, "narrow").set_class(_PANEL <= width < _WIDE, "middle")
        experts = self.query_one("#experts", OptionList)
        for number, key in enumerate(self.keys):
            experts.replace_option_prompt_at_index(number, self._line(key))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show who is chosen."""
        self.chosen = self.keys[event.option_index]
        self._tell()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on to the query."""
        self.chosen = self.keys[event.option_index]
        self.query_one(Composer).focus()

    def on_composer_sent(self, event: Composer.Sent) -> None:
        """Ask."""
        event.stop()
        self.post_message(self.Asked(self.chosen, event.text))

    def action_experts(self) -> None:
        """Back to the list of experts."""
        self.query_one("#experts").focus()

    def _options(self) -> Iterator[Option]:
        for key in self.keys:
            yield Option(self._line(key))

    def _line(self, key: str) -> Text:
        """Between narrow and wide there is room for the names only: the panel beside them says the rest."""
        expert = self.experts[key]
        return _line(key, "" if self.has_class("middle") else expert.description if expert else _FIX_WORDS)

    def _tell(self) -> None:
        self.query_one("#about-text", Static).update(_about(self.experts[self.chosen]))
        asked = Text.assemble(("To ", "dim"), (flat(self.chosen, 60), "bold"))
        self.query_one("#ask", Static).update(asked)


def _title(place: str) -> Text:
    return Text.assemble(("perstack", "bold magenta"), ("  pick an expert, say what is to be done", "dim"), "  ",
                         (shortened(flat(place), 60), "dim"))  # fmt: skip


def _line(key: str, description: str) -> Text:
    line = Text(flat(key, 60), style="bold", no_wrap=True, overflow="ellipsis")
    gap = " " * max(2, _KEYS - line.cell_len)
    return line.append(f"{gap}{flat(description, 120)}", "not bold dim") if description else line


def _about(expert: Expert | None) -> Text:
    if expert is None:
        proof = "The verdict is the harness's: red before, green after, proved in fresh sandboxes."
        return Text.assemble((FIX, "bold"), f"\n\n{_FIX_WORDS}\n\n", (proof, "dim"))
    text = Text(flat(expert.key, 80), style="bold")
    text.append(f"\n\n{flat(expert.description, 600) or 'No description.'}", "not bold")
    skills = ", ".join(flat(name, 60) + _kind(spec.type) for name, spec in expert.skills.items())
    rows = (
        ("delegates", ", ".join(flat(key, 80) for key in expert.delegates) or "none"),
        ("skills", skills or "base tools"),
        ("tier", flat(expert.default_model_tier, 20) or "default"),
        ("version", flat(expert.version, 20)),
    )
    text.append("\n")
    for name, value in rows:
        text.append(f"\n{name:<11}", "not bold dim").append(value, "not bold")
    return text


def _kind(kind: str) -> str:
    return {"interactiveSkill": " (asks you)", "mcpSseSkill": " (remote)"}.get(kind, "")
