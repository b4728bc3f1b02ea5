"""action.yml, the code behind it, our workflows and the reference workflows tell the same story, and a safe one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perstack import __version__
from perstack.core.experts import GithubSpec
from perstack.core.outcome import Ending
from perstack.core.verdict import Verdict

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / "action.yml").read_text("utf-8")
INTERFACE = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "src/perstack/interface").rglob("*.py")))
OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
REFERENCE = sorted((ROOT / "docs/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def section(name: str) -> dict[str, str]:
    """The entries of one top-level table of action.yml: name → its lines."""
    body = re.split(r"^\w+:.*$", ACTION.split(f"\n{name}:\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    parts = re.split(r"^  ([\w-]+):\n", body, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def scripts_of(text: str) -> list[str]:
    """Every `run:` with its block."""
    return [match[1] for match in re.findall(r"^( *)(?:- )?run: *(.*(?:\n\1   .*)*)", text, re.MULTILINE)]


def test_every_input_reaches_the_code_and_nothing_else_does() -> None:
    passed = dict(re.findall(r"(PERSTACK_\w+): \$\{\{ inputs\.([\w-]+) \}\}", ACTION))
    assert sorted(passed.values()) == sorted(section("inputs"))
    for variable in passed:
        assert f'"{variable}"' in INTERFACE, f"the code does not read {variable}"


def test_defaults_of_inputs_are_those_of_the_code() -> None:
    inputs = section("inputs")
    assert f"default: {GithubSpec().label}" in inputs["label"]
    assert "default: auto" in inputs["sandbox"]
    assert "github.token" in inputs["github-token"]
    for name, lines in inputs.items():
        assert re.search(r"^ +description: .{20,}", lines, re.MULTILINE), f"describe {name}"


def test_every_output_is_written_by_the_code_and_the_other_way_round() -> None:
    outputs = section("outputs")
    source = (ROOT / "src/perstack/interface/jobs/outputs.py").read_text("utf-8")
    written = set(re.findall(r'^        "([\w-]+)": ', source, re.MULTILINE)) | set(
        re.findall(r'values\["(\w+)"\]', source)
    )
    assert sorted(outputs) == sorted(written)
    for name, lines in outputs.items():
        assert f"value: ${{{{ steps.perstack.outputs.{name} }}}}" in lines


def test_the_words_of_verdict_and_outcome_are_all_named() -> None:
    outputs = section("outputs")
    for verdict in Verdict:
        assert verdict.value in outputs["verdict"]
    for ending in Ending:
        assert ending.value in outputs["outcome"]
    jobs = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "src/perstack/interface/jobs").glob("*.py")))
    said = set(re.findall(r'"outcome": "([\w-]+)"', jobs)) | set(re.findall(r'outcome="([\w-]+)"', jobs))
    assert all(word in outputs["outcome"] for word in said)


@pytest.mark.parametrize("path", [ROOT / "action.yml", *OWN, *REFERENCE], ids=lambda p: p.name)
def test_no_expression_becomes_part_of_a_script(path: Path) -> None:
    for script in scripts_of(path.read_text("utf-8")):
        assert "${{" not in script, f"{path.name}: {script}"


def test_the_scripts_of_the_action_are_there_and_become_the_process() -> None:
    scripts = scripts_of(ACTION)
    assert len(scripts) == 2
    for script in scripts:
        match = re.fullmatch(r'exec "\$GITHUB_ACTION_PATH/(scripts/action/\w+)"', script)
        assert match, script
        assert (ROOT / match[1]).stat().st_mode & 0o111, f"{match[1]} cannot be executed"
    start = (ROOT / "scripts/action/start").read_text("utf-8").splitlines()
    assert start[-1].startswith("exec "), "signals must reach Python, not bash"


@pytest.mark.parametrize("path", [ROOT / "action.yml", *OWN, *REFERENCE], ids=lambda p: p.name)
def test_what_is_used_is_pinned(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        used = re.search(r"^\s*(?:- )?uses: (.+)", line)
        if used is None or used[1] == "./":
            continue
        ours = used[1].startswith(f"perstack/action@v{__version__} #")
        assert ours or PINNED.fullmatch(used[1]), f"{path.name}: {used[1]} is not pinned to a commit with its version"


@pytest.mark.parametrize("path", [*OWN, *REFERENCE], ids=lambda p: p.name)
def test_a_workflow_starts_without_permissions_and_gives_each_with_its_reason(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text
    assert "timeout-minutes:" in text
    given = re.findall(r"^      ([\w-]+): write(.*)$", text, re.MULTILINE)
    for name, reason in given:
        assert reason.startswith(" # "), f"{path.name}: why {name}: write?"
    if "pull_request:" in text and path in REFERENCE:
        assert [name for name, _ in given] == ["checks"], "verifying writes a check run and nothing else"


def test_the_action_needs_no_package_of_a_name_that_is_not_locked() -> None:
    install = (ROOT / "scripts/action/install").read_text("utf-8")
    assert "--require-hashes" in install
    locked = (ROOT / "requirements/run.txt").read_text("utf-8")
    for requirement in re.findall(r"^\S+==\S+.*(?:\n    .*)*", locked, re.MULTILINE):
        assert "--hash=sha256:" in requirement
