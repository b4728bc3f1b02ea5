"""What this terminal can show: whether there is one at all, colours, light or dark, and characters beyond ASCII.

Decides from what is handed in; reads no environment by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.filter import LineFilter
from textual.theme import Theme

from perstack.core.errors import UserError

_ASCII = str.maketrans(
    "❯∴◆✓✗◌●→▸±▌│├└━─┃·…–−▔▁▎▊█▄▀▆▂╭╮╰╯┌┐┘┤┬┴┼║═▪•◉○›‹⏎↑↓←⇥×",
    ">:*+x.o>>+|||`=-|..--~_||##=#_+++++++++++|=**oo>>^^v<>x",
)
_LIGHT_BACKGROUNDS = frozenset({"7", "9", "10", "11", "12", "13", "14", "15"})
# The greys have little colour: with 256 colours, a strong one would become a blue.
DARK = Theme(
    "perstack-dark", primary="#8fb8e8", secondary="#a9b1c4", accent="#c3a6ff", warning="#e5c07b", error="#ef7d85",
    success="#8ec98a", foreground="#d5d9e2", background="#16181b", surface="#1c1e23", panel="#262931", dark=True,
    variables={"footer-key-foreground": "#8fb8e8", "border": "#41454f", "border-blurred": "#2d3037",
               "footer-background": "#16181b", "footer-description-foreground": "#8a92a3"},
)  # fmt: skip
LIGHT = Theme(
    "perstack-light", primary="#2b5fa8", secondary="#566074", accent="#7443b8", warning="#8a5a00", error="#b3261e",
    success="#2c7a33", foreground="#1f2430", background="#fbfbfc", surface="#f3f3f6", panel="#e7e8ec", dark=False,
    variables={"footer-key-foreground": "#2b5fa8", "border": "#c6c9d1", "border-blurred": "#dedfe4",
               "footer-background": "#fbfbfc", "footer-description-foreground": "#5f687a"},
)  # fmt: skip
# What the words red, green, … mean in the rows.
DARK_WORDS = TerminalTheme(
    (22, 24, 27), (213, 217, 226),
    [(58, 64, 80), (239, 125, 133), (142, 201, 138), (229, 192, 123), (143, 184, 232), (195, 166, 255),
     (126, 200, 205), (213, 217, 226)],
)  # fmt: skip
LIGHT_WORDS = TerminalTheme(
    (251, 251, 252), (31, 36, 48),
    [(195, 200, 212), (179, 38, 30), (44, 122, 51), (138, 90, 0), (43, 95, 168), (116, 67, 184), (15, 112, 120),
     (31, 36, 48)],
)  # fmt: skip


def require_terminal(env: Mapping[str, str], *, is_terminal: bool, is_tall: bool = True) -> None:
    """Raises: UserError where there is no terminal to draw on, with what to do instead."""
    hint = 'Run it without a terminal: perstack run EXPERT "query" (events as JSON lines on stdout).'
    if not is_terminal:
        raise UserError("perstack start needs a terminal: stdin, stdout and stderr", hint=hint)
    if env.get("TERM", "") in {"", "dumb", "unknown"}:
        term = env.get("TERM", "")
        raise UserError(f"perstack start needs a terminal that can move its cursor; TERM is `{term}`", hint=hint)
    if not is_tall:
        raise UserError("perstack start needs a window of at least 40 columns and 10 lines", hint="Make it larger.")


def is_ascii_only(env: Mapping[str, str], encoding: str) -> bool:
    """Whether the locale says that the terminal does not read UTF-8."""
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    if locale:
        return "utf8" not in locale.lower().replace("-", "")
    return encoding.lower().replace("-", "").replace("_", "") != "utf8"


def is_light(env: Mapping[str, str]) -> bool:
    """Whether the terminal says that its background is light. Most say nothing: dark."""
    return env.get("COLORFGBG", "").rpartition(";")[2] in _LIGHT_BACKGROUNDS


class AsciiFilter(LineFilter):
    """Every line in ASCII, cell for cell: marks by their likeness, all other characters as `?`."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Segments of the same widths."""
        del background
        return [Segment(_in_ascii(text), style, control) for text, style, control in segments]


@lru_cache(4096)
def _in_ascii(text: str) -> str:
    if text.isascii():
        return text
    shown = text.translate(_ASCII)
    return "".join(char if char.isascii() else "?" * cell_len(char) for char in shown)
