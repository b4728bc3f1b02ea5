"""The report as one HTML file: no network, a strict content policy, everything that is not ours escaped. Pure.

Threat: messages of tests, patches and words of models hold whatever their authors like. They come in as text only:
escaped by the template, and as JSON without `<` where scripts read them. No script, style or address is made of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from perstack.core.events import Event
from perstack.core.json import compact
from perstack.core.outcome import Ending
from perstack.core.usage import ModelUsage, Usage
from perstack.core.verdict import Verdict
from perstack.core.version import __version__
from perstack.interface.render.sentences import AFTER_VERDICT, ENDING, VERIFIED
from perstack.interface.report.gathered import Gathered

MOST_TESTS = 500
MOST_BARS = 300
MOST_OF_EVENT = 20_000  # characters of one event
MOST_OF_EVENTS = 30_000_000  # characters of all of them
MARKS = {"fixed": "red → green", "red": "still red", "broken": "green → red", "vanished": "gone", "added": "new"}
_SECTIONS = (
    ("verdict", "Verdict"), ("signals", "Signals"), ("tests", "Tests"), ("pictures", "Pictures"), ("change", "Change"),
    ("plan", "Plan"), ("soft", "Soft remarks"), ("time", "Time line"), ("raw", "Events"),
)  # fmt: skip


def html_page(it: Gathered, events: Sequence[Event], pictures: Mapping[str, bytes]) -> str:
    """The whole page. `pictures` are PNG files by the path that evidence gives them; what is missing is left out."""
    style, script = _asset("page.css"), _asset("page.js")
    lines, cut = event_lines(events)
    shown = [(row, _data_address(pictures[row.path])) for row in it.pictures if row.path in pictures]
    has = {"signals": it.signals, "tests": it.tests, "pictures": shown, "change": it.files, "plan": it.plan,
           "soft": it.soft, "time": it.bars}  # fmt: skip
    return _template().render(
        it=it,
        headline=headline(it),
        after=_after(it),
        facts=facts_of(it),
        sections=[(name, word) for name, word in _SECTIONS if has.get(name, True)],
        rounds=range(1, 1 + max((len(row.rounds) for row in it.signals), default=0)),
        tests=it.tests[:MOST_TESTS],
        marks=MARKS,
        pictures=shown,
        unverified=any(hunk.verified is False for file in it.files for hunk in file.hunks),
        bars=it.bars[:MOST_BARS],
        span=max(1, it.ended_ms - it.started_ms),
        count=len(lines),
        cut=cut,
        events=_script_text(json.dumps(lines, ensure_ascii=False)),
        version=__version__,
        style=Markup(style),  # noqa: S704  # ours, and free of `<`
        script=Markup(script),  # noqa: S704  # ours
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def headline(it: Gathered) -> str:
    """What happened, in a few words."""
    if it.outcome in set(Ending):
        return ENDING[Ending(it.outcome)]
    if it.verdict in set(Verdict):
        return VERIFIED[Verdict(it.verdict)]
    return f"{it.kind}: {it.outcome or 'not ended'}"


def facts_of(it: Gathered) -> list[tuple[str, str]]:
    """Names and values of the head of the page; what is not known is left out."""
    tokens = _tokens(it.usage) if it.usage.total_tokens else "none"
    costs = [one.cost_usd for one in it.by_model]
    known = [cost for cost in costs if cost is not None]
    cost = "" if not costs else f"${sum(known):,.4f}" if len(known) == len(costs) else "not known"
    found = [
        ("job", it.job), ("base", it.base[:12]), ("candidate", it.candidate[:12]), ("time", f"{it.seconds:.1f} s"),
        ("steps", str(it.steps) if it.steps else ""), ("tokens", tokens if it.steps else ""),
        ("cost", cost), ("models", "; ".join(map(_model, it.by_model)) or ", ".join(it.models)),
        ("repaired replies", str(repairs) if (repairs := sum(one.repairs for one in it.by_model)) else ""),
    ]  # fmt: skip
    return [(name, value) for name, value in found if value]


def _tokens(usage: Usage) -> str:
    cached = f" ({usage.cached_share:.0%} from cache)" if usage.cached_input_tokens else ""
    return f"{usage.input_tokens:,} in{cached}, {usage.output_tokens:,} out"


def _model(one: ModelUsage) -> str:
    return f"{one.model}: {_tokens(one.usage)}" + (f", ${one.cost_usd:,.4f}" if one.cost_usd is not None else "")


def event_lines(events: Sequence[Event]) -> tuple[list[str], int]:
    """Events as lines of JSON, and how many of them were shortened."""
    lines, cut, room = [], 0, MOST_OF_EVENTS
    for event in events:
        text = compact(event.to_json())
        most = min(MOST_OF_EVENT, max(200, room))
        if len(text) > most:
            text, cut = text[:most] + "…", cut + 1
        room -= len(text)
        lines.append(text)
    return lines, cut


def _after(it: Gathered) -> str:
    return AFTER_VERDICT[Verdict(it.verdict)] if it.verdict in set(Verdict) else ""


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_asset("page.html.j2"))


def _asset(name: str) -> str:
    return (resources.files("perstack.interface.report") / name).read_text("utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _data_address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _script_text(text: str) -> Markup:
    """JSON that cannot end the script element it lies in."""
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return Markup(safe)  # noqa: S704  # nothing in it can begin a tag
