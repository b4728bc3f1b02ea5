"""The report as one HTML file: no network, a strict content policy, everything that is not ours escaped. Pure.

Threat: messages of tests, patches and words of models hold whatever their authors like. They come in as text only:
escaped by the template, and as JSON without `<` where scripts read them. No script, style or address is made of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
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
from perstack.interface.render.facts import visible
from perstack.interface.render.sentences import AFTER_VERDICT, ENDING, VERIFIED
from perstack.interface.report.course import Bar
from perstack.interface.report.gathered import Gathered, SignalRow, TestRow, Why

MOST_TESTS = 500
MOST_BARS = 300
MOST_EXPERTS = 200
MOST_FINDINGS = 200
MOST_CALM = 12  # signals that were green throughout and are shown beside the others without being asked for
MOST_TOLD = 5  # times that one reason is told without being asked for
MOST_OPEN = 400  # lines of one file that are shown without being asked for
MOST_OF_EVENT = 20_000  # characters of one event
MOST_OF_EVENTS = 30_000_000  # characters of all of them
MARKS = {"fixed": "red → green", "red": "still red", "broken": "green → red", "vanished": "gone", "added": "new"}
_WORST_FIRST = ("broken", "vanished", "red", "flaky", "skipped", "fixed", "added")
_SECTIONS = (
    ("verdict", "Verdict"), ("signals", "Signals"), ("tests", "Tests"), ("pictures", "Pictures"), ("change", "Change"),
    ("findings", "Findings"), ("plan", "Plan"), ("soft", "Soft remarks"), ("experts", "Experts"), ("cost", "Cost"),
    ("time", "Time line"), ("raw", "Events"),
)  # fmt: skip
_ENDS = {
    "completed": "done", "planned": "a plan was made", "no-plan": "no plan was made", "reviewed": "done",
    "measured": "a share was measured", "created": "an expert was made", "not-created": "no expert was made",
    "stoppedByError": "stopped by an error", "stoppedByExceededMaxSteps": "out of steps",
    "stoppedByInteractiveTool": "waits for an answer", "interrupted": "interrupted", "running": "at work",
}  # fmt: skip
_DONE = frozenset({"completed", "planned", "reviewed", "measured", "created"})


def html_page(it: Gathered, events: Sequence[Event], pictures: Mapping[str, bytes]) -> str:
    """The whole page. `pictures` are PNG files by the path that evidence gives them; what is missing is left out."""
    style, script = _asset("page.css"), _asset("page.js")
    lines, cut = event_lines(events)
    shown = [(row, _data_address(pictures[row.path])) for row in it.pictures if row.path in pictures]
    lively, calm = _by_interest(it.signals)
    bars = chosen(it.bars)
    has = {"signals": it.signals, "tests": it.tests, "pictures": shown, "change": it.files, "findings": it.elsewhere,
           "plan": it.plan, "soft": it.soft, "experts": it.experts, "cost": it.by_model, "time": bars}  # fmt: skip
    return _template().render(
        it=it,
        headline=headline(it),
        tone=tone_of(it),
        after=_after(it),
        answer=next((one for one in reversed(it.experts) if not one.depth), None) if not it.verdict else None,
        facts=facts_of(it),
        sections=[(name, word) for name, word in _SECTIONS if has.get(name, True)],
        rounds=range(1, 1 + max((len(row.rounds) for row in it.signals), default=0)),
        reasons=_by_code(it.reasons),
        most_told=MOST_TOLD,
        ends=_ENDS,
        lively=lively,
        calm=calm,
        tests=_worst_first(it)[:MOST_TESTS],
        marks=MARKS,
        pictures=shown,
        unverified=any(hunk.verified is False for file in it.files for hunk in file.hunks),
        most_open=MOST_OPEN,
        findings=it.elsewhere[:MOST_FINDINGS],
        experts=it.experts[:MOST_EXPERTS],
        bars=bars,
        span=max(1, it.ended_ms - it.started_ms),
        count=len(lines),
        started=it.started_ms,
        cut=cut,
        events=_script_text(json.dumps(lines, ensure_ascii=False)),
        version=__version__,
        style=Markup(style),  # noqa: S704  # ours, and free of `<`
        script=Markup(script),  # noqa: S704  # ours
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _by_code(reasons: Sequence[Why]) -> list[tuple[Why, list[Why]]]:
    """Reasons of one code together, in the order of their first."""
    found: dict[str, list[Why]] = {}
    for why in reasons:
        found.setdefault(why.code, []).append(why)
    return [(rows[0], rows) for rows in found.values()]


def _by_interest(rows: Sequence[SignalRow]) -> tuple[list[SignalRow], list[SignalRow]]:
    """Signals that were ever anything but green, and the others; few of those are shown among the first."""
    calm = [row for row in rows if {row.base, *row.rounds} <= {"pass", ""} and row.rounds]
    if len(calm) <= MOST_CALM:
        return [*rows], []
    quiet = set(map(id, calm))
    return [row for row in rows if id(row) not in quiet], calm


def _worst_first(it: Gathered) -> list[TestRow]:
    """What speaks against the change first; where nothing does, what was fixed."""
    if it.verdict == Verdict.PASS:
        return [*it.tests]
    place = {mark: number for number, mark in enumerate(_WORST_FIRST)}
    return sorted(it.tests, key=lambda row: place.get(row.mark, len(place)))


def chosen(bars: Sequence[Bar]) -> list[Bar]:
    """At most `MOST_BARS`, in order: stages, experts and signals before tools, and of each kind the longest."""
    if len(bars) <= MOST_BARS:
        return [*bars]
    kinds = ("stage", "expert", "signal", "tool")
    first = sorted(range(len(bars)), key=lambda n: (kinds.index(bars[n].kind), bars[n].start - bars[n].end))
    return [bars[number] for number in sorted(first[:MOST_BARS])]


def headline(it: Gathered) -> str:
    """What happened, in a few words."""
    if it.outcome in set(Ending):
        return ENDING[Ending(it.outcome)]
    if it.verdict in set(Verdict):
        return VERIFIED[Verdict(it.verdict)]
    end = end_of(it)
    return f"{end[:1].upper()}{end[1:]}"


def end_of(it: Gathered) -> str:
    """How a job without a verdict ended."""
    return "stopped by an error" if it.error else _ENDS.get(it.outcome, it.outcome or "no end on record")


def tone_of(it: Gathered) -> str:
    """The colour of the head: a verdict's, or how a job without one ended."""
    if it.verdict in set(Verdict):
        return it.verdict
    if it.error or it.outcome == "stoppedByError":
        return "error"
    return "done" if it.outcome in _DONE else "inconclusive"


def facts_of(it: Gathered) -> list[tuple[str, str]]:
    """Names and values of the head of the page; what is not known is left out."""
    tokens = tokens_of(it.usage) if it.usage.total_tokens else "none"
    found = [
        ("job", it.job), ("base", it.base[:12]), ("candidate", it.candidate[:12]), ("started", _date(it.started_ms)),
        ("time", duration(it.ended_ms - it.started_ms)), ("sandbox", it.sandbox),
        ("rounds", str(len(it.rounds)) if len(it.rounds) > 1 else ""), ("steps", str(it.steps) if it.steps else ""),
        ("tokens", tokens if it.steps else ""), ("cost", _cost(it.by_model)),
        ("models", ", ".join(one.model for one in it.by_model) or ", ".join(it.models)),
        ("repaired replies", str(repairs) if (repairs := sum(one.repairs for one in it.by_model)) else ""),
    ]  # fmt: skip
    return [(name, value) for name, value in found if value]


def duration(ms: int) -> str:
    """A time as people say it."""
    seconds = max(0, ms) / 1000
    if 0 < seconds < 1:
        return f"{ms} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min {rest:02} s"


def _date(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC") if ms else ""
    except (ValueError, OverflowError, OSError):
        return ""  # a log may claim any time


def _cost(models: Iterable[ModelUsage]) -> str:
    costs = [one.cost_usd for one in models]
    known = [cost for cost in costs if cost is not None]
    return "" if not costs else f"${sum(known):,.4f}" if len(known) == len(costs) else "not known"


def tokens_of(usage: Usage) -> str:
    """Tokens in and out, and how many of them came from a cache."""
    cached = f" ({usage.cached_share:.0%} from cache)" if usage.cached_input_tokens else ""
    return f"{usage.input_tokens:,} in{cached}, {usage.output_tokens:,} out"


def event_lines(events: Sequence[Event]) -> tuple[list[str], int]:
    """Events as lines of JSON, and how many of them were shortened."""
    lines, cut, room = [], 0, MOST_OF_EVENTS
    for event in events:
        text = compact(event.to_json())
        most = min(MOST_OF_EVENT, max(200, room))
        if len(text) > most:
            text, cut = _shortened(event, text, most), cut + 1
        room -= len(text)
        lines.append(text)
    return lines, cut


def _shortened(event: Event, text: str, most: int) -> str:
    """The envelope of an event with the beginning of its text, as JSON again."""
    head = Event(event.type, event.id, event.timestamp, event.job_id, event.run_id, event.expert_key, event.step_number)
    return compact({**head.to_json(), "shortened": f"{len(text):,} characters", "begins": text[:most]})


def _after(it: Gathered) -> str:
    return AFTER_VERDICT[Verdict(it.verdict)] if it.verdict in set(Verdict) else ""


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalized
    )
    environment.filters |= {"duration": duration, "tokens": tokens_of, "line": _line}
    return environment.from_string(_asset("page.html.j2"))


def _finalized(value: object) -> object:
    """Texts with what people do not see written out: direction marks, zero width, colours of terminals."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _line(text: str) -> str:
    """A line of a patch: nothing of it is dropped, not even what a terminal would swallow."""
    return text.removesuffix("\r").replace("\x1b", "<U+001B>") + ("␍" if text.endswith("\r") else "")


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
