"""An expert asks a question, the program answers it. Days may lie between: the job is on record.

Prints:
    the expert asks: Which colour?
    the answer was used: A blue one it is.
"""

import asyncio

import perstack
from perstack.testing import done, reply, scripted

DEFINITION = """
[experts."buyer"]
instruction = "Ask which colour before you choose."
[experts."buyer".skills."ask"]
type = "interactiveSkill"
[experts."buyer".skills."ask".tools."askUser"]
description = "Ask the user."
inputJsonSchema = '{"type":"object","properties":{"question":{"type":"string"}},"required":["question"]}'
"""


async def main() -> None:
    model = scripted(reply(calls=[("askUser", {"question": "Which colour?"})]), done("A blue one it is."))
    result = await perstack.run("buyer", "Choose a bicycle", config=DEFINITION, provider=model)
    while result.question is not None:
        print(f"the expert asks: {result.question.args['question']}")
        result = await perstack.answer(result.job_id, "Blue", config=DEFINITION, provider=model)
    print(f"the answer was used: {result.text}")


if __name__ == "__main__":
    asyncio.run(main())
