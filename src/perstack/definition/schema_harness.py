"""The tables this harness adds: sandbox, signals, verify, pipelines. Keys and limits of one value only."""

from __future__ import annotations

import re
import shlex
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue

from perstack.definition.schema import Domain, ExpertKeyText, Natural, Positive, PublicTables, Strings
from perstack.definition.schema_github import Github
from perstack.definition.schema_provider import Context
from perstack.definition.tables import Table


def _arguments(value: object) -> object:
    """A command as an argument list; a string is split as a shell would, no shell is started."""
    if isinstance(value, str):
        try:
            words = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot split the command: {error}; close the quote or use an array") from error
    elif isinstance(value, list) and all(isinstance(word, str) for word in value):
        words = value
    else:
        raise ValueError('expected a command as a string or as an array of strings, such as ["make", "test"]')
    if not words or not words[0]:
        raise ValueError("the command is empty; name a program to run")
    if any("\0" in word for word in words):
        raise ValueError("the command holds a NUL character")
    return words


def _commands(value: object) -> object:
    commands = [value] if isinstance(value, str) else value
    if not isinstance(commands, list) or not all(isinstance(line, str) and line.strip() for line in commands):
        raise ValueError("expected a command or an array of commands, each a string")
    return commands


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error
    return value


def _replacement(value: list[str]) -> list[str]:
    _pattern(value[0])
    return value


def _inside(value: str) -> str:
    parts = value.replace("\\", "/").split("/")
    if value.startswith("/") or ".." in parts or "\0" in value:
        raise ValueError('expected a path inside the repository, without a leading "/" and without ".."')
    return value


def _day(value: object) -> object:
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\d", value) is None:
        raise ValueError('expected a day, such as "2026-12-31"')
    return date.fromisoformat(value)


def _exit_codes(value: object) -> object:
    codes = value if isinstance(value, list) else [value]
    if not codes or not all(isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 256 for code in codes):
        raise ValueError("expected an exit code from 0 to 255, or an array of them")
    return codes


_COMMAND_SCHEMA: JsonSchemaValue = {"type": "string", "minLength": 1}
_EXIT_SCHEMA: JsonSchemaValue = {"type": "integer", "minimum": 0, "maximum": 255}
Arguments = Annotated[
    Strings,
    BeforeValidator(_arguments),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]
Commands = Annotated[
    Strings,
    BeforeValidator(_commands),
    WithJsonSchema({"anyOf": [_COMMAND_SCHEMA, {"type": "array", "items": _COMMAND_SCHEMA}]}),
]
Pattern = Annotated[str, AfterValidator(_pattern)]
Inside = Annotated[str, AfterValidator(_inside)]
Mask = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=4, max_length=4)]
Replacement = Annotated[list[str], Field(min_length=2, max_length=2), AfterValidator(_replacement)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Number = Annotated[float, Field(gt=0, allow_inf_nan=False)]


_MIRROR = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/.*)?$"


class Limits(Table):
    """Limits of one sandbox."""

    memory_mb: Positive = Field(default=4096, description="Memory, MiB.")
    processes: Positive = 512
    cpus: Number = 2.0
    file_mb: Positive = Field(default=1024, description="Largest file, MiB.")
    tmp_mb: Positive = Field(default=512, description="Size of /tmp, MiB.")
    disk_mb: Positive = Field(default=8192, description="What commands may add to the disk, MiB.")
    disk_files: Positive = Field(default=1_000_000, description="How many files and folders commands may add.")


Guarantee = Literal[
    "network", "non-root", "process-ids", "ipc", "user-namespace", "no-new-privileges", "no-capabilities", "seccomp",
    "read-only-root", "memory", "processes", "cpu", "file-size", "disk", "egress-proxy", "snapshots", "images",
    "services",
]  # fmt: skip


class Sandbox(Table):
    """Where everything from the checkout runs."""

    image: str | None = Field(default=None, min_length=1, description="Image to run in.")
    build: Inside | None = Field(default=None, min_length=1, description="Dockerfile to build, instead of `image`.")
    devcontainer: Inside | None = Field(
        default=None, min_length=1, description="devcontainer.json that says image, variables and set-up instead."
    )
    compose: Inside | None = Field(default=None, min_length=1, description="Compose file that `services` are in.")
    services: Strings = Field(
        default_factory=list, description="Services of `compose` to start beside each sandbox, such as a database."
    )
    engine: Literal["auto", "docker", "podman"] = Field(
        default="auto", description="Which engine runs containers. Default: the first that answers."
    )
    require: list[Guarantee] = Field(
        default_factory=list, description="What the sandbox must guarantee, measured before anything runs in it."
    )
    setup: Commands = Field(default_factory=list, description="Commands that run once, behind a proxy.")
    setup_timeout: Positive = Field(default=900_000, description="Limit of the set-up, milliseconds.")
    runtime: str | None = Field(default=None, description='OCI runtime, such as "runsc".')
    setup_network: Literal["proxy", "none"] = Field(
        default="proxy", description="What set-up and packages of skills reach: what the proxy allows, or nothing."
    )
    setup_domains: list[Domain] = Field(
        default_factory=list, description="Only these, in place of every public host; `*.example.com` is below it."
    )
    setup_mirrors: list[Annotated[str, Field(pattern=_MIRROR)]] = Field(
        default_factory=list, description="URLs of own mirrors, reached even at private addresses."
    )
    network: Literal["none"] = Field(default="none", description="After the set-up there is no network.")
    env: dict[str, str] = Field(default_factory=dict, description="Environment variables. No secrets.")
    limits: Limits | None = None


CompilerTool = Literal[
    "auto", "none", "gcc", "clang", "clang-tidy", "rustc", "cargo", "tsc", "eslint", "javac", "maven", "go", "mypy",
    "pyright", "ruff", "sarif",
]  # fmt: skip


class Request(Table):
    """One request to a service, and what its answer must be."""

    method: Annotated[str, Field(pattern="^[A-Z]{3,10}$")] = "GET"
    path: Annotated[str, Field(pattern="^/[!-~]*$", description="Path and query.")]
    headers: dict[str, str] = Field(default_factory=dict, description="Headers to send.")
    body: str = ""
    status: Annotated[int, Field(ge=100, le=599)] = Field(default=200, description="Status that the answer must have.")
    answer_headers: dict[str, Pattern] = Field(
        default_factory=dict, description="Headers of the answer, each with a regular expression."
    )
    match: Pattern | None = Field(default=None, description="Regular expression that the body must match.")
    json_body: JsonValue = Field(
        default=None, alias="json", description="The body must be JSON that equals this, by type and value."
    )
    within: Positive | None = Field(default=None, description="Limit of the answer, milliseconds.")


class Expect(Table):
    """What a signal must show."""

    exit: Annotated[
        list[int],
        BeforeValidator(_exit_codes),
        WithJsonSchema({"anyOf": [_EXIT_SCHEMA, {"type": "array", "items": _EXIT_SCHEMA, "minItems": 1}]}),
    ] = Field(default=[0], description="Exit codes that pass.")
    stdout: Pattern | None = Field(default=None, description="Regular expression that standard output must match.")
    stderr: Pattern | None = Field(default=None, description="Regular expression that standard error must match.")
    new: Literal["error", "warning"] | None = Field(
        default=None,
        description='Of `compiler`: the lowest severity at which a new diagnostic fails. Default: "error".',
    )
    generated: Strings = Field(
        default_factory=list,
        description="Of `diff`: generated files (globs). They are deleted first and must come back as they were.",
    )
    golden: dict[Inside, Inside] = Field(
        default_factory=dict, description="Of `diff`: file that `run` writes = golden file of the base it must equal."
    )
    ignore: Strings = Field(default_factory=list, description="Of `diff`: files that are not compared (globs).")
    replace: list[Replacement] = Field(
        default_factory=list, description="Of `diff`: [regular expression, replacement], applied to both sides."
    )
    report: Inside | None = Field(
        default=None,
        min_length=1,
        description="Of `test`: where the tool itself writes JUnit XML, or TAP in a file named .tap (glob).",
    )
    requests: list[Request] = Field(default_factory=list, description="Of `http`: requests, in order.")
    files: Strings = Field(default_factory=list, description="Of `screenshot`: PNG files that `run` writes.")
    baseline: Inside | None = Field(
        default=None,
        min_length=1,
        description="Of `screenshot`: folder of PNG files of the base to reach. Default: as the base itself looks.",
    )
    threshold: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.1, description="Of `screenshot`: colour distance from which a pixel differs."
    )
    pixels: Natural = Field(default=0, description="Of `screenshot`: how many pixels may differ.")
    antialiasing: bool = Field(default=True, description="Of `screenshot`: tolerate differences of anti-aliasing.")
    masks: list[Mask | Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="Of `screenshot`: what is not compared: [x, y, width, height], or the CSS selector of elements.",
    )


class Signal(Table):
    """One hard signal."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["run"]},
                {"required": ["kind"], "properties": {"kind": {"enum": ["screenshot", "http"]}}},
            ]
        }
    )
    kind: Literal["command", "compiler", "test", "diff", "screenshot", "http"] | None = Field(
        default=None,
        description='Default: "test" where `run` starts a known test runner, "compiler" with `tool`, else "command".',
    )
    run: Arguments | None = Field(
        default=None, description="Command. A string is split as by a shell; no shell is started."
    )
    framework: str | None = Field(default=None, min_length=1, description="Default: recognised from `run`.")
    tool: CompilerTool | None = Field(
        default=None,
        description='Of `compiler`: whose output is read. Default: recognised from `run`, else "auto".',
    )
    priority: Literal["must", "should"] = "must"
    reject: bool = Field(default=False, description="A match fails the candidate.")
    repeat: Annotated[int, Field(ge=1, le=20)] = Field(default=2, description="Runs that must agree.")
    timeout: Positive = Field(default=300_000, description="Limit of one run, milliseconds.")
    paths: Strings = Field(default_factory=list, description="Only for changes in these paths (globs).")
    protect: Strings = Field(default_factory=list, description="Paths a candidate may not touch (globs).")
    expect: Expect | None = None
    cwd: Inside = Field(default=".", description="Directory to run in, relative to the repository.")
    page: str | None = Field(
        default=None,
        min_length=1,
        description="Of `screenshot`: HTML file of the repository, or with `run` a path of the service (/…).",
    )
    element: str | None = Field(default=None, min_length=1, description="Of `screenshot`: CSS selector. Default: page.")
    viewports: list[Annotated[str, Field(pattern="^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$")]] = Field(
        default=["1280x720"], min_length=1, max_length=10, description='Of `screenshot`: sizes, such as "390x844".'
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="Of a service: its port. Default: a free one, told to it as PORT."
    )
    ready: Annotated[str, Field(pattern="^/[!-~]*$")] = Field(
        default="/", description="Of a service: path that answers, whatever the status, once it is ready."
    )
    start_timeout: Positive = Field(default=30_000, description="Of a service: limit of its start, milliseconds.")


class Quarantine(Table):
    """A test that does not count until a day."""

    test: str = Field(min_length=1, max_length=1000, description="Id, or a glob over ids: * and ? match anything.")
    until: Day = Field(description="The last day on which it does not count, UTC.")
    reason: str = Field(min_length=1, description="Why it is here, for people.")


class Verify(Table):
    """What a candidate may not do."""

    protect: Strings = Field(default_factory=list, description="More paths a candidate may not touch (globs).")
    allow: Strings = Field(default_factory=list, description="Protected paths it may touch (globs).")
    reject: list[Pattern] = Field(default_factory=list, description="Regular expressions over added lines.")
    max_files: Positive = 50
    max_lines: Positive = 2000
    should_threshold: Natural | None = Field(
        default=None, description="How many `should` signals may fail. Default: any number."
    )
    suspicious: Literal["fail", "report"] = "fail"
    held_out: Literal["auto", "must", "off"] = Field(
        default="auto",
        description="Checks that no builder sees, without the test runner. must: each fixed test is confirmed so.",
    )
    cache: Literal["auto", "off"] = Field(
        default="auto", description="Keep results of signals that proved deterministic, for the very same tree."
    )
    quarantine: list[Quarantine] = Field(
        default_factory=list, description="Flaky tests that are run and reported, and do not count for a while."
    )


class Budgets(Table):
    """Limits of one job."""

    rounds: Positive = Field(default=3, description="Build and verify rounds.")
    steps: Positive = 100
    tokens: Natural = Field(default=2_000_000, description="Input and output; 0: no limit.")
    cost: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="US dollars, estimated before each call; 0: no limit. Needs a known price."
    )
    wall_time: Positive = Field(default=3_600_000, description="Milliseconds.")


class Pipeline(Table):
    """Experts and budgets of one pipeline."""

    plan: ExpertKeyText = "@fix/plan"
    build: ExpertKeyText = "@fix/build"
    verify: ExpertKeyText = "@fix/verify"
    checks: ExpertKeyText | None = Field(
        default=None,
        description="Writes held-out checks from the task alone: an expert's key, or off. "
        "Left out: @fix/checks where a model is configured.",
    )
    review: ExpertKeyText | None = Field(
        default=None,
        description="Looks at a candidate before the gate and advises the builder: an expert's key, such as "
        "@fix/review. Soft: never part of a verdict. Left out: nobody.",
    )
    budgets: Budgets | None = None


class Document(PublicTables):
    """A whole `perstack.toml`."""

    sandbox: Sandbox | None = None
    signals: dict[str, Signal] = Field(default_factory=dict)
    verify: Verify | None = None
    pipelines: dict[str, Pipeline] = Field(default_factory=dict)
    context: Context | None = None
    github: Github | None = None
    dependencies: dict[str, str] = Field(
        default_factory=dict,
        description="Experts of other repositories, name = source; `perstack add` writes it and pins them.",
    )
