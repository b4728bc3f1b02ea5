"""One expert, built in Python, reads a file of its workspace.

The model is scripted, so that this runs without a key and without a network. For a real one, say
provider="anthropic" and set ANTHROPIC_API_KEY.

Prints:
    completed after 2 steps: The shopping list has 3 items.
"""

import asyncio
import tempfile
from pathlib import Path

import perstack
from perstack.testing import done, reply, scripted

COUNTER = perstack.Expert("counter", "Read the file the user names and say how many items it lists.")


async def main() -> None:
    model = scripted(
        reply(calls=[("readTextFile", {"path": "list.txt"})]),
        done("The shopping list has 3 items."),
    )
    with tempfile.TemporaryDirectory() as workspace:
        Path(workspace, "list.txt").write_text("apples\nbread\ntea\n")
        result = await perstack.run(COUNTER, "Count list.txt", workspace=workspace, provider=model)
    print(f"{result.status} after {result.steps} steps: {result.text}")


if __name__ == "__main__":
    asyncio.run(main())
