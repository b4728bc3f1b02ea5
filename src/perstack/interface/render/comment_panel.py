"""A comment of ours on a terminal. By itself: reading Markdown takes longer to load than the rest of a command."""

from __future__ import annotations

import re

from rich.console import Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from perstack.core.verdict import Report
from perstack.interface.render.terminal import signal_table

_FOLD = re.compile(r"<details(?: open)?>\s*<summary>(.*?)</summary>.*?</details>", re.DOTALL)
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
_TAG = re.compile(r"</?(?:sub|i|b)>")


def markdown_panel(title: str, text: str, report: Report | None = None) -> RenderableType:
    """Markdown of ours as people see it on the forge: folds closed, links as words, the table drawn from `report`."""
    folds = [f"▸ {_TAG.sub('', name)}" for name in _FOLD.findall(text)]
    shown = _LINK.sub(r"\1", _TAG.sub("", _FOLD.sub("", text))).strip()
    shown, _, footer = shown.rpartition("\n\n")
    parts: list[RenderableType] = []
    for part in filter(None, (part.strip() for part in shown.split("\n\n"))):
        if part.startswith("| |") and report is not None:
            parts += [Padding(signal_table(report), (0, 1)), Text()]
        else:
            parts += [Markdown(part), Text()]
    parts.append(Text("\n".join([*folds, footer]), style="dim"))
    return Panel(Group(*parts), title=title, title_align="left", border_style="blue")
