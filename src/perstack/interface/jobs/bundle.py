"""The result that a job leaves in a folder, and reading one that a stranger may have written.

The first half runs without rights to write; whoever has them takes nothing of it on trust: see `publishing.py`.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import Json, compact
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.desk import JobResult
from perstack.interface.render import markdown
from perstack.interface.report.on_record import report_of
from perstack.interface.story import Story

ARTIFACT = "perstack-result"
FOLDER = "result"
REPORT = "report.html"
_VERSION = 1
_EVIDENCE = ("evidence.json", "candidate.patch", "results", "pictures")
_LARGEST = 32 * 1024 * 1024
_WORD = re.compile(r"[a-z-]{1,40}")
_SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Claim:
    """What the result of an unprivileged job says of itself. All of it may be a lie."""

    action: str
    head: str
    number: int
    repository_id: int
    verdict: str
    outcome: str
    patch: str


async def leave_result(work: Work, result: JobResult) -> None:
    """Write the result of a job that judged something, for an artifact; and tell where its report is."""
    folder, story = work.desk.folder, result.story
    if folder is None or story is None:
        return
    target = folder / FOLDER
    await to_thread.run_sync(_write, target, work, story)
    await call(work.desk.forge.set_outputs, {"report": str(target / REPORT)})


def _write(target: Path, work: Work, story: Story) -> None:
    trigger, report = work.assignment.trigger, story.judged
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    candidate = story.outcome.candidate if story.outcome else None
    document: dict[str, Json] = {
        "v": _VERSION,
        "action": story.action,
        "repository": trigger.repository,
        "repository_id": trigger.repository_id,
        "number": story.number,
        "head_sha": story.base,
        "verdict": story.verdict.value,
        "outcome": story.outcome.ending.value if story.outcome else "verified",
        "reasons": [reason.code.value for reason in report.reasons] if report else [],
        "run": work.desk.process.run,
        "attempt": work.desk.process.attempt,
    }
    (target / "result.json").write_text(compact(document) + "\n", "utf-8")
    (target / "patch.diff").write_bytes(candidate.patch.encode("utf-8", "surrogateescape") if candidate else b"")
    (target / "report.md").write_text(markdown.summary(story), "utf-8", errors="replace")
    if work.folder is not None and (work.folder / "events.jsonl").is_file():
        shutil.copyfile(work.folder / "events.jsonl", target / "events.jsonl")
        page = report_of(api.Archive(work.folder.parents[1]), work.folder.name)
        (target / REPORT).write_text(page, "utf-8", errors="replace")
    if report is not None and report.evidence:
        source = Path(report.evidence).parent
        for name in _EVIDENCE:
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name)
            elif (source / name).is_file():
                shutil.copyfile(source / name, target / name)


async def read_claim(data: bytes, into: Path) -> Claim:
    """Unpack an artifact and read what it claims.

    Raises: UserError for anything that is not exactly a result of ours in form.
    """
    names = await api.unpacked(data, into)
    if "result.json" not in names:
        raise UserError("the artifact holds no result.json", hint="let the action write it; do not make it by hand")
    try:
        document = json.loads(_small(into / "result.json"))
        patch = _small(into / "patch.diff").decode("utf-8", "surrogateescape") if "patch.diff" in names else ""
    except (ValueError, RecursionError) as error:
        raise UserError(f"the artifact's result.json cannot be read: {error}") from error
    if not isinstance(document, dict) or document.get("v") != _VERSION:
        raise UserError("the artifact's result.json is not of a form that this version reads")
    words = [document.get(name) for name in ("action", "verdict", "outcome")]
    numbers = [document.get(name) for name in ("number", "repository_id")]
    head = document.get("head_sha")
    texts = [word for word in words if isinstance(word, str) and _WORD.fullmatch(word)]
    ints = [value for value in numbers if isinstance(value, int) and not isinstance(value, bool) and value >= 0]
    if len(texts) != len(words) or len(ints) != len(numbers) or not (isinstance(head, str) and _SHA.fullmatch(head)):
        raise UserError("the artifact's result.json has fields of another form than ours")
    return Claim(texts[0], head, ints[0], ints[1], texts[1], texts[2], patch)


def _small(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path.name} of the artifact is larger than {_LARGEST:,} bytes")
    return path.read_bytes()
