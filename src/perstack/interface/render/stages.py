"""The stages of a running job as Markdown and as words. Pure; the terminal draws the same view by itself."""

from __future__ import annotations

from perstack.interface.progress import MAX_RUNS, JobView, StageLine, StageState
from perstack.interface.render import facts

MAX_LINES = 14
MARK = {
    StageState.WAITING: "▫️",
    StageState.RUNNING: "⏳",
    StageState.DONE: "✔️",
    StageState.FAILED: "✖️",
}
TEXT = {
    "prepare": "prepare the sandbox",
    "baseline": "measure the base commit",
    "plan": "plan",
    "build": "build",
    "verify": "verify in fresh sandboxes",
    "publish": "publish",
}
_DOT = {status.value: mark for status, mark in facts.MARK.items()}


def label(line: StageLine, rounds: int = 0) -> str:
    """What a stage is called, with its round."""
    name = TEXT.get(line.stage, line.stage)
    if not line.round:
        return name
    return f"{name}, round {line.round}{f' of {rounds}' if rounds else ''}"


def checklist(view: JobView) -> str:
    """All stages so far, the last ones where there are many, and the signals as they stand."""
    lines = [_line(view, line) for line in view.lines[-MAX_LINES:]]
    if len(view.lines) > MAX_LINES:
        lines.insert(0, f"- … {len(view.lines) - MAX_LINES} earlier stages")
    if not lines:
        lines = [f"- {MARK[StageState.RUNNING]} read the repository"]
    if view.steps:
        tokens = f", {view.tokens:,} tokens" if view.tokens else ""
        lines.append(f"\n{facts.count(view.steps, 'step')}{tokens} so far")
    return "\n".join(lines)


def now(view: JobView) -> str:
    """The running stage in a few words."""
    running = [line for line in view.lines if line.state is StageState.RUNNING]
    return label(running[-1], view.rounds) if running else "working"


def dots(line: StageLine) -> dict[str, dict[str, tuple[str, ...]]]:
    """Signal → tree → status of each run, `running` for the ones at work."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for runs in sorted(line.signals, key=lambda one: one.tree != "base"):
        found.setdefault(runs.name, {})[runs.tree] = (*runs.results, *(["running"] * min(runs.running, MAX_RUNS)))
    return found


def _line(view: JobView, line: StageLine) -> str:
    note = f" · {facts.prose(line.note, 120)}" if line.note else ""
    seconds = f" ({line.seconds:.1f} s)" if line.seconds else ""
    parts = [f"- {MARK[line.state]} {label(line, view.rounds)}{note}{seconds}"]
    for name, trees in dots(line).items():
        told = [f"{tree} {''.join(_DOT.get(run, '⏳') for run in runs)}" for tree, runs in trees.items()]
        parts.append(f"  - {facts.code(name, 40)}: {', '.join(told)}")
    return "\n".join(parts)
