"""Tools of your own, in this process: for what needs your objects, your login, your hardware.

The model decides when they are called and with what, so check what they get as you would a stranger's words.

Prints:
    looked up: tea
    Tea costs 3.
"""

import asyncio
from collections.abc import Callable, Sequence

import perstack
from perstack.core.json import JsonObject
from perstack.testing import done, reply, scripted

PRICES = {"tea": 3, "bread": 2}


class Prices:
    """One tool, `price`. A failure the model can act on is a result with `is_error`, not an exception."""

    name = "prices"

    async def open(self, tell: Callable[[str, JsonObject], None]) -> None:
        tell("skillConnected", {"skillName": self.name})

    async def definitions(self) -> Sequence[perstack.ToolDefinition]:
        schema: JsonObject = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
        # read_only: it may be called at the same time as others, and again after an interruption.
        return [perstack.ToolDefinition("price", "The price of an item.", schema, self.name, read_only=True)]

    async def call(self, call: perstack.ToolCall) -> perstack.ToolResult:
        item = str(call.args.get("item"))
        print(f"looked up: {item}")
        text = str(PRICES[item]) if item in PRICES else f"There is no {item!r}. There are: {', '.join(PRICES)}."
        part = perstack.TextPart(text)
        return perstack.ToolResult(call.id, call.tool_name, (part,), self.name, is_error=item not in PRICES)

    async def close(self) -> None:
        """Called when the run ends."""


async def main() -> None:
    model = scripted(reply(calls=[("price", {"item": "tea"})]), done("Tea costs 3."))
    result = await perstack.run(perstack.Expert("shop", "Answer."), "Tea?", skills=[Prices()], provider=model)
    print(result.text)


if __name__ == "__main__":
    asyncio.run(main())
