"""Rules of a definition that need more than one value: names, scopes, collisions, skills. Pure; reads models only.

What merely has no effect, or what others would refuse, is in `advice.py`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from perstack.core.errors import UserError
from perstack.core.experts import (
    BASE_SKILL,
    BASE_TOOLS,
    BUILTIN_SKILLS,
    MANAGEMENT_TOOLS,
    RETRIEVAL_SKILL,
    RETRIEVAL_TOOLS,
)
from perstack.core.grammar import ENV_NAME, TABLE_NAME, TAG, ExpertKey, delegation_problem, parse_expert_key
from perstack.definition.locate import KeyPath
from perstack.definition.package_source import parse_source
from perstack.definition.problems import Problem, closest
from perstack.definition.schema import CustomProviderSkill, Expert, InteractiveSkill, SseSkill, StdioSkill
from perstack.definition.schema_harness import Document, Expect, Sandbox, Signal

ENV_NAME_LENGTH = 255


def errors(document: Document) -> Iterator[Problem]:
    """Everything that makes the definition unusable."""
    for key, expert in document.experts.items():
        path: KeyPath = ("experts", key)
        parsed = parse_expert_key(key)
        if parsed is None:
            yield Problem(path, f"Invalid expert key format: {key}")
            continue
        yield from _delegates(parsed, expert, path, organisations=document.runtime is not None)
        yield from _skills(expert, path)
        yield from _collisions(expert, path)
        yield from _provider_skills(expert, path)
        for index, tag in enumerate(expert.tags):
            if TAG.fullmatch(tag) is None:
                yield Problem((*path, "tags", index), "expected lower-case letters, digits, - and _")
    yield from _harness(document)


def missing_delegates(document: Document, known: Collection[str]) -> Iterator[Problem]:
    """Delegates that neither this file nor `known` (the experts that ship) defines."""
    defined = [*document.experts, *known]
    for key, expert in document.experts.items():
        for index, delegate in enumerate(expert.delegates):
            if delegate not in defined:
                guess = closest(delegate, defined)
                tail = f' (did you mean "{guess}"?)' if guess else ""
                message = f'expert "{delegate}" is not defined{tail}; add [experts."{delegate}"] or remove the delegate'
                yield Problem(("experts", key, "delegates", index), message)


def _delegates(source: ExpertKey, expert: Expert, path: KeyPath, *, organisations: bool) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, delegate in enumerate(expert.delegates):
        place = (*path, "delegates", index)
        target = parse_expert_key(delegate)
        if target is None:
            yield Problem(place, f"Invalid expert key format: {delegate}")
            continue
        if delegate in seen:
            yield Problem(place, f'"{delegate}" is listed twice; remove one')
        seen.add(delegate)
        problem = delegation_problem(source, target)
        # In the 2025 form (told by `runtime`) `@name/` is an organisation: only a call to itself is refused.
        if problem and (not organisations or source.name == target.name):
            yield Problem(place, f'"{delegate}" is not allowed here: {problem}')


def _skills(expert: Expert, path: KeyPath) -> Iterator[Problem]:
    for name, skill in expert.skills.items():
        place = (*path, "skills", name)
        if not name:
            yield Problem(place, "a skill needs a name")
        if isinstance(skill, StdioSkill):
            yield from _stdio(name, skill, place)
        elif isinstance(skill, InteractiveSkill):
            if name in BUILTIN_SKILLS:
                yield Problem(place, "a built-in skill cannot be interactive; use another name")
            for tool, definition in skill.tools.items():
                if not tool:
                    yield Problem((*place, "tools", tool), "a tool needs a name")
                if definition.name is not None and definition.name != tool:
                    message = f'differs from the table\'s name "{tool}"; remove it or rename the table'
                    yield Problem((*place, "tools", tool, "name"), message)


def _provider_skills(expert: Expert, path: KeyPath) -> Iterator[Problem]:
    for index, skill in enumerate(expert.provider_skills):
        if isinstance(skill, CustomProviderSkill):
            try:
                json.loads(skill.definition)
            except ValueError as error:
                message = f'Invalid JSON in custom skill definition for "{skill.name}": {error}'
                yield Problem((*path, "providerSkills", index, "definition"), message)


def _stdio(name: str, skill: StdioSkill, place: KeyPath) -> Iterator[Problem]:
    if not skill.command:
        yield Problem((*place, "command"), "the command is empty; name a program to run")
    if skill.package_name is None and skill.args is None and name not in BUILTIN_SKILLS:
        yield Problem(place, f"Skill {name} has no packageName or args. Please provide one of them.")
    if skill.package_name is not None and skill.args:
        yield Problem(place, f"Skill {name} has both packageName and args. Please provide only one of them.")
    for index, variable in enumerate(skill.required_env):
        if ENV_NAME.fullmatch(variable) is None or len(variable) > ENV_NAME_LENGTH:
            yield Problem((*place, "requiredEnv", index), "expected the name of an environment variable")


def _collisions(expert: Expert, path: KeyPath) -> Iterator[Problem]:
    """Two tools of one name would shadow each other, so a model could not call one of them."""
    owners: dict[str, str] = dict.fromkeys(_base_tools(expert), f"a tool of {BASE_SKILL}")
    owners.update(dict.fromkeys(_retrieval_tools(expert), f"a tool of {RETRIEVAL_SKILL}"))
    for name, skill in expert.skills.items():
        if isinstance(skill, InteractiveSkill):
            for tool in skill.tools:
                if tool in owners:
                    message = f'tool name "{tool}" collides with {owners[tool]}; rename one'
                    yield Problem((*path, "skills", name, "tools", tool), message)
                owners.setdefault(tool, f'a tool of skill "{name}"')
    for index, delegate in enumerate(expert.delegates):
        target = parse_expert_key(delegate)
        if target is None or delegate in expert.delegates[:index]:
            continue
        if target.tool_name in owners:
            other = owners[target.tool_name]
            message = f'tool name "{target.tool_name}" of "{delegate}" collides with {other}; rename one'
            yield Problem((*path, "delegates", index), message)
        owners.setdefault(target.tool_name, f'delegate "{delegate}"')


def _base_tools(expert: Expert) -> Sequence[str]:
    base = expert.skills.get(BASE_SKILL)
    if not isinstance(base, StdioSkill | SseSkill):
        return BASE_TOOLS
    kept = [tool for tool in BASE_TOOLS if tool not in base.omit]
    picked = [tool for tool in (*BASE_TOOLS, *MANAGEMENT_TOOLS) if tool in base.pick and tool not in base.omit]
    return picked if base.pick else kept


def _retrieval_tools(expert: Expert) -> Sequence[str]:
    skill = expert.skills.get(RETRIEVAL_SKILL)
    if not isinstance(skill, StdioSkill | SseSkill):
        return ()
    return [tool for tool in RETRIEVAL_TOOLS if tool not in skill.omit and (not skill.pick or tool in skill.pick)]


def _signal(path: KeyPath, signal: Signal) -> Iterator[Problem]:
    """What a kind of signal cannot do without."""
    expect = signal.expect or Expect()
    if signal.run is None and (signal.kind != "screenshot" or not signal.page):
        yield Problem((*path, "run"), 'required, but missing; add the command, such as run = "make test"')
    if signal.kind == "http" and not expect.requests:
        yield Problem((*path, "expect", "requests"), 'required; add one, such as requests = [{ path = "/health" }]')
    if signal.kind == "screenshot" and signal.run is not None and not signal.page and not expect.files:
        yield Problem((*path, "expect", "files"), "required without `page`; name the PNG files that `run` writes")
    if signal.kind == "screenshot" and not signal.page and any(isinstance(mask, str) for mask in expect.masks):
        yield Problem((*path, "expect", "masks"), "a selector needs a `page`; write a mask as [x, y, width, height]")
    if signal.kind == "screenshot" and signal.run is not None and signal.page and not signal.page.startswith("/"):
        yield Problem((*path, "page"), 'with `run`, it is a path of the service; write it with a leading "/"')
    if signal.reject and signal.kind in {"diff", "http", "screenshot"}:
        yield Problem((*path, "reject"), f"a signal of kind `{signal.kind}` cannot reject; use kind `command`")


def _sandbox(sandbox: Sandbox) -> Iterator[Problem]:
    """One source of the image; services and the file they are in come together."""
    sources = [key for key in ("image", "build", "devcontainer") if getattr(sandbox, key)]
    if len(sources) > 1:
        message = f"`{sources[0]}` and `{sources[1]}` exclude each other; remove one"
        yield Problem(("sandbox", sources[1]), message)
    if sandbox.compose and not sandbox.services:
        yield Problem(("sandbox", "compose"), 'names no services to start; add them, such as services = ["db"]')
    if sandbox.services and not (sandbox.compose or sandbox.devcontainer):
        yield Problem(("sandbox", "services"), 'need the file they are in; add compose = "compose.yaml"')


def _dependencies(document: Document) -> Iterator[Problem]:
    for name, text in document.dependencies.items():
        path: KeyPath = ("dependencies", name)
        if TAG.fullmatch(name) is None:
            yield Problem(path, "a dependency's name has lower-case letters, digits, - and _ only")
        try:
            parse_source(text)
        except UserError as error:
            yield Problem(path, error.message)


def _harness(document: Document) -> Iterator[Problem]:
    yield from _dependencies(document)
    if document.context is not None and document.context.warn_at > document.context.compact_at:
        message = f"must not be above compactAt ({document.context.compact_at:g}): a warning comes before a compaction"
        yield Problem(("context", "warnAt"), message)
    if document.sandbox is not None:
        yield from _sandbox(document.sandbox)
    for name, signal in document.signals.items():
        path: KeyPath = ("signals", name)
        if TABLE_NAME.fullmatch(name) is None:
            yield Problem(path, "a signal's name has letters, digits, dots, - and _ only")
        yield from _signal(path, signal)
    for name, pipeline in document.pipelines.items():
        for role in ("plan", "build", "verify", "checks", "review"):
            key = getattr(pipeline, role)
            if key is not None and parse_expert_key(key) is None:
                yield Problem(("pipelines", name, role), f"Invalid expert key format: {key}")
