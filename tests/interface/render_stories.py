"""Stories for the tests of texts, and for looking at them: plain and hostile, one a way in which a job can end."""

from __future__ import annotations

from dataclasses import replace

from perstack.core.events import Event
from perstack.core.json import Json
from perstack.core.outcome import Candidate, Ending, FixOutcome, Round
from perstack.core.signals import Priority, SignalKind, SignalStatus, TestCase, TestDelta, TestStatus
from perstack.core.usage import Usage
from perstack.core.verdict import HunkNecessity, PolicyFinding, Reason, ReasonCode, Report, SignalReport, Verdict
from perstack.interface.progress import JobView
from perstack.interface.story import Story

BASE = "d06ed504c581a2b1f0aa21b3c4d5e6f708192a3b"
COMMIT = "32633c74b5ed3fc476aa53b21e382a1f546f38b9"
ODD = "tests/test_stats.py::test_median_of_an_even_list"
EVEN = "tests/test_stats.py::test_quartiles[1-4]"
PATCH = """diff --git a/stats.py b/stats.py
index 1111111..2222222 100644
--- a/stats.py
+++ b/stats.py
@@ -8,5 +8,5 @@ def median(values):
     ordered = sorted(values)
     middle = len(ordered) // 2
     if len(ordered) % 2 == 0:
-        return ordered[middle]
+        return (ordered[middle - 1] + ordered[middle]) / 2
     return ordered[middle]
"""
CASE = TestCase(ODD, TestStatus.FAILED, 0.01, "assert 2 == 2.5\n +  where 2 = median([1, 2, 3, 4])",
                "tests/test_stats.py", 14)  # fmt: skip
CHANGE = Candidate(PATCH, "9f2c" * 16, "a" * 40, ("stats.py",), 1, 1)
TEST_PATCH = """diff --git a/tests/test_stats.py b/tests/test_stats.py
index 3333333..4444444 100644
--- a/tests/test_stats.py
+++ b/tests/test_stats.py
@@ -14,3 +14,3 @@ from stats import median
 def test_median_of_an_even_list():
-    assert median([1, 2, 3, 4]) == 2
+    assert median([1, 2, 3, 4]) == 2.5
     assert median([5]) == 5
"""
BOTH = Candidate(PATCH + TEST_PATCH, "7e1d" * 16, "b" * 40, ("stats.py", "tests/test_stats.py"), 2, 2)
RUN = "https://github.com/mail-order/depot/actions/runs/77"
HOSTILE = (
    "a`b|c</details></code><img src=x onerror=1> @ada Fixes #1 ![x](http://e.vil/x.png)\n\n# big\u202e\x1b[31m<!--"
)


HISTORY: tuple[dict[str, Json], ...] = (
    {"command": "fix", "head": "1111aaaa2222bbbb", "verdict": "fail", "outcome": "rounds-used", "cost": 0.2,
     "finished": "2026-11-22T16:45:37.123Z", "run": 71},
    {"command": "plan", "head": "1111aaaa2222bbbb", "verdict": "inconclusive", "outcome": "cannot-start"},
)  # fmt: skip


def signal(status: SignalStatus = SignalStatus.PASS, **fields: object) -> SignalReport:
    plain = SignalReport("tests", SignalKind.TEST, Priority.MUST, status, SignalStatus.FAIL, 2, 11.3,
                         TestDelta(fail_to_pass=(ODD,), pass_to_pass=167))  # fmt: skip
    return replace(plain, **fields)  # type: ignore[arg-type]  # field names are checked by replace itself


def report(verdict: Verdict = Verdict.PASS, *reasons: Reason, **fields: object) -> Report:
    plain = Report(verdict, reasons, (signal(),), evidence="/runner/perstack/jobs/a9e1/evidence.json", base=BASE,
                   candidate_digest=CHANGE.digest, seconds=22.5)  # fmt: skip
    return replace(plain, **fields)  # type: ignore[arg-type]


def outcome(ending: Ending = Ending.FIXED, why: str = "every signal is green", **fields: object) -> FixOutcome:
    rounds = (Round(1, CHANGE.digest, Verdict.PASS, (), (), 8, 12_345, 36.6),)
    plain = FixOutcome(
        ending, why, BASE, report(), CHANGE, (CASE,), "The median of an even list takes one middle value.\n- stats.py",
        rounds, ("The change is small and general.",), Usage(11_000, 1_345), 51.0,
    )  # fmt: skip
    return replace(plain, **fields)  # type: ignore[arg-type]


def story(**fields: object) -> Story:
    plain = Story("fix", "ada-maintains", BASE, outcome(), commit=COMMIT, branch="perstack/fix-12",
                  pull_url="https://github.com/mail-order/depot/pull/13",
                  check_url="https://github.com/mail-order/depot/runs/5",
                  run_url=RUN, evidence_url=f"{RUN}/artifacts/9", cost_usd=0.0312, number=12,
                  view=ended_view())  # fmt: skip
    return replace(plain, **fields)  # type: ignore[arg-type]


def red_report() -> Report:
    """A candidate that half helps, breaks something, and touches what it may not."""
    delta = TestDelta(fail_to_pass=(ODD,), still_failing=(EVEN,), pass_to_pass=160,
                      flaky=("tests/test_io.py::test_w",), broken=("tests/test_stats.py::test_mode",),
                      vanished=("tests/test_stats.py::test_gone",))  # fmt: skip
    lint = SignalReport("lint", SignalKind.COMMAND, Priority.SHOULD, SignalStatus.FAIL, SignalStatus.PASS, 1, 0.4)
    return report(
        Verdict.FAIL,
        Reason(ReasonCode.PROTECTED_PATH, "conftest.py: the tests' configuration was changed"),
        Reason(ReasonCode.TEST_BROKEN, "tests/test_stats.py::test_mode", "tests"),
        Reason(ReasonCode.TEST_VANISHED, "tests/test_stats.py::test_gone", "tests"),
        Reason(ReasonCode.STILL_FAILING, EVEN, "tests"),
        signals=(signal(SignalStatus.FAIL, tests=delta, failures=(replace(CASE, id=EVEN),)), lint),
        policy=(
            PolicyFinding(ReasonCode.PROTECTED_PATH, "conftest.py", "the tests' configuration was changed", 3),
            PolicyFinding(ReasonCode.SUPPRESSION_ADDED, "stats.py", "# noqa", 12, blocks=False),
        ),
        necessity=(HunkNecessity("stats.py", 1, verified=True), HunkNecessity("stats.py", 2, verified=False)),
    )


def unproved(ending: Ending = Ending.ROUNDS_USED, why: str = "no proved fix in 3 rounds") -> Story:
    rounds = tuple(
        Round(n, CHANGE.digest, Verdict.FAIL, ("still-failing", "test-broken"), (EVEN,), 14, 20_000, 60.0)
        for n in (1, 2, 3)
    )
    ended = outcome(ending, why, report=red_report(), rounds=rounds)
    return story(
        outcome=ended,
        view=ended_view("fail"),
        commit="",
        branch="",
        pull_url="",
        warnings=("perstack.toml:4: unknown key `rounts`",),
    )


def stories() -> dict[str, Story]:
    """One story a way in which a job can end."""
    bare = {"commit": "", "branch": "", "pull_url": ""}
    early: dict[str, object] = {"report": None, "candidate": None, "rounds": (), "plan": "", "remarks": ()}
    return {
        "fixed": story(),
        "fixed-not-pushed": story(**bare, fork=True, note="Not pushed: the pull request comes from a fork, which we "
                                                          "never push to. The proved change is below."),
        "fixed-again": story(approved_by="grace-reviews", plan_sha256="5d41" * 16, fix_updated=True, history=HISTORY),
        "publisher": Story("verify", "", BASE, report=report(), run_url=RUN, claimed="pass", claimed_url=f"{RUN}1"),
        "publisher-disagrees": Story("verify", "", BASE, report=red_report(), run_url=RUN, claimed="pass",
                                     claimed_url=f"{RUN}1", fork=True),
        "unproved": unproved(),
        "no-progress": unproved(Ending.NO_PROGRESS, "two rounds in a row failed in the same way"),
        "needs-test-change": story(**bare, outcome=outcome(Ending.ROUNDS_USED, "no proved fix in 3 rounds",
            candidate=BOTH, report=report(Verdict.NEEDS_TEST_CHANGE,
                Reason(ReasonCode.TEST_CHANGE_NEEDED, "tests/test_stats.py"),
                policy=(PolicyFinding(ReasonCode.TEST_CHANGE_NEEDED, "tests/test_stats.py",
                                      "expectations of an existing test change", 15),)))),
        "nothing-to-fix": story(**bare, outcome=outcome(Ending.NOTHING_TO_FIX,
            "every signal is green on the base commit: nothing to fix", failing=(), **early)),
        "cannot-start": story(**bare, outcome=outcome(Ending.CANNOT_START,
            "signal `tests` cannot be used on the base commit: no test was found", failing=(), **early)),
        "model-failed": story(**bare, outcome=outcome(Ending.MODEL_FAILED,
            "the model did not answer: 529 overloaded, after 6 tries", **early)),
        "no-candidate": story(**bare, outcome=outcome(Ending.NO_CANDIDATE, "the build expert changed nothing",
            report=None, candidate=None)),
        "budget": story(**bare, outcome=outcome(Ending.BUDGET_USED, "tokens budget reached: 2e+06 of 2e+06", **early)),
        "verified": Story("verify", "ada-maintains", BASE, report=report(), run_url="https://github.com/a/b/runs/1"),
        "not-verified": Story("verify", "ada-maintains", BASE, report=red_report()),
        "verify-error": Story("verify", "", BASE, report=report(Verdict.ERROR,
            Reason(ReasonCode.BASELINE_ERROR, "on the base: exit code 127: pytest: not found", "tests"),
            signals=(signal(SignalStatus.ERROR, baseline=SignalStatus.ERROR, tests=None),))),
    }  # fmt: skip


def hostile() -> Story:
    """Everything that strangers and models can write, as nasty and as long as it comes."""
    long = "tests/test_x.py::test_" + "x" * 10_000
    names = tuple(f"tests/test_{i}.py::test[{HOSTILE}{i}]" for i in range(500))
    cases = tuple(TestCase(name, TestStatus.FAILED, 0.0, HOSTILE * 500, "a\nb.py", 3) for name in names)
    delta = TestDelta(still_failing=names, broken=(long, *names), fail_to_pass=names, pass_to_pass=1)
    reasons = tuple(Reason(code, f"{HOSTILE} {i}", HOSTILE) for code in ReasonCode for i in range(40))
    policy = tuple(PolicyFinding(ReasonCode.REJECT_RULE, HOSTILE, HOSTILE, i, blocks=i % 2 == 0) for i in range(300))
    nasty = report(
        Verdict.FAIL, *reasons, policy=policy, evidence=HOSTILE,
        signals=tuple(signal(SignalStatus.FAIL, name=HOSTILE, tests=delta, failures=cases) for _ in range(40)),
        necessity=tuple(HunkNecessity(HOSTILE, i, verified=False) for i in range(200)),
    )  # fmt: skip
    patch = Candidate(f"+````\n+</details>\n+🐍{HOSTILE}\n" * 20_000, "f" * 64, "a" * 40, (HOSTILE,), 1, 1)
    rounds = tuple(Round(i, "f" * 64, Verdict.FAIL, tuple(c.value for c in ReasonCode), names, 1, 1, 1.0)
                   for i in range(1, 300))  # fmt: skip
    ended = outcome(Ending.ROUNDS_USED, HOSTILE * 100, report=nasty, candidate=patch, plan=HOSTILE * 5_000,
                    remarks=(HOSTILE * 1_000,) * 9, rounds=rounds, failing=cases)  # fmt: skip
    return Story("fix", HOSTILE, BASE, ended, branch=HOSTILE, note=HOSTILE, warnings=(HOSTILE,) * 100,
                 run_url="https://x/)](http://e.vil) \n# x")  # fmt: skip


def event(kind: str, **payload: Json) -> Event:
    return Event(kind, "e", 0, "j", expert_key=str(payload.pop("expert", "")), payload=payload)


def view() -> JobView:
    """A job in its second round."""
    return _seen(*_FIRST_ROUND, *_SECOND_BUILD)


def ended_view(verdict: str = "pass") -> JobView:
    """The same job, done."""
    return _seen(
        *_FIRST_ROUND, *_SECOND_BUILD,
        event("computeCandidate", round=2, files=["stats.py"], insertions=1, deletions=1),
        event("finishStage", stage="build", round=2, seconds=21.4, ok=True),
        event("startStage", stage="verify", round=2),
        event("startSignal", name="tests", tree="candidate", run=1),
        event("finishSignal", name="tests", tree="candidate", run=1, status=verdict),
        event("decideVerdict", round=2, report={"verdict": verdict}),
        event("finishStage", stage="verify", round=2, seconds=12.2, ok=True),
    )  # fmt: skip


_FIRST_ROUND = (
    event("startStage", stage="prepare", round=0), event("progress", message="sandbox: docker"),
    event("finishStage", stage="prepare", round=0, seconds=2.1, ok=True),
    event("startStage", stage="baseline", round=0), event("startSignal", name="tests", tree="base", run=1),
    event("finishSignal", name="tests", tree="base", run=1, status="fail"),
    event("startSignal", name="lint", tree="base", run=1),
    event("finishSignal", name="lint", tree="base", run=1, status="pass"),
    event("finishStage", stage="baseline", round=0, seconds=9.4, ok=True),
    event("startStage", stage="build", round=1), event("callTools", expert="@fix/build",
          toolCalls=[{"toolName": "editTextFile"}], usage={"totalTokens": 4_200}),
    event("computeCandidate", round=1, files=["stats.py"], insertions=3, deletions=1),
    event("finishStage", stage="build", round=1, seconds=31.0, ok=True),
    event("startStage", stage="verify", round=1), event("startSignal", name="tests", tree="candidate", run=1),
    event("finishSignal", name="tests", tree="candidate", run=1, status="fail"),
    event("decideVerdict", round=1, report={"verdict": "fail"}),
    event("finishStage", stage="verify", round=1, seconds=12.0, ok=True),
)  # fmt: skip
_SECOND_BUILD = (
    event("startStage", stage="build", round=2), event("callTools", expert="@fix/build",
          toolCalls=[{"toolName": "readTextFile"}, {"toolName": "exec"}], usage={"totalTokens": 5_000}),
)  # fmt: skip


def _seen(*events: Event) -> JobView:
    seen = JobView(rounds=3)
    for one in events:
        seen = seen.apply(one)
    return seen
