"""README and docs tell the truth: blocks parse, command lines are accepted, links, files and tests exist."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from perstack import __version__, api
from perstack.core.errors import ExitCode
from perstack.interface.main import COMMANDS, group
from perstack.interface.render.markdown import help_text

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FILE = re.compile(r"(?:src|tests|docs|scripts|experts|bench)/[\w./-]+\.\w+")
KINDS = {"sh", "yaml", "toml", "json", "text", "mermaid", "diff", "markdown", "python", ""}


class Block(NamedTuple):
    page: Path
    kind: str
    text: str


def blocks(*kinds: str) -> list[Any]:
    found = [Block(page, m[1], m[2]) for page in PAGES for m in BLOCK.finditer(page.read_text("utf-8"))]
    chosen = [b for b in found if not kinds or b.kind in kinds]
    return [pytest.param(b, id=f"{b.page.name}-{i}") for i, b in enumerate(chosen)]


def command_lines() -> list[Any]:
    """Every `perstack …` in shell blocks and inline code that is a whole command line."""
    found: set[tuple[str, str]] = set()
    for page in PAGES:
        text = page.read_text("utf-8")
        shell = [line for m in BLOCK.finditer(text) if m[1] in {"sh", ""} for line in m[2].splitlines()]
        lines = [*shell, *INLINE.findall(BLOCK.sub("", text))]
        for line in lines:
            match = re.match(r"(?:\.venv/bin/)?perstack(?: (.*))?$", line.split("  #")[0].strip())
            if match:
                found.add((page.name, match[1] or ""))
    return [pytest.param(line, id=f"{name}: {line[:40]}") for name, line in sorted(found)]


@pytest.mark.parametrize("block", blocks())
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.kind in KINDS
    assert block.text.strip()


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_configuration_is_accepted_without_a_warning(block: Block) -> None:
    tomllib.loads(block.text)
    config = api.parse_config(block.text)
    assert config.warnings == ()


@pytest.mark.parametrize("block", blocks("yaml"))
def test_a_workflow_has_least_permissions_and_only_our_action(block: Block) -> None:
    lines = [line for line in re.sub(r" +#.*", "", block.text).splitlines() if line.strip()]
    assert all((len(line) - len(line.lstrip(" "))) % 2 == 0 and "\t" not in line for line in lines)
    assert "permissions: {}" in lines
    granted = re.findall(r"^      ([\w-]+): (?:read|write)$", "\n".join(lines), re.MULTILINE)
    assert sorted(granted) == ["checks", "contents", "issues", "pull-requests"]
    uses = re.findall(r"uses: (\S+)", block.text)
    assert uses == [f"perstack/action@v{__version__}"]
    inputs = re.findall(r"^  ([\w-]+):$", (ROOT / "action.yml").read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"^          ([a-z-]+):", block.text, re.MULTILINE)) <= set(inputs)


def test_json_parses() -> None:
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text("utf-8")):
            if match[1] == "json":
                json.loads(match[2])


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_accepted(line: str) -> None:
    words = [word for word in shlex.split(line) if word != "…"]
    if not words or words[0].startswith("-"):
        assert not words or words[0] in {"--version", "--help"}
        return
    name, *rest = words
    command = group.get_command(click.Context(group), name)
    assert command is not None, f"there is no `perstack {name}`"
    if not rest:
        return  # the command is named, not called
    parser = command.make_parser(click.Context(command))
    parser.parse_args([*rest])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_and_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for target, _ in LINK.findall(BLOCK.sub("", text)):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for name in FILE.findall(" ".join(INLINE.findall(text))):
        assert (ROOT / name).exists() or (ROOT / "src" / name).exists(), f"{page.name} names {name}"


def test_every_command_and_exit_code_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"`perstack {name}" in text, name
    for code in ExitCode:
        assert re.search(rf"\b{code.value}\b", text), code.name


def test_commands_in_comments_are_the_ones_the_bot_tells() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    told = set(re.findall(r"`/perstack (\w+)", help_text(())))
    assert set(re.findall(r"^\| `/perstack (\w+)", text, re.MULTILINE)) == told


def test_pictures_are_small_pngs() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        data = picture.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n", picture.name
        assert len(data) < 200_000, picture.name
