"""The tool `exec`: one command inside the sandbox. Nothing here ever runs on the host, and no shell is started."""

from __future__ import annotations

from collections.abc import Mapping

from perstack.core.contracts import Session
from perstack.core.errors import ToolError
from perstack.core.json import Json
from perstack.core.sandbox import ExecResult
from perstack.infrastructure.workspace import Workspace
from perstack.skills.tool import Answer, Arguments, Kind, Parameter, Tool

DEFAULT_TIMEOUT_MS = 60_000
MAX_TIMEOUT_MS = 600_000
OUTPUT_BYTES = 2_000_000
_TIMEOUT = f"Milliseconds; {DEFAULT_TIMEOUT_MS} if left out, at most {MAX_TIMEOUT_MS}."
NO_OUTPUT = "Command executed successfully, but produced no output."

# Names that decide which code a program loads. Compared in upper case.
PROTECTED_ENV = frozenset(
    {
        "PATH",
        "HOME",
        "SHELL",
        "NODE_PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "DYLD_LIBRARY_PATH",
        "NODE_OPTIONS",
        "PYTHONPATH",
        "PERL5LIB",
        "RUBYLIB",
    }
)


def exec_tool(workspace: Workspace, session: Session) -> Tool:
    """`exec` in one sandbox session over one workspace."""

    async def run(arguments: Arguments) -> Answer:
        wanted = arguments.number("timeout")
        timeout_ms = DEFAULT_TIMEOUT_MS if wanted is None else wanted
        if not 0 < timeout_ms <= MAX_TIMEOUT_MS:
            raise ToolError(f"timeout must be from 1 to {MAX_TIMEOUT_MS} milliseconds, got {timeout_ms}.")
        env, ignored = allowed_env(arguments.mapping("env"))
        result = await session.run(
            _argv(arguments),
            cwd=_directory(workspace, arguments.text("cwd") or "."),
            env=env,
            timeout_s=timeout_ms / 1000,
            output_limit=OUTPUT_BYTES,
        )
        shown = _Shown(
            result,
            with_stdout=arguments.flag("stdout", default=True),
            with_stderr=arguments.flag("stderr", default=True),
        )
        payload = shown.success() if result.exit_code == 0 and not result.timed_out else shown.failure(timeout_ms)
        if ignored:
            payload["ignoredEnv"] = list(ignored)
        return Answer(payload, ("output", "stdout", "stderr"), is_error="error" in payload)

    return Tool(
        "exec",
        "Runs one program in the sandbox, without a shell: no pipes, no `&&`, no globs, unless you run a shell "
        "yourself. There is no network.",
        run,
        {
            "command": Parameter(Kind.STRING, "The program, without arguments."),
            "args": Parameter(Kind.STRINGS, "Its arguments.", required=False),
            "env": Parameter(Kind.STRING_MAP, "Environment variables to add.", required=False),
            "cwd": Parameter(Kind.STRING, "Directory in the workspace. Default: the workspace.", required=False),
            "stdout": Parameter(Kind.BOOLEAN, "Whether you want its standard output.", required=False),
            "stderr": Parameter(Kind.BOOLEAN, "Whether you want its standard error.", required=False),
            "timeout": Parameter(
                Kind.INTEGER,
                f"Milliseconds; {DEFAULT_TIMEOUT_MS} if left out, at most {MAX_TIMEOUT_MS}.",
                required=False,
            ),
        },
        changes=True,
    )


def allowed_env(wanted: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The additions that may pass, and the names that are ignored.

    Raises: ToolError for a name or value no program can be given.
    """
    for name, value in wanted.items():
        if not name or "=" in name or "\0" in name + value:
            raise ToolError(f"{name!r} cannot be an environment variable.")
    ignored = tuple(name for name in wanted if name.upper() in PROTECTED_ENV)
    return {name: value for name, value in wanted.items() if name not in ignored}, ignored


def _argv(arguments: Arguments) -> tuple[str, ...]:
    argv = (arguments.text("command"), *arguments.texts("args"))
    if not argv[0].strip():
        raise ToolError("The command is empty.", hint="Name a program.")
    if any("\0" in word for word in argv):
        raise ToolError("A command cannot hold NUL characters.")
    return argv


def _directory(workspace: Workspace, path: str) -> str:
    relative = workspace.relative(path)
    if not workspace.exists(path):
        raise ToolError(f"The directory {path} does not exist.")
    workspace.list(path)  # refuses files, and links that lead out
    return relative


class _Shown:
    """A result as the expert asked to see it."""

    def __init__(self, result: ExecResult, *, with_stdout: bool, with_stderr: bool) -> None:
        self._result = result
        self._stdout = result.stdout.decode("utf-8", "replace") if with_stdout else ""
        self._stderr = result.stderr.decode("utf-8", "replace") if with_stderr else ""

    def success(self) -> dict[str, Json]:
        between = "\n" if self._stdout and self._stderr and not self._stdout.endswith("\n") else ""
        output = f"{self._stdout}{between}{self._stderr}"
        return {"output": output or NO_OUTPUT, "exitCode": 0}

    def failure(self, timeout_ms: int) -> dict[str, Json]:
        streams = {name: text for name, text in (("stdout", self._stdout), ("stderr", self._stderr)) if text}
        code = self._result.exit_code
        return {"error": self._reason(timeout_ms), "exitCode": code, **streams}

    def _reason(self, timeout_ms: int) -> str:
        code = self._result.exit_code
        if self._result.timed_out:
            return f"Command timed out after {timeout_ms}ms."
        if self._result.limit == "memory":
            return f"Command failed with exit code {code}: a process was killed at the sandbox's memory limit."
        if self._result.limit:
            return f"Command stopped: it put more on the {self._result.limit} than the sandbox allows. Delete files."
        if code == 127:
            return "Command failed with exit code 127: the program was not found in the sandbox."
        if code > 128:
            return f"Command failed with exit code {code} (signal {code - 128})."
        return f"Command failed with exit code {code}."
