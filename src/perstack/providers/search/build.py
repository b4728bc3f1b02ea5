"""The build role: locate, try, edit, confirm, complete. One move at a time; pure.

Everything happens through tool calls: the worker runs inside the sandbox through `exec`, and what it finds becomes one
visible `editTextFile` call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perstack.core.json import Json, JsonObject, compact
from perstack.providers.search.bundle import install_arguments
from perstack.providers.search.progress import Progress, Stage
from perstack.providers.search.query import Query, Runner, Signal, read_runner

_LONGEST_MS = 600_000  # what the exec tool allows


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search. Seconds; `first` is the first round, `round` each later one, `confirm` the whole suite."""

    total_s: float = 240.0
    first_s: float = 15.0
    round_s: float = 40.0
    confirm_s: float = 480.0
    processes: int = 2


@dataclass(frozen=True, slots=True)
class Move:
    """One reply: what to say and the one tool to call."""

    say: str
    tool: str
    args: Mapping[str, Json]


def build_move(query: Query | None, progress: Progress, effort: Effort) -> Move:
    """The next move of a build run."""
    if query is None:
        return _complete('No edit: the query has no JSON block marked "perstack", so there is nothing to search by.')
    suite = query.suite
    if suite is None:
        return _complete("No edit: none of the signals runs pytest, and this builder only works with a pytest suite.")
    if progress.stage in {Stage.STUCK, Stage.FIXED}:
        return _complete(_account(progress, suite) if progress.applied else f"No edit found: {progress.problem}.")
    if progress.stage is Stage.UNDO:
        return _edit("Taking back the rejected patch.", progress.undo[0], suite)
    if progress.stage is Stage.REVERT and progress.applied:
        back = {**progress.applied, "oldText": progress.applied["newText"], "newText": progress.applied["oldText"]}
        return _edit("The suite refuses this edit; taking it back.", back, suite)
    runner = read_runner(suite.run)
    if progress.stage is Stage.START:
        return _exec("Locating the fault.", _spec(query, suite, runner, "locate", effort), runner, progress)
    if progress.stage is Stage.CONFIRM:
        spec = _spec(query, suite, runner, "confirm", effort)
        return _exec("Confirming with the whole suite.", spec, runner, progress)
    return _search_move(query, progress, effort, runner)


def _search_move(query: Query, progress: Progress, effort: Effort, runner: Runner) -> Move:
    suite = query.suite
    if suite is None:
        return _complete("No edit: no pytest signal.")
    if progress.queue:
        found = progress.queue[0]
        say = f"{_tried(progress)} This one passes: {found.get('kind')} at {_place(found, suite)}."
        return _edit(say, found, suite)
    if progress.exhausted or progress.seconds >= effort.total_s:
        why = "every edit was tried" if progress.exhausted else "the time for searching is over"
        return _complete(f"No edit found: {why}. {_tried(progress)}{_suspects(progress)}")
    spec = _spec(query, suite, runner, "try", effort)
    spec["cursor"] = progress.cursor
    spec["seconds"] = min(effort.round_s if progress.tries else effort.first_s, effort.total_s - progress.seconds + 1)
    say = f"{_tried(progress)} None passes yet." if progress.tries else _suspects(progress).strip()
    return _exec(say, spec, runner, progress)


def _spec(query: Query, suite: Signal, runner: Runner, command: str, effort: Effort) -> dict[str, Json]:
    seconds = {"locate": 45.0, "confirm": effort.confirm_s}.get(command, effort.first_s)
    spec: dict[str, Json] = {
        "command": command,
        "cwd": suite.cwd,
        "pytest": runner.arguments,
        "as_module": runner.as_module,
        "failing": [f.id for f in query.failing],
        "protected": query.protected,
        "rejected": [r.to_json() for r in query.rejected],
        "seconds": seconds,
        "processes": effort.processes,
        "cursor": 0,
    }
    if command == "confirm":
        spec["commands"] = [[s.run, "." if s.cwd == suite.cwd else s.cwd] for s in query.signals if s is suite]
    return spec


def _exec(say: str, spec: Mapping[str, Json], runner: Runner, progress: Progress) -> Move:
    text = compact(spec)
    arguments = [f"{progress.home}/go.py", text] if progress.home else install_arguments(text)
    seconds = spec["seconds"] if isinstance(spec["seconds"], int | float) else 60.0
    return Move(
        say,
        "exec",
        {
            "command": runner.python[0],
            "args": [*runner.python[1:], *arguments],
            "env": {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
            "cwd": ".",
            "stdout": True,
            "stderr": True,
            "timeout": min(_LONGEST_MS, int((seconds * 1.5 + 60) * 1000)),
        },
    )


def _path(edit: JsonObject, suite: Signal) -> str:
    return str(edit["path"]) if suite.cwd in {".", ""} else f"{suite.cwd.rstrip('/')}/{edit['path']}"


def _place(edit: JsonObject, suite: Signal) -> str:
    return f"{_path(edit, suite)}:{edit.get('line')}"


def _edit(say: str, edit: JsonObject, suite: Signal) -> Move:
    args = {"path": _path(edit, suite), "oldText": edit["oldText"], "newText": edit["newText"]}
    return Move(say, "editTextFile", args)


def _complete(result: str) -> Move:
    return Move("", "attemptCompletion", {"result": result})


def _tried(progress: Progress) -> str:
    return f"{progress.cursor} of {progress.total} edits tried in {progress.seconds:.1f} s."


def _suspects(progress: Progress) -> str:
    rows = progress.located.get("suspects") if progress.located else None
    if not isinstance(rows, list | tuple) or not rows:
        return ""
    shown = [f"{row[0]}:{row[1]} ({row[2]})" for row in rows[:5] if isinstance(row, list | tuple)]
    return f" Most suspicious lines: {', '.join(shown)}."


def _account(progress: Progress, suite: Signal) -> str:
    """What was done and why, for people."""
    edit = progress.applied or {}
    removed, added = edit.get("removed"), edit.get("added")
    before = "\n".join(f"- {line}" for line in removed) if isinstance(removed, list | tuple) else ""
    after = "\n".join(f"+ {line}" for line in added) if isinstance(added, list | tuple) else ""
    change = "\n".join(part for part in (before, after) if part)
    also = f" {len(progress.queue)} other edits passed too; this one ranked first." if progress.queue else ""
    refused = f" {progress.refused} earlier finds were refused by the suite's own command." if progress.refused else ""
    green = "and the suite's own command is green."
    if progress.stage is not Stage.FIXED:
        green = f"but the suite's own command could not confirm it: {progress.problem}."
    return (
        f"Changed {_place(edit, suite)} ({edit.get('kind')}).\n\n{change}\n\n"
        f"Found by search, not by understanding: {_tried(progress)} The line is executed by the failing tests; "
        f"with this edit they pass {green}{also}{refused}"
    )
