"""Experts that somebody else wrote: which files hold them, what of those is taken, under which names. Pure.

Threat: the author of a package is not trusted with this repository. Only experts are taken, never signals, sandbox,
verification or forge settings; a package is whole in itself, so no name in it can mean an expert of the user's; and
no name of it may be one that is in use.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, BASE_TOOLS, Expert, SkillSpec
from perstack.core.grammar import parse_expert_key
from perstack.core.json import Json, compact
from perstack.definition.load import FILE_NAME, package_tables, read_experts
from perstack.definition.lock import INTERACTIVE, digest

MAX_BYTES = 256 * 1024
MAX_FILES = 32
MAX_EXPERTS = 64
EXPERTS_FOLDER = "experts"
_SUFFIX = ".toml"


@dataclass(frozen=True, slots=True)
class Package:
    """The experts of a package under their author's names. `left_out` is what its files hold beside experts."""

    tables: Mapping[str, Json]
    digest: str
    left_out: tuple[str, ...] = ()

    @property
    def teams(self) -> tuple[str, ...]:
        """The names of its coordinators, in order; the scope where there is none."""
        return tuple(dict.fromkeys(map(team_of, self.tables)))


def definition_files(names: Iterable[str], path: str) -> tuple[tuple[str, ...], ...]:
    """Which files of a repository may be the definition at `path`; the first group that holds experts is it."""
    known = sorted(set(names))
    if path.endswith(_SUFFIX):
        return ((path,),) if path in known else ()
    folder = f"{path}/" if path else ""
    groups: list[tuple[str, ...]] = [(f"{folder}{FILE_NAME}",)] if f"{folder}{FILE_NAME}" in known else []
    for inside in (f"{folder}{EXPERTS_FOLDER}/", folder):
        if inside:
            own = [name for name in known if name.startswith(inside) and name.endswith(_SUFFIX)]
            groups.append(tuple(name for name in own if "/" not in name[len(inside) :]))
    return tuple(group for group in groups if group)


def read_package(files: Sequence[tuple[str, str]]) -> Package:
    """The package in the texts of its files, each with the name that messages use.

    Raises: UserError for a file that is wrong, and for a package that is not whole in itself.
    """
    tables: dict[str, Json] = {}
    left_out: list[str] = []
    for name, text in files:
        if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise UserError(f"{name}: larger than {MAX_BYTES // 1024} KiB", hint="A definition holds experts only.")
        found, others = package_tables(text, name)
        if twice := sorted(found.keys() & tables.keys()):
            raise UserError(f'{name}: "{twice[0]}" is defined in another file as well', hint="Tell the author.")
        tables |= cast("Mapping[str, Json]", found)
        left_out += others
    package = Package(tables, digest_of(tables), tuple(dict.fromkeys(left_out)))
    _require_whole(package, files[0][0] if files else "the package")
    return package


def digest_of(tables: Mapping[str, Json]) -> str:
    """Identifies experts by what their tables say, not by how the text is laid out.

    Raises: UserError where they hold what no expert has.
    """
    try:
        return digest(dict(tables))
    except TypeError as error:
        raise UserError("an expert holds a date or a time", hint="Write it as text, in quotes.") from error


def _require_whole(package: Package, place: str) -> None:
    """Raises: UserError where experts are missing, too many, or two of one name."""
    experts = read_experts(package.tables)
    problems = [] if experts else ["there is no expert in it"]
    if len(experts) > MAX_EXPERTS:
        problems.append(f"{len(experts)} experts, at most {MAX_EXPERTS} are taken")
    names: dict[str, str] = {}
    for key, expert in experts.items():
        name = _name(key).casefold()
        if name in names:
            problems.append(f'"{key}" and "{names[name]}" are one name')
        names[name] = key
        problems += [
            f'"{key}" delegates to "{delegate}", which the package does not bring'
            for delegate in expert.delegates
            if delegate not in experts
        ]
    if problems:
        raise UserError(
            "\n".join(f"{place}: {problem}" for problem in problems),
            hint="A package brings every expert that it delegates to, and no others'.",
        )


def team_of(key: str) -> str:
    """The coordinator that an expert belongs to, itself where it is one; its scope is the team's name."""
    parsed = parse_expert_key(key)
    return (parsed.scope or parsed.name) if parsed else key


def _name(key: str) -> str:
    parsed = parse_expert_key(key)
    return parsed.name if parsed else key


def experts_as(package: Package, name: str) -> Mapping[str, Expert]:
    """The experts under the names they have here: the one team of a package is called `name`; several keep theirs.

    Raises: UserError where they break a rule under that name.
    """
    if len(package.teams) != 1 or package.teams[0] == name:
        return read_experts(package.tables)
    team = package.teams[0]
    renamed: dict[str, Json] = {}
    for key, table in package.tables.items():
        fields = dict(cast("Mapping[str, Json]", table))
        if delegates := fields.get("delegates"):
            fields["delegates"] = [_renamed(str(each), team, name) for each in cast("Sequence[Json]", delegates)]
        renamed[_renamed(key, team, name)] = fields
    return read_experts(renamed)


def _renamed(key: str, team: str, name: str) -> str:
    if key.startswith(f"@{team}/"):
        return f"@{name}/{key.removeprefix(f'@{team}/')}"
    return f"{name}{key.removeprefix(team)}" if team_of(key) == team and not key.startswith("@") else key


def require_free(experts: Iterable[str], taken: Collection[str], name: str) -> None:
    """Make sure that a dependency takes no name that is in use: not an expert's, and not a team's.

    Raises: UserError that names the team.
    """
    used = {team_of(key).casefold(): key for key in taken}
    for key in experts:
        if (other := used.get(team_of(key).casefold())) is not None:
            raise UserError(
                f'dependency "{name}" brings "{key}", and there is "{other}" already: a dependency replaces nobody',
                hint="Take it under another name: perstack add SOURCE --as NAME (a package of one team only).",
            )


def permissions(expert: Expert) -> tuple[str, ...]:
    """What an expert may do and what it is given, one line each, sorted; equal lines mean equal rights."""
    lines = [f"delegates to {key}" for key in expert.delegates]
    lines += [f"tool of the model's provider: {tool}" for tool in expert.provider_tools]
    lines += [f"skill of the model's provider: {compact(dict(skill))}" for skill in expert.provider_skills]
    if expert.provider_tool_options:
        lines.append(f"options of provider tools: {compact(dict(expert.provider_tool_options))}")
    for name, skill in expert.skills.items():
        lines += _base(skill) if name == BASE_SKILL else _skill(name, skill)
    return tuple(sorted(lines))


def _base(skill: SkillSpec) -> list[str]:
    return [f"base tool {tool}" for tool in skill.pick or BASE_TOOLS if tool not in skill.omit]


def _skill(name: str, skill: SkillSpec) -> list[str]:
    place = f'skill "{name}"'
    if skill.type == INTERACTIVE:
        return [f"{place} asks a person: {tool}" for tool in skill.tools]
    words = [skill.command, *([skill.package_name] if skill.package_name else skill.args)]
    lines = [f"{place} connects to {skill.endpoint}"] if skill.endpoint else [f"{place} starts {compact(words)}"]
    lines += [f"{place} is given the variable {variable}" for variable in skill.required_env]
    lines += [f"{place} may reach {domain}" for domain in skill.allowed_domains]
    lines += [f"{place} offers its tool {tool}" for tool in skill.pick] or [f"{place} offers every tool it has"]
    return [*lines, *(f"{place} leaves out its tool {tool}" for tool in skill.omit)]
