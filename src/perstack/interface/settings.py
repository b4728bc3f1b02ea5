"""The options of a run: as click takes them, and as the run that they ask for. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.core.experts import Config
from perstack.core.json import JsonObject
from perstack.interface.options import engine_options, read_config, storage_option, warn

_ADAPTERS = ("cursor", "claude-code", "gemini")
LEVELS = ("none", "minimal", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of a run as given on the command line; empty where they were not, and then the configuration's."""

    config: str = ""
    workspace: Path | None = None
    storage: Path | None = None
    sandbox: str = "auto"
    provider: str = ""
    model: str = ""
    reasoning_budget: str | int = ""
    max_steps: int = 0
    max_retries: int = -1
    timeout_ms: int = 0
    max_tokens: int = 0
    max_cost: float = 0.0
    env_path: tuple[str, ...] = ()
    only: str = ""
    verbose: bool = False

    def place(self) -> Path:
        """The workspace."""
        return (self.workspace or Path()).resolve()

    def arguments(self) -> list[str]:
        """The options that have to be repeated to go on with a job in the same way."""
        pairs = [
            ("--config", self.config),
            ("--workspace", str(self.workspace or "")),
            ("--storage", str(self.storage or "")),
            ("--sandbox", "" if self.sandbox == "auto" else self.sandbox),
            ("--provider", self.provider),
            ("--model", self.model),
            ("--reasoning-budget", str(self.reasoning_budget)),
            ("--max-steps", str(self.max_steps or "")),
            ("--max-retries", str(self.max_retries) if self.max_retries >= 0 else ""),
            ("--timeout", str(self.timeout_ms or "")),
            ("--max-tokens", str(self.max_tokens or "")),
            ("--max-cost", f"{self.max_cost:g}" if self.max_cost else ""),
            *(("--env-path", path) for path in self.env_path),
        ]
        return [text for option, value in pairs if value for text in (option, value)]


def load_config(settings: Settings, expert: str = "") -> Config:
    """The configuration that was named, else the nearest `perstack.toml`; an `expert` that ships needs neither.

    Raises: UserError where there is none, or with every problem at its line.
    """
    path = settings.config or api.find_config(Path.cwd())
    if path is None:
        shipped = read_config(None)
        if expert in shipped.experts:
            return shipped
        raise UserError("perstack.toml not found. Create one or specify --config path.")
    config = read_config(path)
    for warning in config.warnings:
        warn(warning)
    return config


def note_of(settings: Settings, config: Config) -> JsonObject:
    """What the record of a job keeps of how it was started."""
    path = config.path if api.is_remote(config.path) else config.path and str(Path(config.path).absolute())
    return {"workspace": str(settings.place()), **({"config": path} if path else {})}


def order(settings: Settings, config: Config, expert: str, query: str) -> api.Run:
    """The run that the options ask for, as a new job.

    Raises: UserError for an expert that is not defined.
    """
    return api.Run(
        config,
        api.resolve_expert(config, expert).key,
        query,
        settings.place(),
        max_steps=settings.max_steps,
        max_retries=settings.max_retries,
        timeout_ms=settings.timeout_ms,
        max_tokens=settings.max_tokens,
        max_cost=settings.max_cost,
        reasoning_budget=settings.reasoning_budget,
        note=note_of(settings, config),
    )


def run_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options that `run` and `resume` share, handed over as `settings`."""

    @wraps(function)
    def packed(**given: Any) -> int:
        return function(settings=_packed(given), **given)

    decorated: Callable[..., int] = packed
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _packed(given: dict[str, Any]) -> Settings:
    """Take the shared options out of `given`."""
    names = ("config", "workspace", "storage", "sandbox", "provider", "model", "env_path", "verbose")
    shared = {name: given.pop(name) for name in names}
    shared["sandbox"] = _sandbox(given.pop("runtime"), shared["sandbox"])
    if given.pop("env"):
        warn("--env has no effect: a skill sees the variables it names in `requiredEnv`")
    retries, steps, timeout = given.pop("max_retries"), given.pop("max_steps"), given.pop("timeout")
    return Settings(
        **shared,
        reasoning_budget=_budget(given.pop("reasoning_budget")),
        max_steps=steps or 0,
        max_retries=-1 if retries is None else retries,
        timeout_ms=timeout or 0,
        max_tokens=given.pop("max_tokens") or 0,
        max_cost=given.pop("max_cost") or 0.0,
    )


def _sandbox(runtime: str, sandbox: str) -> str:
    """What `--runtime` of 2025 means now. Raises: UserError for a name that is none, or that ran other products."""
    if runtime in _ADAPTERS:
        raise UserError(f"--runtime {runtime} is not part of this version", hint="Leave it out: experts run here.")
    if runtime not in {"", "local", "docker"}:
        raise UserError(f"Invalid runtime: {runtime}", hint="Leave it out, and choose the isolation with --sandbox.")
    if runtime == "local":
        warn("--runtime local has no effect: tools run in a sandbox; choose it with --sandbox")
    return "docker" if runtime == "docker" and sandbox == "auto" else sandbox


def _budget(text: str) -> str | int:
    if text in {"", *LEVELS}:
        return text
    if text.isdecimal():
        return int(text)
    raise UserError(
        f"--reasoning-budget {text}: neither a level nor a number of tokens", hint=f"Levels: {', '.join(LEVELS)}."
    )


_OPTIONS = (
    click.option("--config", default="", metavar="FILE", help="The definition.  [default: perstack.toml, upwards]"),
    click.option(
        "--workspace",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The one directory the expert may read and write.  [default: the current directory]",
    ),
    storage_option,
    engine_options,
    click.option("--reasoning-budget", default="", metavar="B", help=f"{', '.join(LEVELS)}, or tokens."),
    click.option("--max-steps", type=click.IntRange(min=1), metavar="N", help="Steps of the whole job."),
    click.option("--max-retries", type=click.IntRange(min=0), metavar="N", help="Of one generation."),
    click.option("--timeout", type=click.IntRange(min=1), metavar="MS", help="For one generation."),
    click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Tokens of the whole job, in and out."),
    click.option(
        "--max-cost", type=click.FloatRange(min=0, min_open=True), metavar="USD", help="US dollars of the job."
    ),
    click.option("--env-path", multiple=True, metavar="FILE", help="dotenv file; repeatable.  [.env, .env.local]"),
    click.option("--runtime", default="", hidden=True),
    click.option("--env", multiple=True, hidden=True),
    click.option("--verbose", is_flag=True, help="Progress and what servers write to stderr, on stderr."),
)
