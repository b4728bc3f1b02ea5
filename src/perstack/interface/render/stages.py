"""The stages of a job as Markdown and as words. Pure; the terminal draws the same view by itself.

Texts made here change only when the job gets on: no clock that runs, so that nothing is posted for nothing.
"""

from __future__ import annotations

from perstack.interface.progress import MAX_RUNS, JobView, StageLine, StageState
from perstack.interface.render import facts

MAX_LINES = 14
MAX_COLUMNS = 4  # rounds of the signals' table, the last ones
MAX_ROWS = 12
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
    "checks": "write checks from the task alone",
    "build": "build",
    "verify": "verify in fresh sandboxes",
    "publish": "publish",
}
RUNNING = "running"
READING = "read the repository"  # before the first stage
_DOT = {status.value: mark for status, mark in facts.MARK.items()} | {RUNNING: "⏳"}


def label(line: StageLine, rounds: int = 0) -> str:
    """What a stage is called, with its round."""
    name = TEXT.get(line.stage) or facts.prose(line.stage, 60)  # a log may hold names that are not ours
    if not line.round:
        return name
    return f"{name}, round {line.round}{f' of {rounds}' if rounds else ''}"


def live(view: JobView) -> str:
    """Everything about a running job: signals as they stand, then stages, then effort so far."""
    steps = f"{facts.count(view.steps, 'step')}{f', {view.tokens:,} tokens' if view.tokens else ''} so far"
    return "\n\n".join(filter(None, (signal_table(view), stage_table(view), steps if view.steps else "")))


def stage_table(view: JobView) -> str:
    """One row a stage, the last ones where there are many."""
    rows = ["| | stage | time | |", "|---|---|--:|---|"]
    if not view.lines:
        return "\n".join((*rows, f"| {MARK[StageState.RUNNING]} | {READING} | | |"))
    if len(view.lines) > MAX_LINES:
        rows.append(f"| … | {facts.count(len(view.lines) - MAX_LINES, 'earlier stage')} | | |")
    for line in view.lines[-MAX_LINES:]:
        seconds = f"{line.seconds:.1f} s" if line.seconds else ""
        note = _in_table(facts.prose(line.note, 120))
        rows.append(f"| {MARK[line.state]} | {_in_table(label(line, view.rounds))} | {seconds} | {note} |")
    return "\n".join(rows)


def signal_table(view: JobView) -> str:
    """Signal × base commit and rounds: the colour of every run so far. Empty before the first run."""
    base: dict[str, tuple[str, ...]] = {}
    columns: dict[int, dict[str, tuple[str, ...]]] = {}
    for line in view.lines:
        for name, trees in dots(line).items():
            for tree, runs in trees.items():
                place = base if tree == "base" else columns.setdefault(line.round, {})
                place[name] = runs
    shown = sorted(columns)[-MAX_COLUMNS:]
    names = dict.fromkeys((*base, *(name for column in columns.values() for name in column)))
    if not names:
        return ""
    heads = ["signal", "base commit", *(f"round {n}" if n else "with the change" for n in shown)]
    rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name in list(names)[:MAX_ROWS]:
        cells = (_marks(base.get(name, ())), *(_marks(columns[n].get(name, ())) for n in shown))
        rows.append(f"| {facts.cell(name, 40)} | {' | '.join(cells)} |")
    if len(names) > MAX_ROWS:
        rows.append(f"| … and {len(names) - MAX_ROWS} more |{' |' * (len(heads) - 1)}")
    return "\n".join(rows)


def now(view: JobView) -> str:
    """The running stage in a few words."""
    running = [line for line in view.lines if line.state is StageState.RUNNING]
    return label(running[-1], view.rounds) if running else "working"


def dots(line: StageLine) -> dict[str, dict[str, tuple[str, ...]]]:
    """Signal → tree → status of each run, `running` for the ones at work."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for runs in sorted(line.signals, key=lambda one: one.tree != "base"):
        found.setdefault(runs.name, {})[runs.tree] = (*runs.results, *([RUNNING] * min(runs.running, MAX_RUNS)))
    return found


def _in_table(prose: str) -> str:
    return prose.replace("|", "\\|")


def _marks(runs: tuple[str, ...]) -> str:
    return "".join(_DOT.get(run, _DOT["error"]) for run in runs[:MAX_RUNS])
