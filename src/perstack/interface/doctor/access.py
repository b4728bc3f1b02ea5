"""Doctor's look at GitHub: the token, what it may read, and the event. Writes nothing.

Whether a token may write is not to be had without writing; what the event's job needs is told instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from perstack import api
from perstack.core.errors import ExitCode, ForgeError
from perstack.core.experts import Config
from perstack.forge.contract import Action, Forge, Ignored, Trigger
from perstack.interface.calls import call
from perstack.interface.doctor.finding import Finding, State, failed, well

_WRITES = {
    Action.FIX: "contents, checks, pull-requests and issues",
    Action.VERIFY: "checks",
}
_ANSWERS = "pull-requests and issues"


def token_of(env: Mapping[str, str]) -> str:
    """The token that a job here would use."""
    return env.get("PERSTACK_GITHUB_TOKEN") or env.get("GITHUB_TOKEN") or ""


def kind(env: Mapping[str, str]) -> Finding:
    """What sort of token there is, told by its own form."""
    token = token_of(env)
    if not token:
        hint = "The action passes `github-token`; elsewhere set GITHUB_TOKEN, or leave GitHub out with --quick."
        return Finding("token", State.PROBLEM, "there is no GitHub token", hint, ExitCode.USAGE)
    if token.startswith(("ghp_", "github_pat_", "gho_")):
        hint = "Pass `github.token`, or the installation token of a GitHub App."
        return Finding("token", State.WARNING, "a person's token: it cannot write check runs", hint)
    return well("token", "an App's, as GITHUB_TOKEN is" if token.startswith("ghs_") else "of a form not known here")


def event(triggers: tuple[Trigger, ...] | Ignored) -> tuple[Finding, ...]:
    """What the event asks for, and which permissions that takes."""
    if isinstance(triggers, Ignored):
        return (well("event", f"asks for nothing: {triggers.why}"),)
    asked = ", ".join(f"{each.action.value}{f' of #{each.number}' if each.number else ''}" for each in triggers)
    wanted = max({_WRITES.get(each.action, _ANSWERS) for each in triggers}, key=len)
    need = f"its job needs `write` for {wanted}; on pull requests from forks the token is read-only whatever is asked"
    return (well("event", f"{triggers[0].event}: {asked}"), Finding("permissions", State.NOTE, need))


async def readable(forge: Forge, see_checks: Callable[[str], None], env: Mapping[str, str]) -> tuple[Finding, ...]:
    """What the token may read, by reading it."""
    try:
        branch = await call(forge.default_branch)
        head = await call(forge.branch_sha, branch)
    except ForgeError as error:
        return (failed("repository", error),)
    run = env.get("GITHUB_RUN_ID", "")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    looks: list[tuple[str, State, Callable[[], object]]] = [
        ("issues", State.PROBLEM, lambda: forge.own_comments_since(now)),
        ("pull-requests", State.PROBLEM, lambda: forge.pulls_of(head)),
        ("checks", State.WARNING, lambda: see_checks(head)),
    ]
    if run.isdecimal():
        looks.append(("actions", State.NOTE, lambda: forge.workflow_run(int(run))))
    found = [await _look(name, state, ask) for name, state, ask in looks]
    may = ", ".join(["contents", *(name for (name, *_), finding in zip(looks, found, strict=True) if finding is None)])
    return (well("repository", f"{forge.repository}, {branch}; the token reads {may}"), *filter(None, found))


async def _look(name: str, state: State, ask: Callable[[], object]) -> Finding | None:
    """None where it can be read."""
    try:
        await call(ask)
    except ForgeError as error:
        if error.status not in {401, 403, 404}:
            return failed(f"token: {name}", error)
        why = {
            "checks": " Without it, findings are annotations of the job log.",
            "actions": " Only jobs that start from another workflow's run need it.",
        }.get(name, "")
        hint = f"Give the job `permissions: {name}: {'read' if name == 'actions' else 'write'}` in the workflow.{why}"
        return Finding(f"token: {name}", state, f"the token may not read {name}", hint, ExitCode.USAGE)
    return None


async def configuration(forge: Forge) -> Config:
    """What perstack.toml says on the default branch, which is what counts there. Raises: UserError."""
    branch = await call(forge.default_branch)

    async def read(name: str) -> bytes | None:
        return await call(forge.read_file, name, branch)

    return await api.committed_config(read)
