"""Queries to the expert that writes checks, and to its second self that answers them. Pure text; decides nothing.

Nothing of a plan, a candidate or a test's body comes in here: the task, the public surface and names of tests only.
"""

from __future__ import annotations

from collections.abc import Sequence

from perstack.context.fix_queries import FixFacts
from perstack.context.prompts import fence

_TESTS = 20
_WRITE = (
    "Write checks for a fix that somebody else makes: calls of the functions below, each with the result that the task "
    "asks for. Call `writeCheck` once for each, at most {limit} times, then end with `attemptCompletion`. Write what "
    "the task and the documentation say; leave out what you would have to guess."
)
_ANSWER = (
    "Say what each of the numbered calls below must give, going by the task and the documentation. Call `answerCall` "
    "once for each one you are sure of, then end with `attemptCompletion`."
)


def write_query(facts: FixFacts, surface: str, limit: int) -> str:
    """Asks for checks."""
    return "\n\n".join((_WRITE.format(limit=limit), *_shared(facts, surface)))


def answer_query(facts: FixFacts, surface: str, questions: Sequence[tuple[str, str]]) -> str:
    """Asks for results. `questions` are calls, each with the call it is compared with or nothing."""
    lines = [
        f"{number}. {call}" + (f"   compared with   {other}" if other else "")
        for number, (call, other) in enumerate(questions, 1)
    ]
    return "\n\n".join((_ANSWER, *_shared(facts, surface), fence("calls", "\n".join(lines))))


def _shared(facts: FixFacts, surface: str) -> tuple[str, ...]:
    names = "\n".join(case.id for case in facts.failing[:_TESTS]) or "(none)"
    return (
        fence("task as written by a person", f"{facts.title}\n\n{facts.text}".strip() or "(no text)"),
        fence("public functions and classes of the project, before the fix", surface),
        fence("names of the tests that fail", names),
    )
