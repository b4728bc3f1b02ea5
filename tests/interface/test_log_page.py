"""How `perstack log` looks: golden text of a job with parallel, nested and failed delegation, and the width rules."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from perstack.core.events import KNOWN_EVENTS, Event
from perstack.core.usage import Usage
from perstack.interface.history.lines import View, targets_of
from perstack.interface.history.page import duration, job_lines, print_lines, report_lines
from perstack.interface.history.report import Report, summary_of
from perstack.interface.history.runs import runs_of
from perstack.interface.history.selection import Selection, select
from tests.interface.log_stories import STARTED, record, told

pytestmark = pytest.mark.anyio

HEAD = """\
(showing latest job)
Storage: /s
Job: job (stoppedByInteractiveTool)
Expert: app
Started: 2025-10-09 08:53:20
Steps: 9
Tokens: 1,010 (in 1,000, 400 of them cached; out 10)
Finished: 2025-10-09 08:53:24 (4.2 s)
Next: perstack run app "your answer" --continue-job job -i

Runs:
  app                   asks       steps 1–9  103 ms  105 tokens  e1
  ├─ @app/plan          completed  steps 3–6   34 ms   45 tokens  e28
  │  └─ @app/plan/deep  completed  step 4       8 ms   15 tokens  e41
  ├─ @app/check #1      completed  step 3       8 ms   15 tokens  e70
  └─ @app/check #2      error      step 3       5 ms    0 tokens  e84

Summary:
"""
ALL = """\
  Events: 40
  Steps: 1-9
  Errors: 2
  Tool calls: 3
  Delegations: 4
"""
STEP_TWO = """\
Events:
──────────────────────────────────────────────────
[Step 2] startGeneration         08:53:20  app
[Step 2] callTools               08:53:20  app
    Tools: plan, check, check
[Step 2] callDelegate            08:53:20  app
    Delegate to: @app/plan, @app/check, @app/check
[Step 2] stopRunByDelegate       08:53:20  app
──────────────────────────────────────────────────
"""
WRONG = """\
Events:
──────────────────────────────────────────────────
[Step 3] startGeneration         08:53:20  @app/check #2
[Step 3] stopRunByError          08:53:20  @app/check #2
    Error: ProviderError
    Message: no such model
    Retryable: no
[Step 7] startRun                08:53:20  app
    Goes on after: stoppedByDelegate
──────────────────────────────────────────────────
(showing 1 of 2 matched events (+2 context))
"""
VERBOSE = """\
[Step 1] callTools               08:53:20  app
    [@perstack/base] read
        Args: {"path":"a.txt"}
    [@perstack/base] break
        Args: {"why":"\\u001b[31mred\\u001b[0m"}
    Tokens: in 10, out 5
[Step 1] startToolCall           08:53:20  app
    toolCallId: call_1
[Step 1] startToolCall           08:53:20  app
    toolCallId: call_2
[Step 1] resolveToolResults      08:53:20  app
    ✓ read: contents of a.txt
    ✗ break: Error calling tool break: it broke
[Step 1] finishToolCall          08:53:20  app
"""


def shown(events: Sequence[Event], wanted: Selection, *, width: int = 0, fold: bool = False, **more: Any) -> str:
    runs, targets = runs_of(events, is_over=True), targets_of(events)
    page = select(events, wanted)
    usage = Usage(1000, 10, 0, 400)
    fields: dict[str, Any] = {"storage": "/s", "is_latest": True, "summary": summary_of(page.matched, targets)} | more
    report = Report(record(events, usage=usage), page, runs, **fields)
    out = io.StringIO()
    console = Console(file=out, width=width or 200, force_terminal=bool(width), color_system=None)
    print_lines(console, report_lines(report, View(runs, targets, wanted.verbose, UTC)), fold=fold)
    return out.getvalue()


async def test_a_whole_job_has_header_tree_summary_and_events() -> None:
    text = shown(await told(), Selection(), next='perstack run app "your answer" --continue-job job -i')
    assert text.startswith(HEAD + ALL)
    assert '[Step 1] startRun                08:53:20  app\n    Query: "Do the <U+202E>thing."\n' in text
    assert '[Step 9] callInteractiveTool     08:53:20  app\n    Asks: askUser {"question":"Shall I?"}\n' in text
    assert "    Reason: ProviderError: overloaded\n" in text
    assert "    Result: The plan is long is long is long is long is long is long is long is long is lon…\n" in text
    assert "unknown" not in text
    assert "\x1b" not in text


async def test_steps_choose_events_and_a_delegation_names_its_experts() -> None:
    assert shown(await told(), Selection(step=lambda step: step == 2)).endswith(STEP_TWO)


async def test_a_page_says_what_it_leaves_out_and_context_is_added_around_it() -> None:
    events = await told()
    wanted = Selection(presets=(frozenset({"stopRunByError", "retry"}),), take=1, context=1)
    assert shown(events, wanted).endswith(WRONG)
    assert shown(events, Selection(types=frozenset({"nothing"}))).endswith(
        f"Events:\n{'─' * 50}\n(none match)\n{'─' * 50}\n"
    )


async def test_verbose_shows_arguments_results_and_tokens() -> None:
    text = shown(await told(), Selection(verbose=True))
    assert VERBOSE in text
    assert "[Run]    skillConnected          08:53:20  app\n    skillName: @perstack/base\n" in text


async def test_the_facts_of_a_fix_are_shown_between_its_runs() -> None:
    facts = [
        Event("startStage", "a", STARTED, "job", payload={"stage": "build", "round": 2, "rounds": 3}),
        Event("completeRun", "b", STARTED, "job", "r", "@fix/build", 12, {"text": "Did it."}),
        Event("computeCandidate", "c", STARTED, "job", payload={"files": ["a.py"], "insertions": 3, "deletions": 1}),
        Event("finishStage", "d", STARTED, "job", payload={"stage": "build", "round": 2, "seconds": 1.5, "ok": False}),
        Event("finishSignal", "e", STARTED, "job",
              payload={"name": "tests", "tree": "base", "run": 2, "status": "fail", "seconds": 5.3}),
        Event("decideVerdict", "f", STARTED, "job", payload={"report": {"verdict": "pass"}}),
        Event("finishJob", "g", STARTED, "job", payload={"outcome": "fixed", "usage": {"x": 1}}),
    ]  # fmt: skip
    assert shown(facts, Selection()).partition(f"Events:\n{'─' * 50}\n")[2] == (
        "[Job]     startStage              08:53:20\n    Stage: build (round 2)\n"
        "[Step 12] completeRun             08:53:20\n    Result: Did it.\n"
        "[Job]     computeCandidate        08:53:20\n    Change: +3 −1 a.py\n"
        "[Job]     finishStage             08:53:20\n    Stage: build (round 2) ✗ 1.5 s\n"
        "[Job]     finishSignal            08:53:20\n    Signal: tests on base, run 2: fail 5.3 s\n"
        "[Job]     decideVerdict           08:53:20\n    Verdict: pass\n"
        "[Job]     finishJob               08:53:20\n    outcome: fixed\n"
        f"{'─' * 50}\n"
    )


async def test_a_terminal_cuts_lines_at_its_width_and_folds_them_when_all_was_asked_for() -> None:
    events = await told()
    line = 'perstack run app "your answer" --continue-job job -i'
    narrow = shown(events, Selection(), width=40, next=line)
    assert f"\nNext: {line}\n" in narrow  # to be copied: never cut
    assert max(cell_len(one) for one in narrow.splitlines() if not one.startswith("Next:")) == 40
    assert "\n    Result: The plan is long is long is…\n" in narrow
    assert f"\n{'─' * 40}\n" in narrow
    folded = shown(events, Selection(verbose=True), width=40, fold=True)
    assert max(map(cell_len, folded.splitlines())) <= 40
    assert folded.count("long") == 30


async def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    events = await told()
    runs = runs_of(events)
    report = Report(record(events), select(events, Selection()), runs)

    def drawn(**console: Any) -> str:
        out = io.StringIO()
        print_lines(Console(file=out, width=100, **console), report_lines(report, View(runs, {}, zone=UTC)))
        return out.getvalue()

    coloured = drawn(force_terminal=True, color_system="standard")
    assert "\x1b[32m" in coloured
    assert "\x1b[32m" not in drawn(force_terminal=True, color_system="standard", no_color=True)
    assert "\x1b" not in drawn()


async def test_jobs_are_listed_with_what_one_asks_first() -> None:
    events = await told()
    jobs = [
        record(events, status="completed", usage=Usage(12_000, 345)),
        record(events, status="running", finished_at=0, started_at=0),
    ]
    out = io.StringIO()
    print_lines(Console(file=out, width=60), job_lines(jobs, "/s", interrupted={"job"}, zone=UTC))
    assert out.getvalue() == (
        "Storage: /s\n"
        "JOB  STATUS       EXPERT  STARTED              STEPS  TOKENS\n"
        "job  interrupted  app     2025-10-09 08:53:20      9  12,345\n"
        "job  interrupted  app     —                        9       0\n"
    )


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-5, "0 ms"), (999, "999 ms"), (12_340, "12.3 s"), (245_000, "4 min 5 s"), (7_380_000, "2 h 3 min")],
)
async def test_durations_are_said_as_people_say_them(ms: int, text: str) -> None:
    assert duration(ms) == text
    assert STARTED


async def test_nothing_in_a_record_steers_the_terminal() -> None:
    evil = "\x1b[31m\x07\u202e[bold]\r\n\x9b5A"
    use: dict[str, Any] = {"usage": {"inputTokens": evil, "totalTokens": evil}, "text": evil, "ok": evil, evil: evil}
    nested: dict[str, Any] = {"id": evil, "toolName": evil, "skillName": evil, "args": {evil: evil}, "query": evil,
                              "status": evil, "name": evil, "message": evil, "type": "textPart", "text": evil,
                              "result": [{"type": "textPart", "text": evil}], "expert": {"key": evil},
                              "stepNumber": evil, "delegateTo": [{"expert": {"key": evil}, "toolCallId": evil}],
                              "verdict": evil}  # fmt: skip
    keys = ("toolCall", "error", "checkpoint", "initialCheckpoint", "newMessage", "report")
    lists = ("toolCalls", "toolResults", "inputMessages", "files")
    payload = {**use, **dict.fromkeys(keys, nested), **{key: [nested] for key in lists}, "reason": evil,
               "stage": evil, "round": evil, "seconds": evil, "run": evil, "insertions": evil}  # fmt: skip
    kinds = [*sorted(KNOWN_EVENTS), evil]
    events = [Event(kind, evil, STARTED, evil, f"{evil}{n}", evil, 1, payload) for n, kind in enumerate(kinds)]
    runs, targets = runs_of(events), targets_of(events)
    page = select(events, Selection(verbose=True, take=0))
    report = Report(
        record(events, id=evil, coordinator_expert_key=evil, status=evil, extra={"error": evil}), page, runs,
        storage=evil, checkpoint={**nested, "messages": [{"type": evil, "contents": [nested]}]}, run=evil, next=evil,
        summary=summary_of(page.matched, targets),
    )  # fmt: skip
    out = io.StringIO()
    for verbose in (False, True):
        lines = report_lines(report, View(runs, targets, verbose, UTC), messages=True)
        print_lines(Console(file=out, width=100), lines)
    print_lines(Console(file=out, width=100), job_lines([report.job], evil, zone=UTC))
    found = {char for char in out.getvalue() if unicodedata.category(char) in {"Cc", "Cf"}}
    assert found == {"\n"}
    assert len(page.events) == len(events)
