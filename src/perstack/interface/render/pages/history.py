"""A comment's memory: what its hidden data says of results, and the earlier ones as a table. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from perstack.core.json import Json, canonical
from perstack.core.verdict import Report
from perstack.forge.limits import shorten
from perstack.interface.render import facts
from perstack.interface.render.pages import frame
from perstack.interface.story import Story

MAX_PAST = 8
MAX_REASONS = 20
_KEPT = ("command", "head", "verdict", "outcome", "finished", "run", "cost", "result")
_RUN_PAGE = re.compile(r"(https?://.{1,300}/actions/runs/)\d+$")
_MARK = {"pass": "✅", "fail": "❌", "needs-test-change": "✋", "inconclusive": "❔", "error": "⚠️"}


def result_data(story: Story) -> dict[str, Json]:
    """What a result leaves in the hidden data of its comment; `result` is a digest of what matters in it."""
    outcome, report = story.outcome, story.judged
    reasons = list(dict.fromkeys(reason.code.value for reason in report.reasons)) if report else []
    return {
        "head": story.base,
        "commit": story.commit,
        "verdict": story.verdict.value,
        "outcome": outcome.ending.value if outcome else "verified",
        "reasons": reasons[:MAX_REASONS],
        "rounds": len(outcome.rounds) if outcome else 0,
        "tokens_in": outcome.usage.input_tokens if outcome else 0,
        "tokens_out": outcome.usage.output_tokens if outcome else 0,
        "cost": story.cost_usd,
        "result": digest(story),
    }


def digest(story: Story) -> str:
    """The same for the same result: without times, links, tokens and what models say."""
    outcome = story.outcome
    facts_of: dict[str, Json] = {
        "action": story.action,
        "base": story.base,
        "commit": story.commit,
        "claimed": story.claimed,
        "note": story.note,
        "warnings": list(story.warnings),
        "verdict": story.verdict.value,
        "ending": outcome.ending.value if outcome else "",
        "patch": outcome.candidate.digest if outcome and outcome.candidate else "",
        "report": _measured(story.judged),
    }
    return hashlib.sha256(canonical(facts_of).encode("utf-8", "replace")).hexdigest()[:32]


def _measured(report: Report | None) -> Json:
    if report is None:
        return None
    return {
        "reasons": [reason.to_json() for reason in report.reasons],
        "policy": [finding.to_json() for finding in report.policy],
        "hunks": [hunk.to_json() for hunk in report.necessity],
        "signals": [
            [signal.name, signal.baseline.value, signal.status.value, signal.tests.to_json() if signal.tests else None,
             signal.changes.to_json() if signal.changes else None]
            for signal in report.signals
        ],
    }  # fmt: skip


def history_of(data: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    """Earlier results for the next text and the next data: the one that `data` itself tells, then those before it."""
    entries: list[Mapping[str, Json]] = []
    if data.get("verdict"):
        entries.append(_entry(data))
    older = data.get("history")
    if isinstance(older, Sequence) and not isinstance(older, str):
        entries += [_entry(one) for one in older[:MAX_PAST] if isinstance(one, Mapping)]
    return tuple(entries[:MAX_PAST])


def _entry(data: Mapping[str, Json]) -> Mapping[str, Json]:
    """Small whatever it came from: texts are cut, other types than ours are dropped."""
    found: dict[str, Json] = {}
    for key in _KEPT:
        value = data.get(key)
        if isinstance(value, str) and value:
            found[key] = shorten(value, 40)
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            found[key] = value
    return found


def history_fold(history: Sequence[Mapping[str, Json]], run_url: str = "", now: str = "") -> str:
    """Earlier results, folded; empty for none. Links to their runs are made from the address of this one.

    What came to the same as the result with the digest `now` is no news and left out.
    """
    history = [entry for entry in history if not now or entry.get("result") != now]
    if not history:
        return ""
    rows = ["| result | command | commit | when | |", "|---|---|---|---|---|"]
    pages = _RUN_PAGE.match(run_url)
    rows += [_row(entry, pages[1] if pages else "") for entry in history[:MAX_PAST]]
    return facts.details(f"Earlier results ({len(history)})", "\n".join(rows))


def _row(entry: Mapping[str, Json], runs: str) -> str:
    text = {key: str(entry.get(key, "")) for key in _KEPT}
    head = text["head"][:12] if text["head"].isalnum() else ""
    run = frame.link("run", f"{runs}{text['run']}") if runs and text["run"].isdecimal() else ""
    cost = entry.get("cost")
    price = frame.money(float(cost)) if isinstance(cost, int | float) else ""
    mark = _MARK.get(text["verdict"], "·")
    return (
        f"| {mark} {facts.cell(text['outcome'] or text['verdict'], 40)} | {facts.cell(text['command'], 40)} "
        f"| {head} | {_when(text['finished'])} | {frame.line(price, run)} |"
    )


def _when(finished: str) -> str:
    """A time as it was recorded, to the minute; nothing where it is none."""
    try:
        return f"{datetime.fromisoformat(finished):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return ""
