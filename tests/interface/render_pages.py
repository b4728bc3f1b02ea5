"""Pages that no result stands behind, for the tests of texts and for looking at them: plan, review, answer, remarks."""

from __future__ import annotations

from dataclasses import replace

from perstack.core.json import Json
from perstack.core.signals import Diagnostic
from perstack.core.usage import Usage
from perstack.core.verdict import Reason, ReasonCode, Verdict
from perstack.interface.render import markdown
from perstack.interface.story import AnswerStory, InlineReview, MadeStory, PlanStory, ReviewStory
from tests.interface.render_stories import BASE, CHANGE, HOSTILE, PATCH, RUN, report

# What the pull request itself changes: the candidate's lines are among those it shows.
PULL_DIFF = """diff --git a/stats.py b/stats.py
index 0000001..1111111 100644
--- a/stats.py
+++ b/stats.py
@@ -5,4 +5,8 @@ import math
 # order statistics
 def median(values):
     \"\"\"The middle.\"\"\"
+    ordered = sorted(values)
+    middle = len(ordered) // 2
+    if len(ordered) % 2 == 0:
+        return ordered[middle]
     return ordered[middle]
"""
FINDINGS = (
    Diagnostic("stats.py", 9, "warning", "line does more than one thing", code="B018"),
    Diagnostic("stats.py", 10, "error", 'Operator "//" not supported for types\n  Left operand is of type "str"',
               code="operator"),
    Diagnostic("other.py", 3, "error", "undefined name `x`", code="F821"),
)  # fmt: skip
SPENT = Usage(5_210, 812)


def inline() -> InlineReview:
    return markdown.inline_review(PULL_DIFF, FINDINGS, PATCH)


def plan(text: str = "The median of an even list takes one middle value.\n\n1. `stats.py`: use the mean of both.\n"
                     "2. Nothing else needs to change.") -> PlanStory:  # fmt: skip
    return PlanStory("ada-maintains", BASE, text, "5d41" * 16, usage=SPENT, cost_usd=0.021, run_url=RUN)


def review(text: str = "The branch for even lists returns the upper of the two middle values.\n"
                       "- `quartiles` has the same shape and may have the same bug.") -> ReviewStory:  # fmt: skip
    return ReviewStory("ada-maintains", BASE, text, inline=inline(), usage=SPENT, cost_usd=0.021, run_url=RUN)


def answer(text: str = "I added type hints to `median`.") -> AnswerStory:
    judged = report(Verdict.INCONCLUSIVE, Reason(ReasonCode.NOTHING_RED, "every signal was green before"))
    return AnswerStory("@docs/types", "ada-maintains", BASE, text, CHANGE, judged, SPENT, 0.004, RUN)


def made(text: str = 'the answer has "it is 4" in it') -> MadeStory:
    """An expert that was made, proposed by a branch."""
    rights = {text: ("base tool attemptCompletion", text)}
    return MadeStory("ada-maintains", BASE, text, text, text, 2, rights, CHANGE, text, note=text, error=text)


def data(*codes: ReasonCode) -> dict[str, Json]:
    """The data of a result that failed."""
    shown = codes or (ReasonCode.TEST_BROKEN, ReasonCode.PROTECTED_PATH, ReasonCode.STILL_FAILING)
    return {"v": 1, "command": "fix", "head": BASE, "state": "done", "verdict": "fail", "outcome": "rounds-used",
            "reasons": [code.value for code in shown]}  # fmt: skip


def hostile_pages() -> dict[str, str]:
    """Everything above, written by strangers."""
    nasty = tuple(Diagnostic("stats.py", n, HOSTILE, f"{HOSTILE}{n}", code=HOSTILE) for n in range(1, 13)) * 100
    remarks = markdown.inline_review(PULL_DIFF, nasty)
    spoilt: dict[str, Json] = dict.fromkeys(("command", "head", "outcome", "finished", "run", "reasons"), HOSTILE)
    return {
        "plan": markdown.plan_comment(plan(HOSTILE * 900)),
        "review": markdown.review_comment(review(HOSTILE * 900)),
        "answer": markdown.expert_answer(AnswerStory(HOSTILE, HOSTILE, BASE, HOSTILE * 900, CHANGE)),
        "made": markdown.made_comment(made(HOSTILE * 900)),
        "not made": markdown.made_comment(replace(made(HOSTILE * 900), candidate=None)),
        "made for": markdown.made_body(made(HOSTILE * 900)),
        "explain": markdown.explain({**spoilt, "verdict": "fail"}, actor=HOSTILE, url="https://x/)](http://e.vil)"),
        "stopped": markdown.stopped(HOSTILE, HOSTILE),
        "stop": markdown.stop_answer(HOSTILE),
        "superseded": markdown.superseded(HOSTILE, HOSTILE * 9, HOSTILE),
        "remark": remarks.comments[0].body,
        "remarks": markdown.review_body(remarks),
        "history": markdown.progress_comment(HOSTILE, HOSTILE, BASE, markdown.Story("fix", "", "").view, note=HOSTILE,
                                             history=markdown.history_of({**spoilt, "verdict": HOSTILE})),
    }  # fmt: skip
