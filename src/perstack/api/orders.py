"""From what a program asks for to what the engine does: configuration, expert, workspace, limits. Runs nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from anyio import to_thread

from perstack.api.asking import Answer, Configured, Proceed, Resume, RunOptions, Task
from perstack.api.configuration import parse_config, read_config
from perstack.api.host import Run
from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, Config, Expert, SkillSpec
from perstack.core.grammar import parse_expert_key
from perstack.core.json import JsonObject
from perstack.core.storage import JobRecord, Store
from perstack.definition.builtin import builtin_config, merge
from perstack.definition.load import find_config, read_experts
from perstack.definition.lock import table_of
from perstack.infrastructure.remote import is_remote
from perstack.runtime.staff import REASONING_TOKENS


def config_of(given: Configured | None) -> Config | None:
    """The configuration over the built-in experts; None where none was given.

    Raises: UserError with every problem at its line, or naming what a Config built in Python gets wrong.
    """
    if given is None:
        return None
    if isinstance(given, Config):
        experts = {key: complete(expert, key) for key, expert in given.experts.items()}
        return merge(replace(given, experts=experts), builtin_config())
    if isinstance(given, str) and "\n" in given:
        # Text belongs to no file: nothing beside a file of that name counts for it.
        return replace(parse_config(given), path="")
    return read_config(given)


def complete(expert: Expert, key: str = "") -> Expert:
    """An expert built in Python as a file's would be: with its name and the base tools.

    Raises: UserError where it breaks a rule of the format.
    """
    if key and key != expert.key:
        raise UserError(f"expert `{expert.key}` stands under the key `{key}`", hint="Use the expert's own key.")
    if not expert.instruction.strip():
        raise UserError(f"expert `{expert.key}` has no instruction", hint="Say what it is to do.")
    read_experts({expert.key: _table(expert)})
    parsed = parse_expert_key(expert.key)
    skills = {BASE_SKILL: SkillSpec(BASE_SKILL), **expert.skills}
    return replace(expert, name=expert.name or (parsed.name if parsed else expert.key), skills=skills)


def _table(expert: Expert) -> JsonObject:
    """An expert as a file would say it, for the rules of files."""
    skills = {name: table_of(spec) for name, spec in expert.skills.items() if spec.command or spec.name != BASE_SKILL}
    for table in skills.values():
        del table["name"]
    texts = {
        "description": expert.description,
        "minRuntimeVersion": expert.min_runtime_version,
        "defaultModelTier": expert.default_model_tier,
    }
    return {
        "instruction": expert.instruction,
        "version": expert.version,
        "delegates": list(expert.delegates),
        "tags": list(expert.tags),
        "skills": skills,
        **{name: text for name, text in texts.items() if text},
    }


async def config_from(given: Configured | None) -> Config | None:
    """As `config_of`; what has to be fetched does not hold up the event loop. Raises: as `config_of`."""
    if isinstance(given, str) and is_remote(given):
        return await to_thread.run_sync(config_of, given)
    return config_of(given)


def order(task: Task, query: str, options: RunOptions, store: Store, config: Config | None) -> Run:
    """The run that is asked for. An old job brings its expert, its configuration and its workspace along.

    Raises: UserError where there is no such job or configuration.
    """
    workspace = options.get("workspace")
    if isinstance(task, Resume | Proceed | Answer):
        return _limited(_again(task, config, workspace, store.load(task.job_id)), options)
    if isinstance(task, Expert):
        base = config or merge(Config(), builtin_config())
        config, key = replace(base, experts={**base.experts, task.key: complete(task)}), task.key
    else:
        config, key = config or _discovered(), task
    if not query.strip():
        raise UserError(f"the query for expert `{key}` is empty", hint="Say what it is to do.")
    place = _workspace(workspace)
    note = {"workspace": str(place), "config": _lasting(config.path)} if config.path else {"workspace": str(place)}
    return _limited(Run(config, key, query, place, job_id=options.get("job_id", ""), note=note), options)


def _again(task: Resume | Proceed | Answer, config: Config | None, workspace: Path | str | None, job: JobRecord) -> Run:
    kind = job.extra.get("kind", "run")
    if kind != "run":
        raise UserError(f"job {job.id} is a `{kind}` job: only the run of an expert can go on", hint="Start it again.")
    if config is None:
        config = read_config(_noted(job, "config")) if _noted(job, "config") else _discovered()
    run = Run(config, job.coordinator_expert_key, "", _workspace(workspace or _noted(job, "workspace")), job_id=job.id)
    match task:
        case Resume():
            return replace(run, resume=True)
        case Proceed():
            return replace(run, proceed=True, query=task.query, checkpoint=task.checkpoint)
        case Answer():
            return replace(run, answer=True, query=task.text)


def _limited(run: Run, options: RunOptions) -> Run:
    """The run with its limits and skills. Raises: UserError for a limit that is none, or two skills of one name."""
    limited = replace(
        run,
        max_steps=options.get("max_steps", 0),
        max_retries=options.get("max_retries", -1),
        timeout_ms=options.get("timeout_ms", 0),
        max_tokens=options.get("max_tokens", 0),
        max_cost=options.get("max_cost", 0.0),
        reasoning_budget=options.get("reasoning_budget", ""),
        skills=tuple(options.get("skills", ())),
    )
    for name in ("max_steps", "max_retries", "timeout_ms", "max_tokens", "max_cost"):
        if getattr(limited, name) < (-1 if name == "max_retries" else 0):
            raise UserError(f"{name} is {getattr(limited, name)}", hint="Give a number of 0 or more, or leave it out.")
    budget = limited.reasoning_budget
    if budget not in ("", *REASONING_TOKENS) and not (isinstance(budget, int) and budget >= 0):
        levels = ", ".join(REASONING_TOKENS)
        raise UserError(f"reasoning_budget is {budget!r}", hint=f"Give one of {levels}, or a number of tokens.")
    expert = run.config.experts.get(run.expert)
    names = [*(expert.skills if expert else ()), *(skill.name for skill in limited.skills)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"two skills of expert `{run.expert}` have the name `{twice[0]}`", hint="Rename one.")
    return limited


def _discovered() -> Config:
    path = find_config(Path.cwd())
    if path is None:
        raise UserError("perstack.toml not found", hint="Create one, or pass config= (a file, TOML text or a Config).")
    return read_config(path)


def _lasting(path: str) -> str:
    """Where a configuration is, said so that it holds in another directory too."""
    return path if is_remote(path) else str(Path(path).absolute())


def _noted(record: JobRecord, name: str) -> str:
    value = record.extra.get(name)
    return value if isinstance(value, str) else ""


def _workspace(given: Path | str | None) -> Path:
    path = Path(given or ".").resolve()
    if not path.is_dir():
        raise UserError(f"the workspace {path} is no directory", hint="Create it, or pass another workspace=.")
    return path


def check_options(options: Mapping[str, object], known: Collection[str]) -> None:
    """Raises: TypeError for an option that the function does not have, as Python does for a wrong keyword."""
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}; there are: {', '.join(sorted(known))}")
