"""The queries of making an expert: plan, write, look at a failed try. Pure text; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perstack.context.prompts import fence

_MAX_SHOWN = 6000
_PLAN = (
    "Plan one new expert. Hand the plan in with `submitPlan`; what is wrong with it comes back at once. The signal is "
    "run by the harness after one real run of the expert on your query, over your files and nothing else. It must be "
    "red before and green exactly when the work is done. Then end with `attemptCompletion`."
)
_WRITE = (
    "Write the definition of this expert and hand it in with `submitDefinition`. It is checked at once, and every "
    "problem comes back with its line. When it is accepted, end with `attemptCompletion`."
)
_FORM = """\
[experts."KEY"]
version = "1.0.0"
defaultModelTier = "middle"   # low, middle or high
description = "One sentence: what callers get."
instruction = \"\"\"
What somebody has to know to do this well, in at most fifteen lines.
\"\"\"
# delegates = ["@KEY/part"]   # only for a team: experts of this definition, each with its own table

[experts."KEY".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["readTextFile", "attemptCompletion"]   # no tool more than it needs
"""
_LOOK = (
    "A new expert was tried once on the query below, in the workspace you see, and the signal is red. Find out why and "
    "say what has to change in its definition: knowledge it did not have, a tool it lacks, a duty that is not said. "
    "Do not rewrite it. Change nothing."
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for, the experts there are (key → description), skills that may be used (name → TOML-like)."""

    text: str
    key: str
    existing: Mapping[str, str]
    skills: Mapping[str, str]
    tools: Sequence[str]


def plan_query(wish: Wish) -> str:
    """Asks for a plan."""
    there = "\n".join(f"- {key}: {' '.join(text.split()) or '-'}" for key, text in wish.existing.items())
    name = f"Its key is `{wish.key}`." if wish.key else "Choose a short key that says what it does."
    return "\n\n".join(
        (
            _PLAN,
            name,
            fence("what the expert should do", wish.text),
            fence("experts there are; these keys are taken", there),
        )
    )


def write_query(wish: Wish, *, key: str, purpose: str, knowledge: str, query: str, signal: str, last: str = "") -> str:
    """Asks for a definition; `last` is what is known of the try before."""
    parts = [_WRITE, f"The form, with the key `{key}`:\n\n{_FORM.replace('KEY', key)}"]
    parts.append(f"Base tools: {', '.join(wish.tools)}. `exec` runs in a sandbox without network.")
    if wish.skills:
        shown = "\n\n".join(wish.skills.values())
        parts.append(f"Other skills that are allowed, with exactly these tables below the expert's own:\n\n{shown}")
    else:
        parts.append("No other skill is allowed, and delegates only within this definition.")
    told = f"{purpose}\n\n{knowledge}\n\nIt is tried with: {query}\nIt is done when: {signal}".strip()
    parts.append(fence("the plan", told))
    if last:
        parts.append(last)
    return "\n\n".join(parts)


def facts_of_try(definition: str, *, status: str, answer: str, signal: str) -> str:
    """What a red try left behind, for the writer and for whoever looks at it."""
    return "\n\n".join(
        (
            f"The definition that was tried is below. Its run ended `{status}`, and the signal is red: {signal}.",
            fence("the definition that was tried", definition),
            fence("what the expert answered", shortened(answer) or "(nothing)"),
        )
    )


def look_query(facts: str, query: str) -> str:
    """Asks why a try failed. The one who looks has not seen how the definition came about."""
    return "\n\n".join((_LOOK, fence("the query", query), facts))


def shortened(text: str) -> str:
    """A text with its middle left out where it is long."""
    if len(text) <= _MAX_SHOWN:
        return text
    half = _MAX_SHOWN // 2
    return f"{text[:half]}\n… [{len(text) - 2 * half} characters left out]\n{text[-half:]}"
