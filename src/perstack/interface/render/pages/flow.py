"""A job as a Mermaid flowchart: stages, colours, verdict. Pure; labels hold letters, digits and a few signs only."""

from __future__ import annotations

from perstack.core.outcome import Ending
from perstack.core.verdict import Verdict
from perstack.interface.progress import StageLine, StageState
from perstack.interface.render import facts
from perstack.interface.render.sentences import ENDING, VERIFIED
from perstack.interface.story import Story

MAX_STAGES = 20
MAX_ACROSS = 8  # more nodes in one row would be too small to read
MAX_LABEL = 60
_SIGNS = frozenset(" .,:/_+−-→·…()")
_CLASS = {
    StageState.WAITING: "wait",
    StageState.RUNNING: "wait",
    StageState.DONE: "good",
    StageState.FAILED: "bad",
}
_VERDICT_CLASS = {Verdict.PASS: "good", Verdict.FAIL: "bad"}
_STYLES = (
    "classDef good fill:#dafbe1,stroke:#2da44e,color:#1f2328",
    "classDef bad fill:#ffebe9,stroke:#cf222e,color:#1f2328",
    "classDef ask fill:#fff8c5,stroke:#bf8700,color:#1f2328",
    "classDef wait fill:#f6f8fa,stroke:#8c959f,color:#1f2328",
)


def diagram(story: Story) -> str:
    """A fenced Mermaid block; empty where there is no stage to show. A failed round leads back to the next one."""
    lines = [line for line in story.view.lines if line.stage != "prepare"]
    if not lines:
        return ""
    shown = lines if len(lines) <= MAX_STAGES else [*lines[:2], *lines[2 - MAX_STAGES :]]
    nodes = [_node(f"s{n}", _told(line), _stage_class(line), "([", "])") for n, line in enumerate(shown, 1)]
    arrows = [_arrow(f"s{n}", f"s{n + 1}", line, shown[n]) for n, line in enumerate(shown[:-1], 1)]
    if len(lines) > len(shown):
        arrows[1] = f's2 -->|"{len(lines) - len(shown)} stages left out"| s3'
    verdict = _VERDICT_CLASS.get(story.verdict, "ask")
    last = _node("v", _ending(story), verdict, "{{", "}}")
    body = (
        f"flowchart {'LR' if len(nodes) < MAX_ACROSS else 'TD'}",
        *nodes,
        last,
        *arrows,
        f"s{len(shown)} --> v",
        *_STYLES,
    )
    return "```mermaid\n" + "\n  ".join(body) + "\n```"


def label(text: str) -> str:
    """Text that cannot leave a Mermaid label: everything but letters, digits and a few signs becomes a dot."""
    flat = " ".join(text[: 8 * MAX_LABEL].split())[:MAX_LABEL]
    return "".join(c if c.isalnum() or c in _SIGNS else "·" for c in flat)


def _node(name: str, text: str, style: str, opened: str, closed: str) -> str:
    return f'{name}{opened}"{text}"{closed}:::{style}'


def _stage_class(line: StageLine) -> str:
    """Red on the base commit is what a fix starts from, and no failure of the stage."""
    return "wait" if line.stage == "baseline" and line.state is StageState.DONE else _CLASS[line.state]


def _told(line: StageLine) -> str:
    name = {"baseline": "base commit"}.get(line.stage, line.stage)
    parts = [label(f"{name} {line.round}" if line.round else name)]
    if line.note:
        parts.append(label(line.note))
    if line.seconds:
        parts.append(f"{line.seconds:.1f} s")
    return "<br>".join(parts)


def _arrow(start: str, end: str, line: StageLine, after: StageLine) -> str:
    again = line.stage == "verify" and line.state is StageState.FAILED and after.round > line.round
    return f'{start} -.->|"again"| {end}' if again else f"{start} --> {end}"


def _ending(story: Story) -> str:
    outcome, report = story.outcome, story.judged
    told = VERIFIED[story.verdict]
    if outcome is not None and (outcome.ending is Ending.FIXED or story.verdict is not Verdict.NEEDS_TEST_CHANGE):
        told = ENDING[outcome.ending]
    counts = facts.colours(report.signals).split(", ")[:3] if report else []
    return "<br>".join(filter(None, (label(f"verdict: {story.verdict}"), label(told), label(", ".join(counts)))))
