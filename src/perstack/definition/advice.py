"""What a definition says without effect here, and what others would refuse: warnings. Pure; refuses nothing itself."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from perstack.core.experts import BASE_SKILL, BASE_TOOLS, MANAGEMENT_TOOLS
from perstack.core.grammar import EXPERT_NAME, TOOL_NAME, parse_expert_key
from perstack.definition.locate import KeyPath
from perstack.definition.problems import Problem, closest
from perstack.definition.schema import Expert, InteractiveSkill, SseSkill, StdioSkill
from perstack.definition.schema_github import Github
from perstack.definition.schema_harness import Document

REGISTRY_COUNT = 255
REGISTRY_NAME = 255
REGISTRY_TAGS = 8
REGISTRY_TEXT = 2048
REGISTRY_SCHEMA = 20480
_OLD_BASE_TOOLS = frozenset({"think"})
_KNOWN_TOOLS = frozenset((*BASE_TOOLS, *MANAGEMENT_TOOLS, "runSignals"))  # the last is given by the pipeline
_PINNED_BASE = re.compile(rf"{re.escape(BASE_SKILL)}@.+")
_REFUSED = "an expert registry would refuse"
_WITHOUT_EFFECT = {
    "runtime": "everything runs in this harness's own sandbox ([sandbox])",
    "perstackApiBaseUrl": "experts come from files, no registry is asked",
    "perstackBaseSkillCommand": "the built-in base tools are used",
}
_HARMLESS_COMMANDS = frozenset({"help", "explain"})
_WEAK_ROLES = frozenset({"read", "triage", "none"})
_HOSTED = (
    "webSearch", "webFetch", "codeExecution", "webSearchPreview", "fileSearch", "codeInterpreter", "imageGeneration",
)  # fmt: skip


def warnings(document: Document) -> Iterator[Problem]:
    """Everything that has no effect, or that others would refuse."""
    for alias, why in _WITHOUT_EFFECT.items():
        name = next(name for name, field in type(document).model_fields.items() if field.alias == alias)
        if getattr(document, name) is not None:
            yield Problem((alias,), f'"{alias}" has no effect: {why}')
    for key, expert in document.experts.items():
        yield from _expert(key, expert, ("experts", key))
    if document.github is not None:
        yield from _github(document.github)


def _github(github: Github) -> Iterator[Problem]:
    """Rules of `[github]` that open more than they seem to, or nothing at all."""
    path: KeyPath = ("github",)
    yield from _weak_roles(github.roles, path)
    for name, rule in github.commands.items():
        place = (*path, "commands", name)
        if name not in _HARMLESS_COMMANDS:
            yield from _weak_roles(rule.roles, place)
        if not rule.enabled and (rule.roles or rule.teams):
            yield Problem((*place, "enabled"), f'nobody may give "{name}": roles and teams have no effect')
    off = {name for name, rule in github.commands.items() if not rule.enabled}
    needed = [name for name in ("plan", "approve") if name in off]
    if github.approval == "always" and "fix" not in off and needed:
        message = f'no fix can ever be approved: the command "{needed[0]}" is switched off'
        yield Problem((*path, "approval"), message)
    if github.assignee and "issues" not in github.on:
        yield Problem((*path, "assignee"), 'has no effect: "on" has no "issues"')
    wanted = github.verify_pull_requests and "verify_pull_requests" in github.model_fields_set
    if wanted and "pull_request" not in github.on:
        yield Problem((*path, "verifyPullRequests"), 'has no effect: "on" has no "pull_request"')


def _weak_roles(roles: Iterable[str], path: KeyPath) -> Iterator[Problem]:
    for index, role in enumerate(roles):
        if role in _WEAK_ROLES:
            message = f'the role "{role}" lets people without write access start runs'
            yield Problem((*path, "roles", index), message)


def _expert(key: str, expert: Expert, path: KeyPath) -> Iterator[Problem]:
    parsed = parse_expert_key(key)
    if parsed is not None and len(parsed.name) > REGISTRY_NAME:
        yield Problem(path, f"a name of more than {REGISTRY_NAME} characters; {_REFUSED} it")
    if parsed is not None and EXPERT_NAME.fullmatch(parsed.name) is None:
        yield Problem(path, f"a name with dots; {_REFUSED} it")
    if parsed is not None and parsed.version and expert.version and parsed.version != expert.version:
        yield Problem((*path, "version"), f'differs from the version in the key, "{parsed.version}"; this one counts')
    if len(expert.tags) > REGISTRY_TAGS:
        yield Problem((*path, "tags"), f"more than {REGISTRY_TAGS} tags; {_REFUSED} them")
    if expert.provider_skills:
        yield Problem((*path, "providerSkills"), '"providerSkills" has no effect: they are not sent to any provider')
    for number, name in enumerate(expert.provider_tools):
        if name not in _HOSTED:
            message = f'"{name}" has no effect: no provider is asked for it; known are {", ".join(_HOSTED)}'
            yield Problem((*path, "providerTools", number), message)
    if expert.provider_tool_options and not expert.provider_tools:
        yield Problem((*path, "providerToolOptions"), '"providerToolOptions" has no effect without "providerTools"')
    yield from _too_many({"skills": expert.skills, "delegates": expert.delegates}, path)
    for name, skill in expert.skills.items():
        yield from _skill(name, skill, (*path, "skills", name))


def _skill(name: str, skill: StdioSkill | SseSkill | InteractiveSkill, place: KeyPath) -> Iterator[Problem]:
    if len(name) > REGISTRY_NAME:
        yield Problem(place, f"a name of more than {REGISTRY_NAME} characters; {_REFUSED} it")
    for key in ("description", "rule"):
        yield from _too_long(getattr(skill, key) or "", REGISTRY_TEXT, (*place, key))
    if isinstance(skill, InteractiveSkill):
        yield from _interactive(skill, place)
        return
    yield from _too_many({"pick": skill.pick, "omit": skill.omit}, place)
    if isinstance(skill, SseSkill):
        yield from _too_long(skill.endpoint, REGISTRY_TEXT, (*place, "endpoint"))
    else:
        yield from _too_many({"requiredEnv": skill.required_env}, place)
    if name == BASE_SKILL:
        yield from _base(skill, place)


def _interactive(skill: InteractiveSkill, place: KeyPath) -> Iterator[Problem]:
    yield from _too_many({"tools": skill.tools}, place)
    for tool, definition in skill.tools.items():
        if TOOL_NAME.fullmatch(tool) is None:
            message = "model providers take tool names of letters, digits, _ and - only, 64 at most"
            yield Problem((*place, "tools", tool), message)
        yield from _too_long(definition.input_json_schema, REGISTRY_SCHEMA, (*place, "tools", tool, "inputJsonSchema"))


def _base(skill: StdioSkill | SseSkill, place: KeyPath) -> Iterator[Problem]:
    for key, tools in (("pick", skill.pick), ("omit", skill.omit)):
        for index, tool in enumerate(tools):
            if tool in _KNOWN_TOOLS:
                continue
            guess = "" if tool in _OLD_BASE_TOOLS else closest(tool, (*BASE_TOOLS, *MANAGEMENT_TOOLS))
            tail = f' (did you mean "{guess}"?)' if guess else ""
            yield Problem((*place, key, index), f'{BASE_SKILL} has no tool "{tool}", it is ignored{tail}')
    if isinstance(skill, SseSkill):
        yield Problem((*place, "endpoint"), "has no effect: the built-in base tools are used")
        return
    if skill.required_env:
        message = "requiredEnv has no effect on the built-in base skill: its commands never see the host's environment"
        yield Problem((*place, "requiredEnv"), message)
    pinned = [word for word in (skill.package_name or "", *(skill.args or ())) if _PINNED_BASE.fullmatch(word)]
    if pinned:
        key = "packageName" if skill.package_name else "args"
        yield Problem((*place, key), f'"{pinned[0]}": the version has no effect, the built-in base tools are used')


def _too_many(counted: Mapping[str, Collection[str]], path: KeyPath) -> Iterator[Problem]:
    for key, items in counted.items():
        if len(items) > REGISTRY_COUNT:
            yield Problem((*path, key), f"more than {REGISTRY_COUNT} entries; {_REFUSED} them")


def _too_long(text: str, limit: int, path: KeyPath) -> Iterator[Problem]:
    if len(text) > limit:
        yield Problem(path, f"longer than {limit} characters; {_REFUSED} it")
