"""The signal kind `compiler`: run a compiler or linter in a sandbox and read its diagnostics. Judges one run only.

What differs between base and candidate is judged in `compare_diagnostics.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio.to_thread

from perstack.core.contracts import Session
from perstack.core.sandbox import ExecResult
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus
from perstack.signals.command import judge_command
from perstack.signals.diagnostics.parsed import Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.read import Reading, read
from perstack.signals.diagnostics.recognise import recognise
from perstack.signals.diagnostics.tools import TOOLS, Form, with_arguments

OUTPUT_LIMIT: Final = 64_000_000
"""Bytes. Structured forms are long: eslint repeats whole sources, ruff writes about 800 bytes a finding."""
_REFUSAL_LIMIT = 20_000
# `python -m mypy` must not find a mypy.py of the repository; a script of the repository may need its own folder
_OF_PYTHON: Final = frozenset({"mypy", "pyright", "ruff"})


def tool_of(spec: SignalSpec) -> str:
    """The tool whose output is read: as configured, else as the command's words say."""
    return spec.tool or recognise(spec.run)


async def run_compiler(session: Session, spec: SignalSpec, workspace: Path, variables: Mapping[str, str]) -> SignalRun:
    """Run the signal's command once, in the best form its tool accepts. `workspace` is the tree on this machine.

    Raises: SandboxUnavailable when the sandbox died.
    """
    tool = tool_of(spec)
    forms = TOOLS[tool].forms_for(spec.run) if tool in TOOLS else (Form(),)
    environment = {"NO_COLOR": "1", **({"PYTHONSAFEPATH": "1"} if tool in _OF_PYTHON else {}), **variables}
    for form in forms:
        result = await session.run(
            with_arguments(spec.run, form),
            cwd=spec.cwd,
            env=environment,
            timeout_s=spec.timeout_s,
            output_limit=OUTPUT_LIMIT,
        )
        if form is forms[-1] or not _is_refused(tool, result):
            break
    return await anyio.to_thread.run_sync(_judge, spec, form, result, session.workspace, workspace)


def _is_refused(tool: str, result: ExecResult) -> bool:
    """Whether the tool does not know what it was asked for. Only ever leads to a form that proves less."""
    if result.exit_code == 0:
        return False
    said = (result.stderr[:_REFUSAL_LIMIT] + b"\n" + result.stdout[:_REFUSAL_LIMIT]).decode("utf-8", "replace")
    return re.search(TOOLS[tool].refused, said) is not None


def _judge(spec: SignalSpec, form: Form, result: ExecResult, root: str, workspace: Path) -> SignalRun:
    return judge_compiler(spec, form, result, Places(root, spec.cwd, lambda path: (workspace / path).is_file()))


def judge_compiler(spec: SignalSpec, form: Form, result: ExecResult, places: Places) -> SignalRun:
    """One finished command as a run: its exit code, its diagnostics, and what they cover."""
    run = judge_command(spec, result, limit=OUTPUT_LIMIT)
    if run.problem_code or spec.reject:
        return run
    streams = Streams.decode(result.stdout, result.stderr)
    reading = read(tool_of(spec), form, streams, places, exit_code=result.exit_code)
    run = replace(run, diagnostics=reading.diagnostics, coverage=reading.coverage, output=_shown(run, reading))
    if not reading.problem:
        return run
    return replace(
        run, status=SignalStatus.ERROR, problem=reading.problem, problem_code=reading.problem_code, diagnostics=()
    )


def _shown(run: SignalRun, reading: Reading) -> str:
    """The output for people: diagnostics as lines where it was a form for machines, or a list of files with them."""
    unreadable = reading.problem or (run.status is SignalStatus.FAIL and not reading.diagnostics)
    if unreadable or not (reading.coverage.asked or reading.coverage.units):
        return run.output
    lines = [
        f"{d.path}:{d.line}:{d.column}: {d.severity}: {d.message}{f' [{d.code}]' if d.code else ''}"
        for d in reading.diagnostics[:100]
    ]
    left_out = len(reading.diagnostics) - len(lines)
    return "\n".join([*lines, *([f"[… {left_out} more …]"] if left_out else [])])
