"""README and docs tell the truth: blocks parse, command lines are accepted, links, files and tests exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from perstack import __version__, api
from perstack.core.errors import ExitCode
from perstack.interface.commandline import COMMANDS, group
from perstack.interface.render.markdown import help_text

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
FILE = re.compile(r"(?:src|tests|docs|scripts|experts|bench)/[\w./-]+\.\w+")
# Shell blocks are run: here, by the test that is named, or not, for the reason that is given. Nothing else is left out;
# of blocks that are not run, syntax and every `perstack …` in them are checked.
RUN_BY = {
    "docs/experts.md": "tests/test_docs_commands.py",
    "docs/jobs.md": "tests/test_docs_jobs.py",
    "docs/lock-file.md": "tests/test_docs_commands.py",
    "docs/reuse.md": "tests/test_docs_commands.py",
    "docs/tutorial.md": "tests/test_docs_tutorial.py",
    "docs/serve.md": "tests/interface/serve/test_docs.py",
}
NOT_RUN = {
    "README.md": "they set up a machine and run every test, this one among them",
    "docs/attack-suite.md": "it takes an hour; tests take samples of the same cases",
}
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
            match = re.match(r"(?:\.venv/bin/)?perstack(?: (.*))?$", line.split("  #")[0].split(" || ")[0].strip())
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
    blocks = [match[2] for page in PAGES for match in BLOCK.finditer(page.read_text("utf-8")) if match[1] == "json"]
    assert [block for block in blocks if not isinstance(json.loads(block), dict | list)] == []


def shell_pages() -> dict[str, list[str]]:
    """Page → its shell blocks, in order."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        for match in BLOCK.finditer(page.read_text("utf-8")):
            if match[1] == "sh":
                found.setdefault(page.relative_to(ROOT).as_posix(), []).append(match[2])
    return found


def test_what_is_said_of_shell_blocks_is_said_of_pages_that_have_some() -> None:
    assert not set(RUN_BY) & set(NOT_RUN)
    assert set(RUN_BY) | set(NOT_RUN) <= set(shell_pages())
    for page, test in RUN_BY.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), f"{test} does not read {page}"


@pytest.mark.parametrize("page", shell_pages())
def test_shell_blocks_are_shell(page: str) -> None:
    for block in shell_pages()[page]:
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, timeout=10, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(set(shell_pages()) - set(RUN_BY) - set(NOT_RUN)))
def test_shell_blocks_run_in_a_small_repository(page: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert 1 + 1 == 2\n", "utf-8")
    (tmp_path / "perstack.toml").write_text('[signals.tests]\nrun = "python3 -m pytest -q"\n', "utf-8")
    identity = "git config user.name Ada && git config user.email ada@example.com"
    start = f"set -euo pipefail; git init -q -b main; {identity}; git add .; git commit -q -m Start"
    script = "\n".join([start, *shell_pages()[page]])
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


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


def test_the_proof_in_the_readme_is_what_the_attack_suite_measured() -> None:
    page = (ROOT / "docs" / "attack-suite.md").read_text("utf-8")
    rows = [[*map(int, row)] for row in re.findall(r"^\| [a-z]+ \| (\d+)/(\d+) \| (\d+)/(\d+) \|", page, re.MULTILINE)]
    stopped, attacks, accepted, honest = map(sum, zip(*rows, strict=True))
    text = (ROOT / "README.md").read_text("utf-8")
    assert f"| **{attacks - stopped} of {attacks}** | {accepted} of {honest} |" in text
    for rung in ("G0", "G4"):
        found = re.search(rf"^\| {rung} \|[^|]*\| (\d+)/(\d+) \| (\d+)/(\d+) \|", page, re.MULTILINE)
        assert found
        assert "| {} of {} | {} of {} |".format(*found.groups()) in text, rung


def test_commands_in_comments_are_the_ones_the_bot_tells() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    told = set(re.findall(r"`/perstack (\w+)", help_text(())))
    assert set(re.findall(r"^\| `/perstack (\w+)", text, re.MULTILINE)) == told


def test_pictures_are_small_pngs() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        data = picture.read_bytes()
        assert data[:8] == b"\x89PNG\r\n\x1a\n", picture.name
        assert len(data) < 200_000, picture.name
