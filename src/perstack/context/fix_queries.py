"""Queries of the fix pipeline: what plan, build and verify are asked. Pure text; decides nothing.

Each query ends with one fenced JSON block of hard facts, so that a model-free provider can read it too.
Everything from a person, a test or a log is fenced and labelled as data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perstack.context.prompts import fence
from perstack.core.json import Json, JsonObject, compact
from perstack.core.signals import SignalSpec, TestCase
from perstack.core.verdict import Report, Verdict

MAX_FAILURES = 20
MAX_MESSAGE = 1500
MAX_DIFF = 60_000

_PLAN = (
    "Find the cause of the failing signals below and write a plan for the fix: the cause at file and line, "
    "the files to change, and which signals must turn green. Do not change anything."
)
_BUILD = (
    "Change the code so that the failing signals below turn green and nothing that is green turns red. "
    "Tests, their data and the configuration are protected: a change to them is refused. "
    "The result is judged from the files alone, in a place you cannot reach."
)
_ADVISED = (
    "The change is in your workspace already, and a reviewer has looked at it. Take from the advice what is right, "
    "leave the rest, and end. The advice decides nothing: the signals do."
)
_VERIFY = (
    "Call `runSignals` once and read its verdict. Then remark on the change in a few sentences: does it treat "
    "the cause, what might it miss? The verdict is the harness's; a remark cannot change it."
)


@dataclass(frozen=True, slots=True)
class FixFacts:
    """What every expert of the pipeline may know: the task as written by people, and what the signals said."""

    title: str
    text: str
    specs: tuple[SignalSpec, ...]
    failing: tuple[TestCase, ...]
    output: str = ""
    protected: tuple[str, ...] = ()
    source: str = ""
    """Lines of the base commit that the failures name: for who plans and builds."""


def plan_query(facts: FixFacts) -> str:
    """Asks for a cause, the files to change and the signals that must turn green."""
    return "\n\n".join(
        (
            _PLAN,
            *_shared(facts),
            *_source(facts),
            _facts_block("plan", facts),
        )
    )


def build_query(
    facts: FixFacts, plan: str, *, feedback: Report | None = None, rejected: Sequence[str] = (), advice: str = ""
) -> str:
    """Asks for the change itself. `feedback` is the last verdict; `rejected` are patches that did not pass.

    `advice` is a reviewer's, on the change that lies in the workspace already.
    """
    parts = [
        _BUILD,
        *_shared(facts),
        *_source(facts),
        fence("plan from the planning expert", plan or "(no plan)"),
    ]
    if feedback is not None:
        parts.append(fence("verdict on your last attempt", feedback_text(feedback)))
    if advice:
        parts += [_ADVISED, fence("advice of a reviewer, who may be wrong", advice)]
    parts.append(_facts_block("build", facts, rejected=rejected, feedback=feedback))
    return "\n\n".join(parts)


def verify_query(facts: FixFacts, plan: str, diff: str) -> str:
    """Asks for a look at the change. Carries nothing of what the builder said."""
    return "\n\n".join(
        (
            _VERIFY,
            *_shared(facts),
            fence("plan from the planning expert", plan or "(no plan)"),
            fence("the change under verification", _cut(diff, MAX_DIFF)),
            _facts_block("verify", facts),
        )
    )


def feedback_text(report: Report) -> str:
    """The hard facts of a verdict that is not `pass`, and nothing of the verifier."""
    if report.verdict is Verdict.PASS:
        return "verdict: pass"
    lines = [f"verdict: {report.verdict}"]
    lines += [f"- {r.code}{f' ({r.signal})' if r.signal else ''}: {r.detail}" for r in report.reasons]
    for finding in report.policy:
        place = f"{finding.path}:{finding.line}" if finding.line else finding.path
        lines.append(f"- policy {finding.code} at {place}: {finding.detail}")
    for signal in report.signals:
        for diagnostic in signal.diagnostics[:MAX_FAILURES]:
            lines.append(f"- {diagnostic.path}:{diagnostic.line}: {diagnostic.severity}: {diagnostic.message}")
        for case in signal.failures[:MAX_FAILURES]:
            lines.append(f"\n{case.id} [{case.status}]\n{_cut(case.message, MAX_MESSAGE)}")
        if signal.output and not signal.failures:
            lines.append(f"\noutput of {signal.name}:\n{_cut(signal.output, 4 * MAX_MESSAGE)}")
    return "\n".join(lines)


def _shared(facts: FixFacts) -> tuple[str, ...]:
    parts = [fence("task as written by a person", f"{facts.title}\n\n{facts.text}".strip() or "(no text)")]
    failing = "\n\n".join(
        f"{case.id} [{case.status}]\n{_cut(case.message, MAX_MESSAGE)}" for case in facts.failing[:MAX_FAILURES]
    )
    if len(facts.failing) > MAX_FAILURES:
        failing += f"\n\n… and {len(facts.failing) - MAX_FAILURES} more"
    if failing:
        parts.append(fence("failing tests on the base commit", failing))
    elif facts.output:
        parts.append(fence("output of the failing signal on the base commit", _cut(facts.output, 4 * MAX_MESSAGE)))
    return tuple(parts)


def _source(facts: FixFacts) -> tuple[str, ...]:
    return (fence("lines that the failures name, on the base commit", facts.source),) if facts.source else ()


def _facts_block(role: str, facts: FixFacts, *, rejected: Sequence[str] = (), feedback: Report | None = None) -> str:
    block: dict[str, Json] = {
        "perstack": 1,
        "role": role,
        "signals": [_signal(spec) for spec in facts.specs],
        "failing": [
            {"id": case.id, "message": _cut(case.message, MAX_MESSAGE), "path": case.path, "line": case.line}
            for case in facts.failing[:MAX_FAILURES]
        ],
        "protected": list(facts.protected),
    }
    if rejected:
        block["rejected"] = list(rejected)
    if feedback is not None:
        block["feedback"] = feedback_text(feedback)
    # A fence inside a message would end the block early; JSON keeps its meaning with the backtick escaped.
    text = compact(block).replace("`", "\\u0060")
    return f"```json\n{text}\n```"


def _signal(spec: SignalSpec) -> JsonObject:
    return {
        "name": spec.name,
        "kind": spec.kind.value,
        "run": list(spec.run),
        "framework": spec.framework,
        "cwd": spec.cwd,
        "timeoutMs": round(spec.timeout_s * 1000),
    }


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = (limit - 40) // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters left out] …\n{text[-half:]}"
