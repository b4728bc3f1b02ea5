"""Makes the GitHub forge from what Actions puts into the environment."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.forge.contract import Forge, Trigger

if TYPE_CHECKING:
    from perstack.forge.github_rest import GithubSettings

# Loaded when GitHub is asked: its library takes longer to load than all the rest of a command.
_FORGE, _SETTINGS, _ACCESS = (f"perstack.forge.{name}" for name in ("github", "github_rest", "github_access"))


def github_forge(env: Mapping[str, str], trigger: Trigger, *, run_url: str, redact: Callable[[str], str]) -> Forge:
    """The repository that the event came from.

    Raises: UserError without a token, or when the event is about another repository than the workflow's.
    """
    workflow_repository = env.get("GITHUB_REPOSITORY", trigger.repository)
    if workflow_repository.lower() != trigger.repository.lower():
        raise UserError(
            f"the event is about {trigger.repository}, but the workflow runs in {workflow_repository}: nothing was done"
        )
    return repository_forge(env, trigger.repository, run_url=run_url, redact=redact)


def repository_forge(
    env: Mapping[str, str], repository: str, *, run_url: str = "", redact: Callable[[str], str]
) -> Forge:
    """The repository `OWNER/NAME` on the GitHub that the environment names. Raises: UserError without a token."""
    settings = github_settings(env, repository, run_url=run_url)
    server = env.get("GITHUB_SERVER_URL") or "https://github.com"
    basic = base64.b64encode(f"x-access-token:{settings.token}".encode()).decode()
    remote = api.GitRemote(f"{server}/{repository}.git", f"AUTHORIZATION: basic {basic}")
    forge: Forge = _loaded(_FORGE).GithubForge(settings, remote=remote, write=click.echo, redact=redact)
    return forge


def see_checks(env: Mapping[str, str], repository: str, sha: str) -> None:
    """Read a commit's check runs. Raises: ForgeError where the token may not."""
    _loaded(_ACCESS).see_checks(github_settings(env, repository), sha)


def github_settings(env: Mapping[str, str], repository: str, *, run_url: str = "") -> GithubSettings:
    """Where GitHub is, and as whom to ask it. Raises: UserError without a token."""
    token = env.get("PERSTACK_GITHUB_TOKEN") or env.get("GITHUB_TOKEN") or ""
    if not token:
        raise UserError(
            "there is no GitHub token",
            hint="the action passes `github-token`; give the job the permissions that the README names",
        )
    settings: GithubSettings = _loaded(_SETTINGS).GithubSettings(
        repository=repository,
        token=token,
        api_url=env.get("GITHUB_API_URL") or "https://api.github.com",
        summary_path=_path(env, "GITHUB_STEP_SUMMARY"),
        output_path=_path(env, "GITHUB_OUTPUT"),
        details_url=run_url,
        seconds_between_writes=_seconds(env.get("PERSTACK_WRITE_SPACING", "")),
    )
    return settings


def _loaded(module: str) -> Any:
    return importlib.import_module(module)


def run_url(env: Mapping[str, str]) -> str:
    """The page of this workflow run."""
    server, repository, run = (env.get(f"GITHUB_{n}", "") for n in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""


def _path(env: Mapping[str, str], name: str) -> Path | None:
    return Path(env[name]) if env.get(name) else None


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text)) if text else 1.0
    except ValueError as error:
        raise UserError(f"PERSTACK_WRITE_SPACING is not a number of seconds: {text!r}") from error
