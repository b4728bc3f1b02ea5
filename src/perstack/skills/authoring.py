"""The tools `submitPlan` and `submitDefinition`: a new expert as data. What is accepted, the harness decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from perstack.skills.single import DataSkill
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

SKILL_NAME: Final = "perstack/authoring"
Accept = Callable[[Mapping[str, str], Mapping[str, str]], str]
"""Takes the texts of one call by name, and `files` (path → text); says what became of it.

Raises: ToolError where it cannot be used.
"""


def planning(accept: Accept, signals: Mapping[str, str]) -> DataSkill:
    """The planner's tool. `signals` are the kinds of completion signal, with what each says."""
    told = "; ".join(f"{kind}: {words}" for kind, words in signals.items())
    texts = {
        "key": "the key of the new expert: lower-case letters, digits and `-`",
        "purpose": "what it is for and what a right result is, in a few sentences",
        "knowledge": "what somebody has to know to do it well: rules of the domain, not steps and not tools",
        "query": "one query that it is tried with, as a user would ask it",
        "check": f"the completion signal, one of: {told}",
    }
    optional = {
        "path": "the file that the signal is about",
        "pattern": "text that must be in the answer or the file; `*` stands for any text",
    }
    parameters = {name: Parameter(Kind.STRING, text) for name, text in texts.items()}
    parameters |= {name: Parameter(Kind.STRING, text, required=False) for name, text in optional.items()}
    parameters["files"] = Parameter(
        Kind.STRING_MAP, "the files that are in the workspace before the try: path → text", required=False
    )
    words = "Hands in the plan: what the expert is for, and the one query and the one signal by which it is tried."
    return DataSkill(Tool("submitPlan", words, _handler(accept), parameters), SKILL_NAME)


def defining(accept: Accept) -> DataSkill:
    """The writer's tool."""
    text = Parameter(Kind.STRING, 'the [experts."…"] tables as TOML, and nothing else')
    words = "Hands in the definition. It is checked at once; every problem comes back with its line."
    return DataSkill(Tool("submitDefinition", words, _handler(accept), {"toml": text}), SKILL_NAME)


def _handler(accept: Accept) -> Callable[[Arguments], Awaitable[Answer]]:
    async def handle(arguments: Arguments) -> Answer:
        texts = {name: value for name, value in arguments.values.items() if isinstance(value, str)}
        return Answer({"status": accept(texts, arguments.mapping("files"))})

    return handle
