"""What others would take from a definition, and whether it is fit for them. Publishes nothing: a git tag does that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from perstack.api.locked import locked_by
from perstack.core.errors import UserError
from perstack.core.experts import BASE_SKILL, BASE_TOOLS, MANAGEMENT_TOOLS, Config, Expert
from perstack.core.grammar import parse_expert_key
from perstack.core.json import Json, JsonObject
from perstack.definition.load import load_config, read_definition, read_experts
from perstack.definition.lock import INTERACTIVE, table_of
from perstack.definition.package import Package, read_package
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_command import Git
from perstack.infrastructure.git_remote import Source, locate
from perstack.infrastructure.secrets import find_secrets

_OF_A_MACHINE = re.compile(r"(?<![\w:/.~-])/(?:home|Users|root|tmp|mnt|opt|srv|var|private|Volumes)/|\b[A-Za-z]:\\")
_ORIGIN = re.compile(r"(?:https://|ssh://git@|git@)github\.com[/:]([\w.-]+/[\w.-]+?)(?:\.git)?/?")


@dataclass(frozen=True, slots=True)
class Publication:
    """A package as others would take it. `errors` keep it from being published, `warnings` do not.

    `tag` and `source` are the tag that publishes it and what others then type; `source` is "" without a known origin.
    """

    version: str
    digest: str
    experts: tuple[JsonObject, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    tag: str
    source: str
    commands: tuple[str, ...]


async def examine(path: Path, key: str, scratch: Path) -> Publication:
    """Look at a definition as those who would take it. `key` narrows what is shown to one expert.

    Raises: UserError for a definition that nobody could take, and for an expert that is not in it.
    """
    text = read_definition(path)
    config = load_config(text, str(path))
    package = read_package([(str(path), text)])
    experts = read_experts(package.tables)
    if key and key not in experts:
        raise UserError(
            f'Expert "{key}" not found in {path.name}', hint=f"Available experts: {', '.join(experts) or 'none'}"
        )
    version = _version(experts)
    git = await _Checkout.open(path, scratch)
    errors = [*_texts(path, text, package, experts), *_papers(path, git), *_lock(config, experts)]
    warnings = [*config.warnings, *_advice(path, text, experts)]
    tag = f"v{version}"
    if git is None:
        errors.append(f"{path}: is in no git repository, and a tag of one is what publishes it")
    else:
        errors += await git.problems(path, tag)
    inside = path.resolve().parent.relative_to(git.found.root.resolve()).as_posix() if git else "."
    where = "" if inside == "." else f"//{inside}"
    name = path.name if path.name != "perstack.toml" else ""
    place = f"{where}/{name}" if name and where else f"//{name}" if name else where
    origin = await git.origin() if git else ""
    return Publication(
        version, package.digest, tuple(_payload(experts[each]) for each in ([key] if key else experts)),
        tuple(errors), tuple(warnings), tag, f"github:{origin}{place}@{tag}" if origin else "",
        (f'git tag -a {tag} -m "{package.teams[0]} {version}"', f"git push origin {tag}"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Checkout:
    """The repository a definition is in, borrowed: its configuration runs nothing here."""

    found: Source
    repository: Repository

    @classmethod
    async def open(cls, path: Path, scratch: Path) -> _Checkout | None:
        try:
            found = locate(path.resolve().parent)
        except UserError:
            return None
        return cls(found, await Repository.from_checkout(found.root, scratch / "publish.git"))

    async def problems(self, path: Path, tag: str) -> list[str]:
        """What keeps a tag of HEAD from meaning this definition."""
        name = path.resolve().relative_to(self.found.root.resolve()).as_posix()
        try:
            head = await self.repository.resolve("HEAD")
        except UserError:
            return [f"{path}: nothing is committed yet"]
        errors = []
        if await self.repository.read_file(head, name) != path.read_bytes():
            errors.append(f"{path}: differs from the last commit; commit it, because a tag names a commit")
        try:
            taken = await self.repository.resolve(f"refs/tags/{tag}")
        except UserError:
            return errors
        if taken != head:
            errors.append(
                f"tag {tag} is there already, at {taken[:12]}: a version is never moved; give it the next one"
            )
        return errors

    async def origin(self) -> str:
        """`owner/repository` where origin is on GitHub. The file is read as data; nothing it names is followed."""
        git = Git(self.repository.path)
        read = ("config", "--no-includes", "--file", str(self.found.common / "config"), "--get", "remote.origin.url")
        result = await git.run(*read)
        match = _ORIGIN.fullmatch(result.stdout.decode("utf-8", "replace").strip())
        return match[1] if match else ""


def _version(experts: Mapping[str, Expert]) -> str:
    """The highest version of a coordinator; the package's own."""
    own = [expert.version for key, expert in experts.items() if not key.startswith("@")]
    return max(own or [expert.version for expert in experts.values()], key=_order)


def _order(version: str) -> tuple[int, int, int, bool, str]:
    core, _, early = version.partition("+")[0].partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    return major, minor, patch, not early, early


def _texts(path: Path, text: str, package: Package, experts: Mapping[str, Expert]) -> Iterator[str]:
    for key, expert in experts.items():
        if not expert.description:
            yield f'{path}: expert "{key}" has no description, which is all that its callers see'
        parsed = parse_expert_key(key)
        written = "version" in cast("Mapping[str, Json]", package.tables[key]) or (
            parsed is not None and parsed.version
        )
        if not key.startswith("@") and not written:
            yield f'{path}: expert "{key}" has no version; add version = "1.0.0"'
    yield from (f"{path}:{line}: looks like a secret ({kind})" for line, kind in find_secrets(text))
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.lstrip().startswith("#") and (found := _OF_A_MACHINE.search(line)):
            yield f"{path}:{number}: `{found[0]}…` is a path of one machine"
    for key, expert in experts.items():
        for name, skill in expert.skills.items():
            if any(word.startswith(("/", "~")) for word in (skill.command, *skill.args)):
                yield f'{path}: skill "{name}" of expert "{key}" names an absolute path'


def _papers(path: Path, git: _Checkout | None) -> Iterator[str]:
    folders = [path.resolve().parent, *([git.found.root] if git else [])]
    names = {entry.name.lower() for folder in folders for entry in folder.iterdir()}
    for what, stems in (("licence", ("license", "licence", "copying")), ("README", ("readme",))):
        if not any(name.startswith(stems) for name in names):
            yield f"there is no {what} beside {path.name} or in its repository"


def _lock(config: Config, experts: Mapping[str, Expert]) -> Iterator[str]:
    """Where a lock file is there, it fits."""
    try:
        locked = locked_by(config)
    except UserError as error:
        yield error.message
        return
    for expert in experts.values():
        yield from locked.known(expert).stale


def _advice(path: Path, text: str, experts: Mapping[str, Expert]) -> Iterator[str]:
    for key, expert in experts.items():
        for name, skill in expert.skills.items():
            if skill.type != INTERACTIVE and not skill.pick and name == BASE_SKILL:
                yield f'expert "{key}" has every base tool, exec among them; `pick` those it needs'
            elif skill.type != INTERACTIVE and not skill.pick:
                yield f'skill "{name}" of expert "{key}" offers every tool it has; `pick` those it needs'
        building = sorted(set(expert.skills[BASE_SKILL].pick) & set(MANAGEMENT_TOOLS))
        if building:
            yield f'expert "{key}" may build experts ({", ".join(building)}); many will not take that'
    known = text + _readme(path)
    for key in (key for key in experts if not key.startswith("@")):
        if f"perstack run {key}" not in known and "# query:" not in text:
            yield f'nothing says how to try "{key}": show `perstack run {key} "…"` in the README'


def _readme(path: Path) -> str:
    found = [entry for entry in path.resolve().parent.iterdir() if entry.name.lower().startswith("readme")]
    return "".join(entry.read_text("utf-8", "replace") for entry in found if entry.is_file())


def _payload(expert: Expert) -> JsonObject:
    """An expert in the shape of the public registry's payload."""
    skills = {
        name: table_of(skill) if skill.command or name != BASE_SKILL else _base(skill.pick)
        for name, skill in expert.skills.items()
    }
    return {
        "name": expert.name,
        "version": expert.version,
        "minRuntimeVersion": expert.min_runtime_version or "v1.0",
        "description": expert.description,
        "instruction": expert.instruction,
        "skills": skills,
        "delegates": list(expert.delegates),
        "tags": ["latest", *(tag for tag in expert.tags if tag != "latest")],
    }


def _base(pick: Iterable[str]) -> JsonObject:
    return {"type": "mcpStdioSkill", "command": "npx", "packageName": BASE_SKILL, "pick": list(pick or BASE_TOOLS)}
