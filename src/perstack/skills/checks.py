"""The tools `writeCheck` and `answerCall`: an expert's checks of a fix as data. They see no tree and run nothing.

What is accepted is decided by the harness's `accept`; what cannot be read goes back to its author with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from perstack.skills.single import DataSkill
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

SKILL_NAME: Final = "perstack/checks"
Accept = Callable[[Mapping[str, str], int], str]
"""Takes the texts of one call by name and its `number` (0 where there is none); says what became of it.

Raises: ToolError where it cannot be used.
"""

_RESULTS = {
    "expected": Parameter(Kind.STRING, "the result as a Python literal, for example [1, 2.5]", required=False),
    "raises": Parameter(Kind.STRING, "instead: the name of the exception the call raises", required=False),
    "sameAs": Parameter(Kind.STRING, "instead: another call that must give the same result", required=False),
}


def writing(accept: Accept) -> DataSkill:
    """The author's tool."""
    call = Parameter(Kind.STRING, "a call by full dotted name, with literal arguments: shop.total([3, 4], tax=0.2)")
    return DataSkill(
        Tool(
            "writeCheck",
            "Writes one check: a call, and exactly one of `expected`, `raises` and `sameAs`. It is run later, where "
            "you cannot see it.",
            _handler(accept),
            {"call": call, **_RESULTS},
        ),
        SKILL_NAME,
    )


def answering(accept: Accept) -> DataSkill:
    """The second author's tool."""
    return DataSkill(
        Tool(
            "answerCall",
            "Answers one numbered question with exactly one of `expected`, `raises` and, where the question names a "
            "second call and both must give the same result, `sameAs` with that call.",
            _handler(accept),
            {"number": Parameter(Kind.INTEGER, "the question's number"), **_RESULTS},
        ),
        SKILL_NAME,
    )


def _handler(accept: Accept) -> Callable[[Arguments], Awaitable[Answer]]:
    async def handle(arguments: Arguments) -> Answer:
        texts = {name: value for name, value in arguments.values.items() if isinstance(value, str)}
        return Answer({"status": accept(texts, arguments.number("number") or 0)})

    return handle
