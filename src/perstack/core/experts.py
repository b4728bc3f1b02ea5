"""Frozen data of `perstack.toml`. Read and checked by `definition/`; used by every layer above."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from perstack.core.json import Json
from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import SignalSpec

BASE_SKILL = "@perstack/base"
RETRIEVAL_SKILL = "@perstack/retrieval"
BUILTIN_SKILLS = frozenset({BASE_SKILL, RETRIEVAL_SKILL})
CHECKS_EXPERT = "@fix/checks"
RETRIEVAL_TOOLS = (
    "searchText", "searchRanked", "findSymbol", "references", "outline", "repositoryMap", "failures", "history",
)  # fmt: skip
BASE_TOOLS = (
    "attemptCompletion",
    "todo",
    "clearTodo",
    "exec",
    "readTextFile",
    "readImageFile",
    "readPdfFile",
    "writeTextFile",
    "editTextFile",
    "appendTextFile",
    "listDirectory",
    "getFileInfo",
    "createDirectory",
    "deleteFile",
    "deleteDirectory",
    "moveFile",
    "healthCheck",
)
# Tools of the base skill for experts that build experts; offered only where `pick` names them.
MANAGEMENT_TOOLS = (
    "createExpert",
    "addSkill",
    "removeSkill",
    "addDelegate",
    "removeDelegate",
    "addDelegateFromConfig",
)


@dataclass(frozen=True, slots=True)
class SkillSpec:
    """One `[experts."key".skills."name"]` table. `type` is one of the public format's three."""

    name: str
    type: str = "mcpStdioSkill"
    description: str = ""
    rule: str = ""
    pick: tuple[str, ...] = ()
    omit: tuple[str, ...] = ()
    command: str = ""
    package_name: str = ""
    args: tuple[str, ...] = ()
    required_env: tuple[str, ...] = ()
    allowed_domains: tuple[str, ...] = ()
    lazy_init: bool = False
    endpoint: str = ""
    tools: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # interactive: name → (description, schema)


@dataclass(frozen=True, slots=True)
class Expert:
    """One micro-agent. `description` is what callers see; `instruction` is private."""

    key: str
    instruction: str
    name: str = ""
    version: str = "1.0.0"
    min_runtime_version: str = ""
    description: str = ""
    skills: Mapping[str, SkillSpec] = field(default_factory=dict)
    delegates: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    default_model_tier: str = ""
    provider_tools: tuple[str, ...] = ()
    provider_skills: tuple[Mapping[str, Json], ...] = ()
    provider_tool_options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """`[provider]`: the name and its settings. Keys never come from the file.

    `fallback` are models that are asked where another one does not answer. `models` says of models, by name, what
    the harness does not know or knows wrongly. `timeouts` are seconds, by name.
    """

    name: str = "anthropic"
    setting: Mapping[str, Json] = field(default_factory=dict)
    fallback: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    timeouts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Budgets:
    """Limits of one job. `tokens` counts input and output of every expert, `cost` is in US dollars; 0: no limit."""

    rounds: int = 3
    steps: int = 100
    tokens: int = 2_000_000
    cost: float = 0.0
    wall_time_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """`[pipelines.<name>]`: the experts of plan, build and verify, and the budgets.

    `checks` writes held-out checks from the task alone: an expert, `off`, or empty for "where a model is there".
    `review` advises the builder before the gate: an expert, or empty for none.
    """

    name: str = "fix"
    plan: str = "@fix/plan"
    build: str = "@fix/build"
    verify: str = "@fix/verify"
    checks: str = ""
    review: str = ""
    budgets: Budgets = field(default_factory=Budgets)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A test (id or glob) that is run and told, and does not count until the end of the day `until` (UTC, ISO)."""

    test: str
    until: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """`[verify]`: what the candidate may not touch and what makes it fail. Globs as in `.gitignore`."""

    protect: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()  # regular expressions over added lines
    max_files: int = 50
    max_lines: int = 2000
    should_threshold: int = -1  # how many `should` signals may fail; -1: any number
    suspicious: str = "fail"  # fail | report
    held_out: str = "auto"  # auto | must | off
    cache: str = "auto"  # auto | off
    quarantine: tuple[Quarantined, ...] = ()


# Events that act unless `[github] on` says otherwise. `push` and `schedule` act only where a workflow names them.
DEFAULT_EVENTS = (
    "pull_request",
    "issue_comment",
    "pull_request_review_comment",
    "issues",
    "check_run",
    "workflow_run",
    "workflow_dispatch",
    "repository_dispatch",
    "schedule",
    "push",
    "merge_group",
)


@dataclass(frozen=True, slots=True)
class CommandRule:
    """`[github.commands.<name>]`: who may give one command. Empty `roles` and `teams` are those of `[github]`."""

    enabled: bool = True
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GithubSpec:
    """`[github]`: who may trigger and where results go. Roles are GitHub's `role_name`s."""

    roles: tuple[str, ...] = ("admin", "maintain", "write")
    teams: tuple[str, ...] = ()  # `org/slug`; members may what the roles may
    commands: Mapping[str, CommandRule] = field(default_factory=dict)
    allowed_bots: tuple[int, ...] = ()  # numeric user ids
    on: tuple[str, ...] = DEFAULT_EVENTS
    label: str = "perstack"
    assignee: str = ""  # login; an issue assigned to it is a request for a fix
    branch_prefix: str = "perstack/fix-"
    verify_pull_requests: bool = True
    fork_policy: str = "suggest"  # suggest | deny
    approval: str = "never"  # never | always: a fix needs `/perstack approve <sha>` of its plan
    cooldown_s: float = 0.0  # between two jobs that one person asks for
    jobs_per_actor: int = 50  # a day
    jobs_per_day: int = 0  # of everybody together; 0: no limit
    tokens_per_day: int = 0  # of everybody together; 0: no limit
    commits: str = "auto"  # auto | api | push
    review_comments: bool = True  # diagnostics and suggestions as inline comments
    sarif: bool = False
    check_name: str = "perstack"


@dataclass(frozen=True, slots=True)
class ContextSpec:
    """When a run's context is near its end: shares of what its model can read beside a reply.

    `summary` is `model` (the run's own model writes one) or `facts` (only what counts verbatim is kept).
    """

    warn_at: float = 0.7
    compact_at: float = 0.8
    summary: str = "model"


@dataclass(frozen=True, slots=True)
class Config:
    """A whole `perstack.toml`. `path` is where it was read from, for messages; empty for defaults."""

    path: str = ""
    model: str = ""
    provider: ProviderSpec | None = None
    reasoning_budget: str | int = "low"
    max_steps: int = 100
    max_retries: int = 5
    timeout_ms: int = 300_000
    env_path: tuple[str, ...] = (".env", ".env.local")
    experts: Mapping[str, Expert] = field(default_factory=dict)
    sandbox: SandboxSpec = field(default_factory=SandboxSpec)
    signals: tuple[SignalSpec, ...] = ()
    verify: VerifySpec = field(default_factory=VerifySpec)
    pipelines: Mapping[str, PipelineSpec] = field(default_factory=dict)
    context: ContextSpec = field(default_factory=ContextSpec)
    github: GithubSpec = field(default_factory=GithubSpec)
    dependencies: Mapping[str, str] = field(default_factory=dict)  # name → source, as `perstack add` takes it
    warnings: tuple[str, ...] = ()
