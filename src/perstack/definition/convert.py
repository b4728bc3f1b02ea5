"""Checked models → the frozen data of `core/experts.py`. No rule and no message is here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perstack.core import experts as data
from perstack.core.grammar import parse_expert_key
from perstack.core.json import Json
from perstack.core.sandbox import Limits, SandboxSpec, SetupNetwork
from perstack.core.signals import Priority, SignalKind, SignalSpec
from perstack.definition import schema, schema_github, schema_harness, schema_provider
from perstack.definition.framework import recognise
from perstack.definition.tables import Table

_OPTIONS = frozenset({"page", "element", "viewports", "port", "ready", "startTimeout"})


def to_config(document: schema_harness.Document, *, path: str, warnings: Sequence[str]) -> data.Config:
    """The whole definition as frozen data."""
    return data.Config(
        path=path,
        model=document.model or "",
        provider=_provider(document.provider),
        reasoning_budget=document.reasoning_budget,
        max_steps=document.max_steps,
        max_retries=document.max_retries,
        timeout_ms=document.timeout,
        env_path=tuple(document.env_path),
        experts={key: _expert(key, expert) for key, expert in document.experts.items()},
        sandbox=_sandbox(document.sandbox or schema_harness.Sandbox()),
        signals=tuple(_signal(name, signal) for name, signal in document.signals.items()),
        verify=_verify(document.verify or schema_harness.Verify()),
        pipelines={name: _pipeline(name, pipeline) for name, pipeline in document.pipelines.items()},
        context=_context(document.context or schema_provider.Context()),
        github=_github(document.github or schema_github.Github()),
        dependencies=dict(document.dependencies),
        warnings=tuple(warnings),
    )


def _provider(provider: schema_provider.Provider | None) -> data.ProviderSpec | None:
    if provider is None:
        return None
    setting = provider.setting
    plain: dict[str, Json] = {} if setting is None else _written(setting)
    if isinstance(provider, schema_provider.LocalProvider):
        return data.ProviderSpec(name=provider.provider_name, setting=plain)
    waits = _written(provider.timeouts) if provider.timeouts else {}
    return data.ProviderSpec(
        name=provider.provider_name,
        setting=plain,
        fallback=tuple(provider.fallback),
        models={name: _written(model) for name, model in provider.models.items()},
        timeouts={name: float(value) for name, value in waits.items() if isinstance(value, int | float)},
    )


def _written(table: Table) -> dict[str, Json]:
    """A table as it was written, with the file's key names, without keys nobody knows."""
    unknown = set(table.model_extra or {})
    return dict(table.model_dump(by_alias=True, exclude_unset=True, exclude=unknown))


def _expert(key: str, expert: schema.Expert) -> data.Expert:
    parsed = parse_expert_key(key)
    name, pinned = (parsed.name, parsed.version) if parsed else (key, "")
    skills = {skill_name: _skill(skill_name, skill) for skill_name, skill in expert.skills.items()}
    skills.setdefault(data.BASE_SKILL, data.SkillSpec(name=data.BASE_SKILL))
    options = expert.provider_tool_options
    return data.Expert(
        key=key,
        instruction=expert.instruction,
        name=name,
        version=expert.version or pinned or "1.0.0",
        min_runtime_version=expert.min_runtime_version or "",
        description=expert.description or "",
        skills=skills,
        delegates=tuple(expert.delegates),
        tags=tuple(expert.tags),
        default_model_tier=expert.default_model_tier or "",
        provider_tools=tuple(expert.provider_tools),
        provider_skills=tuple(_written(skill) for skill in expert.provider_skills),
        provider_tool_options=_written(options) if options else {},
    )


def _skill(name: str, skill: schema.Skill) -> data.SkillSpec:
    description, rule = skill.description or "", skill.rule or ""
    if isinstance(skill, schema.InteractiveSkill):
        tools = {tool: (item.description or "", item.input_json_schema) for tool, item in skill.tools.items()}
        return data.SkillSpec(name=name, type=skill.type, description=description, rule=rule, tools=tools)
    if isinstance(skill, schema.SseSkill):
        return data.SkillSpec(
            name=name,
            type=skill.type,
            description=description,
            rule=rule,
            pick=tuple(skill.pick),
            omit=tuple(skill.omit),
            allowed_domains=tuple(skill.allowed_domains or ()),
            endpoint=skill.endpoint,
        )
    return data.SkillSpec(
        name=name,
        type=skill.type,
        description=description,
        rule=rule,
        pick=tuple(skill.pick),
        omit=tuple(skill.omit),
        command=skill.command,
        package_name=skill.package_name or "",
        args=tuple(skill.args or ()),
        required_env=tuple(skill.required_env),
        allowed_domains=tuple(skill.allowed_domains or ()),
        lazy_init=skill.lazy_init and name not in data.BUILTIN_SKILLS,
    )


def _sandbox(sandbox: schema_harness.Sandbox) -> SandboxSpec:
    limits = sandbox.limits or schema_harness.Limits()
    return SandboxSpec(
        image=sandbox.image or "",
        build=sandbox.build or "",
        devcontainer=sandbox.devcontainer or "",
        compose=sandbox.compose or "",
        services=tuple(sandbox.services),
        engine=sandbox.engine,
        require=tuple(sandbox.require),
        setup=tuple(sandbox.setup),
        setup_timeout_s=sandbox.setup_timeout / 1000,
        network=SetupNetwork(
            sandbox.setup_network == "proxy", tuple(sandbox.setup_domains), tuple(sandbox.setup_mirrors)
        ),
        runtime=sandbox.runtime or "",
        env=tuple(sandbox.env.items()),
        limits=Limits(
            memory_mb=limits.memory_mb,
            processes=limits.processes,
            cpus=limits.cpus,
            file_mb=limits.file_mb,
            tmp_mb=limits.tmp_mb,
            disk_mb=limits.disk_mb,
            disk_files=limits.disk_files,
        ),
    )


def _signal(name: str, signal: schema_harness.Signal) -> SignalSpec:
    run = tuple(signal.run or ())
    framework = signal.framework or recognise(run)
    kind = signal.kind or ("compiler" if signal.tool else "test" if framework else "command")
    return SignalSpec(
        name=name,
        kind=SignalKind(kind),
        run=run,
        framework=framework if kind == "test" else "",
        priority=Priority.MUST if signal.reject else Priority(signal.priority),
        reject=signal.reject,
        repeat=signal.repeat,
        timeout_s=signal.timeout / 1000,
        paths=tuple(signal.paths),
        protect=tuple(signal.protect),
        expect=_expect(signal.expect),
        cwd=signal.cwd,
        tool=(signal.tool or "") if kind == "compiler" else "",
        options={name: value for name, value in _written(signal).items() if name in _OPTIONS},
    )


def _expect(expect: schema_harness.Expect | None) -> Mapping[str, Json]:
    if expect is None:
        return {}
    written = _written(expect)
    if "exit" in written and len(expect.exit) == 1:
        written["exit"] = expect.exit[0]
    return written


def _verify(verify: schema_harness.Verify) -> data.VerifySpec:
    return data.VerifySpec(
        protect=tuple(verify.protect),
        allow=tuple(verify.allow),
        reject=tuple(verify.reject),
        max_files=verify.max_files,
        max_lines=verify.max_lines,
        should_threshold=-1 if verify.should_threshold is None else verify.should_threshold,
        suspicious=verify.suspicious,
        held_out=verify.held_out,
        cache=verify.cache,
        quarantine=tuple(data.Quarantined(q.test, q.until.isoformat(), q.reason) for q in verify.quarantine),
    )


def _pipeline(name: str, pipeline: schema_harness.Pipeline) -> data.PipelineSpec:
    budgets = pipeline.budgets or schema_harness.Budgets()
    return data.PipelineSpec(
        name=name,
        plan=pipeline.plan,
        build=pipeline.build,
        verify=pipeline.verify,
        checks=pipeline.checks or "",
        review=pipeline.review or "",
        budgets=data.Budgets(
            rounds=budgets.rounds,
            steps=budgets.steps,
            tokens=budgets.tokens,
            cost=budgets.cost,
            wall_time_s=budgets.wall_time / 1000,
        ),
    )


def _context(context: schema_provider.Context) -> data.ContextSpec:
    return data.ContextSpec(warn_at=context.warn_at, compact_at=context.compact_at, summary=context.summary)


def _github(github: schema_github.Github) -> data.GithubSpec:
    rules: dict[str, data.CommandRule] = {
        name: data.CommandRule(enabled=rule.enabled, roles=tuple(rule.roles), teams=tuple(rule.teams))
        for name, rule in github.commands.items()
    }
    return data.GithubSpec(
        roles=tuple(github.roles),
        teams=tuple(github.teams),
        commands=rules,
        on=tuple(github.on),
        assignee=github.assignee,
        approval=github.approval,
        cooldown_s=github.cooldown / 1000,
        jobs_per_actor=github.jobs_per_actor,
        jobs_per_day=github.jobs_per_day,
        tokens_per_day=github.tokens_per_day,
        commits=github.commits,
        review_comments=github.review_comments,
        sarif=github.sarif,
        allowed_bots=tuple(github.allowed_bots),
        label=github.label,
        branch_prefix=github.branch_prefix,
        verify_pull_requests=github.verify_pull_requests,
        fork_policy=github.fork_policy,
        check_name=github.check_name,
    )
