"""A model of your own: anything that turns a request into a reply.

Prints:
    You said: Hello. I know 4 tools.
"""

import asyncio
from collections.abc import Callable

import perstack


class Echo:
    """Says back what it was told. A real one would ask its server here, and retry what may be retried."""

    name = "echo"

    async def generate(
        self, request: perstack.ModelRequest, on_delta: Callable[[perstack.Delta], None]
    ) -> perstack.ModelReply:
        said = request.messages[0]
        words = said.contents[0] if isinstance(said, perstack.UserMessage) else None
        text = words.text if isinstance(words, perstack.TextPart) else ""
        answer = f"You said: {text}. I know {len(request.tools)} tools."
        on_delta(perstack.Delta("text", answer))
        return perstack.ModelReply(
            (perstack.TextPart(answer),), perstack.StopReason.END, perstack.Usage(len(text), len(answer))
        )

    async def close(self) -> None:
        """Yours to call: a run leaves it open."""


async def main() -> None:
    four = perstack.SkillSpec(
        perstack.BASE_SKILL, pick=("readTextFile", "listDirectory", "getFileInfo", "attemptCompletion")
    )
    expert = perstack.Expert("parrot", "Repeat.", skills={perstack.BASE_SKILL: four})
    result = await perstack.run(expert, "Hello", provider=Echo())
    print(result.text)


if __name__ == "__main__":
    asyncio.run(main())
