"""Events of a job whose every free text is hostile, for tests of its report."""

from __future__ import annotations

from typing import Any

from perstack.core.events import Event

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> "
    "\x1b[31m\u202e{{ 7*7 }}"
)
PATCH = f"""diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,3 +1,3 @@ def f():
 a = 1
-b = 2
+b = 3  # {HOSTILE}
 c = 4
@@ -10,2 +10,3 @@
 x = 1
+y = 2
 z = 3
"""


def event(type_: str, at: int, **payload: Any) -> Event:
    """One event of a job, `at` milliseconds after its start."""
    run, expert, step = payload.pop("run", ""), payload.pop("expert", ""), payload.pop("step", 0)
    return Event(type_, f"e{at}-{type_}", 1_700_000_000_000 + at, "job1", run, expert, step, payload)


def report(verdict: str, status: str, **more: Any) -> dict[str, Any]:
    """A report as `decideVerdict` has it."""
    tests = {"fail_to_pass": [f"t.py::{HOSTILE}"], "broken": ["t.py::test_b"], "pass_to_pass": 41}
    failure = {"id": "t.py::test_b", "status": "failed", "message": HOSTILE, "path": "calc.py", "line": 2}
    signal = {
        "name": "tests", "kind": "test", "priority": "must", "status": status, "baseline": "fail", "tests": tests,
        "failures": [failure], "diagnostics": [{"path": "calc.py", "line": 2, "message": HOSTILE, "severity": "error"}],
        "pictures": ["pictures/abc.png"],
    }  # fmt: skip
    reasons = [{"code": "test-broken", "signal": "tests", "detail": HOSTILE}, {"code": "new-code", "detail": "?"}]
    necessity = [{"path": "calc.py", "hunk": 1, "verified": True}, {"path": "calc.py", "hunk": 2, "verified": False}]
    return {"verdict": verdict, "reasons": reasons if verdict != "pass" else [], "signals": [signal], "base": "b" * 40,
            "necessity": necessity, "remarks": [HOSTILE], **more}  # fmt: skip


def job(extra: int = 0) -> list[Event]:
    """Two rounds: the first fails, the second passes; with `extra` more events at the end."""
    call = {"id": "c1", "toolName": "exec", "args": {"command": HOSTILE}}
    checkpoint = {"checkpoint": {"status": "completed", "usage": {"inputTokens": 5, "outputTokens": 7}}}
    events = [
        event("startJob", 0, kind="fix"),
        event("startStage", 10, stage="baseline", round=0),
        event("measureBaseline", 100, signals={"tests": ["fail", "fail"]}),
        event("finishStage", 110, stage="baseline", round=0, ok=True),
        event("startRun", 200, run="r1", expert="@fix/build", step=1, initialCheckpoint={"status": "init"}),
        event("callTools", 300, run="r1", expert="@fix/build", step=1, toolCalls=[call]),
        event("resolveToolResults", 900, run="r1", expert="@fix/build", step=1, toolResults=[{"id": "c1"}]),
        event("completeRun", 1000, run="r1", expert="@fix/build", step=2, text=HOSTILE, **checkpoint),
        event("decideVerdict", 1500, round=1, report=report("fail", "fail")),
        event("computeCandidate", 1600, round=2, patch=PATCH, files=["calc.py"]),
        event("startStage", 1700, stage="verify", round=2),
        event("decideVerdict", 2000, round=2, report=report("fail", "pass")),
        event("remark", 2100, text=HOSTILE),
        event("finishJob", 2200, outcome="rounds-used", verdict="fail", usage={"inputTokens": 5, "outputTokens": 7}),
    ]
    return events + [event("progress", 2300 + n, message=f"message {n} {HOSTILE}") for n in range(extra)]
