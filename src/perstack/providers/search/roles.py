"""The plan and verify roles: read and report, run the signals and remark. Pure."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence

from perstack.core.json import Json
from perstack.core.messages import Message, ToolResult
from perstack.providers.search.build import Move
from perstack.providers.search.progress import exchanges
from perstack.providers.search.query import Failing, Query

_FILES = 6


def verify_moves(messages: Sequence[Message]) -> list[Move]:
    """Call `runSignals` once, then remark on its answer."""
    answers = [result for call, result in exchanges(messages) if call.tool_name == "runSignals"]
    if not answers:
        return [Move("", "runSignals", {})]
    return [Move("", "attemptCompletion", {"result": _remark(answers[-1])})]


def _remark(result: ToolResult) -> str:
    try:
        report = json.loads(result.text)
    except json.JSONDecodeError:
        report = None
    if not isinstance(report, dict) or "verdict" not in report:
        return "The signals gave no readable report; this remark adds nothing to them."
    signals = [s for s in report.get("signals") or [] if isinstance(s, dict)]
    states = ", ".join(f"{s.get('name')}: {s.get('baseline')} → {s.get('status')}" for s in signals)
    reasons = sorted({str(r.get("code")) for r in report.get("reasons") or [] if isinstance(r, dict)})
    why = f" Reasons: {', '.join(reasons)}." if reasons else ""
    return (
        f"The signals say {report['verdict']} ({states or 'no signal ran'}).{why} This remark comes from a program "
        "that read the report and nothing else; it has no opinion about the change beyond it."
    )


def plan_moves(query: Query | None, messages: Sequence[Message], offered: set[str]) -> list[Move]:
    """Read the failing tests, then the product files they import, then answer with a plan."""
    if query is None:
        return [Move("", "attemptCompletion", {"result": 'No plan: the query has no JSON block marked "perstack".'})]
    read = _files_read(messages)
    if "readTextFile" in offered:
        tests = list(dict.fromkeys(_test_file(f) for f in query.failing if _test_file(f)))[:_FILES]
        traced = [f.path for f in query.failing if f.path]
        wanted = [p for p in dict.fromkeys([*tests, *traced]) if p not in read][:_FILES]
        if not wanted:
            known = {p: t for p, t in read.items() if t is not None}
            wanted = [p for p in _imported(known, tests) if p not in read][: _FILES * 2]
        if wanted and len(read) < _FILES * 4:
            return [Move("Reading what the failing tests touch.", "readTextFile", {"path": p}) for p in wanted]
    return [Move("", "attemptCompletion", {"result": _plan(query, {p: t for p, t in read.items() if t})})]


def _test_file(failing: Failing) -> str:
    path = failing.id.split("::")[0]
    return path if path.endswith(".py") else ""


def _files_read(messages: Sequence[Message]) -> dict[str, str | None]:
    """Text by path; None where a file could not be read."""
    found: dict[str, str | None] = {}
    for call, result in exchanges(messages):
        if call.tool_name != "readTextFile":
            continue
        text: str | None = None if result.is_error else result.text
        if text is not None and text.lstrip().startswith("{"):
            try:
                value = json.loads(text)
            except json.JSONDecodeError:
                value = None
            if isinstance(value, Mapping) and ("content" in value or "error" in value):
                content = value.get("content")
                text = content if isinstance(content, str) else None
        found[str(call.args.get("path"))] = text
    return found


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _imported(texts: Mapping[str, str], tests: Sequence[str]) -> list[str]:
    """Paths where the modules that the test files import may be."""
    paths: list[str] = []
    for test in tests:
        tree = _parse(texts.get(test, ""))
        for node in ast.walk(tree) if tree else ():
            names = [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                stem = name.replace(".", "/")
                if stem.split("/")[0] not in {"pytest", "unittest", "typing", "datetime", "decimal", "__future__"}:
                    paths += [f"{stem}.py", f"src/{stem}.py"]
    return list(dict.fromkeys(paths))


def _plan(query: Query, texts: Mapping[str, str]) -> str:
    places = _places(query, texts)
    lines = ["Candidates for the cause, from the failing tests and what they call:"]
    lines += [f"- {place}" for place in places] or ["- none found by reading; the builder locates by coverage"]
    lines.append("Files: " + (", ".join(dict.fromkeys(p.split(":")[0] for p in places)) or "unknown") + ".")
    names = ", ".join(s.name for s in query.signals) or "none named"
    lines.append(f"Must turn green: {names}, with these tests:")
    lines += [f"- {f.id}{': ' + _first_line(f.message) if f.message else ''}" for f in query.failing[:20]]
    if len(query.failing) > 20:
        lines.append(f"- and {len(query.failing) - 20} more")
    lines.append("Change product code only; leave tests and configuration as they are.")
    return "\n".join(lines)


def _first_line(message: str) -> str:
    return message.strip().split("\n")[0][:160]


def _places(query: Query, texts: Mapping[str, str]) -> list[str]:
    """`file:line name` of product functions and classes, most often named by the failing tests first."""
    used: dict[str, int] = {}
    for failing in query.failing:
        text = texts.get(_test_file(failing), "")
        name = re.split(r"\[", failing.id.split("::")[-1])[0]
        tree = _parse(text)
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.FunctionDef) and node.name == name:
                for inner in {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node)}:
                    used[inner] = used.get(inner, 0) + 1
    tests = {_test_file(f) for f in query.failing}
    found: list[tuple[int, str]] = []
    for path, text in texts.items():
        tree = None if path in tests else _parse(text)
        found += [
            (-used[node.name], f"{path}:{node.lineno} {node.name}")
            for node in (ast.walk(tree) if tree else ())
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and used.get(node.name)
        ]
    traced = [f"{f.path}:{f.line} (where a test fails)" for f in query.failing if f.path and f.path not in tests]
    return list(dict.fromkeys([*traced, *(place for _, place in sorted(found))]))[:8]


def arguments_for(move: Move, schema: Mapping[str, Json]) -> dict[str, Json]:
    """A move's arguments without those its tool does not know."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return dict(move.args)
    return {key: value for key, value in move.args.items() if key in properties}
