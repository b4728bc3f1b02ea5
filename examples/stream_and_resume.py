"""Follow a run event by event, stop it in the middle, and go on with its job later.

Prints:
    generation 1
    stopped in the middle
    running
    went on: written
"""

import asyncio
import tempfile

import perstack
from perstack.testing import done, reply, scripted

CONFIG = perstack.Config(experts={"writer": perstack.Expert("writer", "Write what the user asks for.")})


async def main() -> None:
    model = scripted(reply(calls=[("writeTextFile", {"path": "note.txt", "text": "hello"})]), done("written"))
    with tempfile.TemporaryDirectory() as workspace:
        generations = 0
        async with perstack.stream("writer", "Note: hello", config=CONFIG, workspace=workspace, provider=model) as run:
            async for event in run:
                if event.type == "startGeneration":
                    generations += 1
                    print(f"generation {generations}")
                if event.type == "callTools":
                    break
        # Leaving the block stopped the run and everything it had started; the job is on record.
        print("stopped in the middle")
        print(next(job.status for job in perstack.jobs() if job.id == run.job_id))
        result = await perstack.resume(run.job_id, config=CONFIG, workspace=workspace, provider=model)
    print(f"went on: {result.text}")


if __name__ == "__main__":
    asyncio.run(main())
