"""A small agent loop over the search builder: real files, real processes, no harness. For tests of this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from perstack.core.json import JsonObject
from perstack.core.messages import (
    ExpertMessage,
    Message,
    ModelRequest,
    TextPart,
    ToolCall,
    ToolDefinition,
    ToolMessage,
    ToolResult,
    UserMessage,
)
from perstack.demo.inject import SuiteOutcome
from perstack.demo.suite import read_summary
from perstack.providers.search import Effort, SearchProvider

BUILD_TOOLS = ("readTextFile", "writeTextFile", "editTextFile", "exec", "attemptCompletion")


@dataclass
class Ran:
    """What a run left: its messages, its completion text, how long it took."""

    messages: list[Message] = field(default_factory=list)
    result: str = ""
    seconds: float = 0.0

    def calls(self, name: str) -> list[ToolCall]:
        return [c for m in self.messages if isinstance(m, ExpertMessage) for c in m.tool_calls if c.tool_name == name]


def pytest_run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", "--color=no", *arguments]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "400"}
    return subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, timeout=60, check=False)


async def run_suite(project: Path) -> SuiteOutcome:
    try:
        done = pytest_run(project)
    except subprocess.TimeoutExpired:
        return SuiteOutcome((), broken=True)
    return read_summary(done.stdout, done.returncode)


def query(role: str, failing: Sequence[str], **more: object) -> str:
    run = more.pop("run", [sys.executable, "-m", "pytest", "-q"])
    block = {
        "perstack": 1,
        "role": role,
        "signals": [{"name": "tests", "run": run, "framework": "pytest", "cwd": more.pop("cwd", ".")}],
        "failing": [{"id": i, "message": "assert 1 == 2", "path": "", "line": 0} for i in failing],
        "protected": ["tests/**"],
        **more,
    }
    return f"Make the failing signals green.\n\n```json\n{json.dumps(block)}\n```"


def definitions(names: Sequence[str]) -> tuple[ToolDefinition, ...]:
    return tuple(ToolDefinition(name, "", {"type": "object"}) for name in names)


class Tools:
    """Carries out calls as the base skill would, on the host, in one directory."""

    def __init__(self, workspace: Path, temporary: Path) -> None:
        self._workspace = workspace
        self._temporary = temporary

    def call(self, call: ToolCall) -> ToolResult:
        payload, failed = getattr(self, f"_{call.tool_name}")(call.args)
        return ToolResult(call.id, call.tool_name, (TextPart(json.dumps(payload)),), is_error=failed)

    def _exec(self, args: JsonObject) -> tuple[JsonObject, bool]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self._temporary), "TMPDIR": str(self._temporary)}
        more = args["env"]
        assert isinstance(more, dict)
        rest = args["args"]
        assert isinstance(rest, list)
        timeout = args["timeout"]
        assert isinstance(timeout, int)
        done = subprocess.run(
            [str(args["command"]), *rest],
            cwd=self._workspace,
            env={**env, **more},
            capture_output=True,
            text=True,
            timeout=timeout / 1000,
            check=False,
        )
        if done.returncode:
            return {"error": f"exit {done.returncode}", "stdout": done.stdout, "stderr": done.stderr}, True
        return {"output": done.stdout + done.stderr}, False

    def _editTextFile(self, args: JsonObject) -> tuple[JsonObject, bool]:  # noqa: N802
        path = self._workspace / str(args["path"])
        text = path.read_text(encoding="utf-8")
        if str(args["oldText"]) not in text:
            return {"error": "no match"}, True
        path.write_text(text.replace(str(args["oldText"]), str(args["newText"]), 1), encoding="utf-8")
        return dict(args), False

    def _readTextFile(self, args: JsonObject) -> tuple[JsonObject, bool]:  # noqa: N802
        path = self._workspace / str(args["path"])
        if not path.is_file():
            return {"error": f"File {args['path']} does not exist."}, True
        return {"path": args["path"], "content": path.read_text(encoding="utf-8")}, False


async def build(
    project: Path,
    failing: Sequence[str],
    *,
    effort: Effort | None = None,
    messages: Sequence[Message] = (),
    **more: object,
) -> Ran:
    """Run the build role to its completion."""
    provider = SearchProvider(effort or Effort())
    ran = Ran([*messages] or [UserMessage("u1", (TextPart(query("build", failing, **more)),))])
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="perstack-test-") as temporary:
        tools = Tools(project, Path(temporary))
        for step in range(60):
            request = ModelRequest("search", "", tuple(ran.messages), definitions(BUILD_TOOLS))
            reply = await provider.generate(request, lambda _: None)
            ran.messages.append(ExpertMessage(f"e{step}", reply.contents))
            calls = [part for part in reply.contents if isinstance(part, ToolCall)]
            if calls and calls[0].tool_name == "attemptCompletion":
                ran.result = str(calls[0].args["result"])
                break
            ran.messages.append(ToolMessage(f"t{step}", tuple(tools.call(call) for call in calls)))
    ran.seconds = time.monotonic() - began
    return ran
