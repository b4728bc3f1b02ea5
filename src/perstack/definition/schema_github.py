"""The table `[github]`: who may ask, for what, how often, and how results look. Keys and limits of one value only."""

from __future__ import annotations

import re
from typing import Annotated, Literal, cast

from pydantic import AfterValidator, Field, JsonValue

from perstack.core.experts import DEFAULT_EVENTS
from perstack.definition.schema import Natural, Positive
from perstack.definition.tables import Table

_BRANCH_PREFIX = re.compile(r"(?!.*(?:\.\.|//|/\.|\.lock/))[A-Za-z0-9][A-Za-z0-9._/-]{0,99}", re.ASCII)
_TEAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)


def _for_editors(pattern: re.Pattern[str]) -> dict[str, JsonValue]:
    """The pattern; the loader says it in words."""
    return {"pattern": f"^(?:{pattern.pattern})$"}


def _branch_prefix(value: str) -> str:
    if _BRANCH_PREFIX.fullmatch(value) is None:
        raise ValueError('expected the beginning of a branch name: letters, digits, . _ / -, such as "perstack/fix-"')
    return value


def _team(value: str) -> str:
    if _TEAM.fullmatch(value) is None:
        raise ValueError('expected a team as "organisation/team", such as "acme/maintainers"')
    return value


EventName = Literal[
    "pull_request", "issue_comment", "pull_request_review_comment", "issues", "check_run", "workflow_run",
    "workflow_dispatch", "repository_dispatch", "schedule", "push", "merge_group",
]  # fmt: skip
CommandName = Literal[
    "fix", "verify", "plan", "review", "run", "approve", "retry", "stop", "explain", "create-expert", "help"
]
Role = Annotated[str, Field(min_length=1, max_length=100)]
Team = Annotated[str, AfterValidator(_team), Field(json_schema_extra=_for_editors(_TEAM))]
BranchPrefix = Annotated[str, AfterValidator(_branch_prefix), Field(json_schema_extra=_for_editors(_BRANCH_PREFIX))]


class GithubCommand(Table):
    """Who may give one command. Left out: who may give all of them."""

    enabled: bool = True
    roles: list[Role] = Field(default_factory=list, description="With teams: instead of those of [github].")
    teams: list[Team] = Field(default_factory=list, description="With roles: instead of those of [github].")


class Github(Table):
    """Who may ask for what on GitHub, how often, and how results look."""

    roles: list[Role] = Field(default=["admin", "maintain", "write"], description="Roles that may give commands.")
    teams: list[Team] = Field(default_factory=list, description="Teams that may, as organisation/team.")
    commands: dict[CommandName, GithubCommand] = Field(
        default_factory=dict, description="Commands with a rule of their own."
    )
    allowed_bots: list[Positive] = Field(default_factory=list, description="Numeric ids of bots that may as well.")
    on: list[EventName] = Field(default=cast("list[EventName]", list(DEFAULT_EVENTS)), description="Events that act.")
    label: str = Field(default="perstack", min_length=1, description="Label of an issue that asks for a fix.")
    assignee: str = Field(default="", max_length=100, description="Account that an issue is assigned to for a fix.")
    branch_prefix: BranchPrefix = Field(default="perstack/fix-", description="How branches with fixes begin.")
    verify_pull_requests: bool = Field(default=True, description="Verify every new head of a pull request.")
    fork_policy: Literal["suggest", "deny"] = Field(
        default="suggest", description="Fixes for forks: as patch, or none."
    )
    approval: Literal["never", "always"] = Field(
        default="never", description="always: a fix waits for /perstack approve of its plan."
    )
    cooldown: Natural = Field(default=0, description="Between two jobs that one account asks for, ms.")
    jobs_per_actor: Natural = Field(default=50, description="Jobs of one account in 24 hours; 0: no limit.")
    jobs_per_day: Natural = Field(default=0, description="Jobs of everybody in 24 hours; 0: no limit.")
    tokens_per_day: Natural = Field(default=0, description="Tokens of all jobs in 24 hours; 0: no limit.")
    commits: Literal["auto", "api", "push"] = Field(
        default="auto", description="api: signed by GitHub, and refused where it cannot; auto: signed where it can."
    )
    review_comments: bool = Field(default=True, description="Remarks and suggestions at lines of the diff.")
    sarif: bool = Field(default=False, description="Upload diagnostics to code scanning.")
    check_name: str = Field(default="perstack", min_length=1, description="Name of the check run.")
