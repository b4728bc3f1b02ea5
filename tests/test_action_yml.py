"""action.yml, the code behind it, our workflows and the reference workflows tell the same story, and a safe one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from perstack import __version__
from perstack.core.outcome import Ending
from perstack.core.verdict import Verdict

ROOT = Path(__file__).parent.parent
ACTION = (ROOT / "action.yml").read_text("utf-8")
INTERFACE = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "src/perstack/interface").rglob("*.py")))
OWN = sorted((ROOT / ".github/workflows").glob("*.yml"))
REFERENCE = sorted((ROOT / "docs/workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")
HERE = {"upload-evidence", "artifact-name"}  # inputs that steps of action.yml use, and no code
TOOLS = Path(sys.executable).parent


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
    assert sorted({*passed.values(), *HERE}) == sorted(section("inputs"))
    assert all(f"inputs.{name} " in ACTION for name in HERE)
    for variable in passed:
        assert f'"{variable}"' in INTERFACE, f"the code does not read {variable}"


def test_defaults_of_inputs_are_those_of_the_code() -> None:
    inputs = section("inputs")
    assert "default: auto" in inputs["sandbox"]
    for name in ("provider", "model", "label", "command", "task"):
        assert 'default: ""' in inputs[name], f"{name}: empty leaves it to the configuration"
    assert "github.token" in inputs["github-token"]
    for name, lines in inputs.items():
        assert re.search(r"^ +description: .{20,}", lines, re.MULTILINE), f"describe {name}"


def test_every_output_is_written_by_the_code_and_the_other_way_round() -> None:
    outputs = section("outputs")
    source = (ROOT / "src/perstack/interface/jobs/outputs.py").read_text("utf-8")
    written = set(re.findall(r'^        "([\w-]+)": ', source, re.MULTILINE)) | set(
        re.findall(r'values\["(\w+)"\]', source)
    )
    assert sorted(outputs) == sorted({*written, "artifact-url"})
    for name, lines in outputs.items():
        step = "upload" if name == "artifact-url" else "perstack"
        assert f"value: ${{{{ steps.{step}.outputs.{name} }}}}" in lines


def test_the_words_of_verdict_and_outcome_are_all_named() -> None:
    outputs = section("outputs")
    for verdict in Verdict:
        assert verdict.value in outputs["verdict"]
    for ending in Ending:
        assert ending.value in outputs["outcome"]
    jobs = "\n".join(p.read_text("utf-8") for p in sorted((ROOT / "src/perstack/interface/jobs").glob("*.py")))
    said = set(re.findall(r'\boutcome"?(?: =|=|:) ?[^",\n]{0,60}"([a-z][a-z-]+)"', jobs))
    said |= set(re.findall(r'(?:Answer\(.*?, |_say\(desk, asked, text, )"([a-z][a-z-]+)"', jobs))
    assert {"refused", "stopped", "planned", "explained"} <= said
    assert all(word in outputs["outcome"] for word in said)


@pytest.mark.threat("P12", "P13")
@pytest.mark.parametrize("path", [ROOT / "action.yml", *OWN, *REFERENCE], ids=lambda p: p.name)
def test_no_expression_becomes_part_of_a_script(path: Path) -> None:
    for script in scripts_of(path.read_text("utf-8")):
        assert "${{" not in script, f"{path.name}: {script}"


def test_the_scripts_of_the_action_are_there_and_become_the_process() -> None:
    scripts = scripts_of(ACTION)
    assert len(scripts) == 3
    for script in scripts:
        match = re.fullmatch(r'exec "\$GITHUB_ACTION_PATH/(scripts/action/\w+)"( action| finish)?', script)
        assert match, script
        assert (ROOT / match[1]).stat().st_mode & 0o111, f"{match[1]} cannot be executed"
    start = (ROOT / "scripts/action/start").read_text("utf-8").splitlines()
    assert start[-1].startswith("exec "), "signals must reach Python, not bash"


def test_the_last_steps_run_however_the_job_ended_and_upload_nothing_where_there_is_nothing() -> None:
    finish, upload = ACTION.split("    - name: Finish\n")[1].split("    - name: Upload the result\n")
    assert "if: always()\n" in finish
    condition = "if: always() && inputs.upload-evidence == 'true' && steps.finish.outputs.artifact != ''\n"
    assert condition in upload
    assert "continue-on-error: true" in upload, "a full store says nothing about the change"


@pytest.mark.threat("P7")
@pytest.mark.parametrize("path", [ROOT / "action.yml", *OWN, *REFERENCE], ids=lambda p: p.name)
def test_what_is_used_is_pinned(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        used = re.search(r"^\s*(?:- )?uses: (.+)", line)
        if used is None or used[1].startswith("./ #"):
            continue
        ours = used[1].startswith(f"perstack/action@v{__version__} #")
        assert ours or PINNED.fullmatch(used[1]), f"{path.name}: {used[1]} is not pinned to a commit with its version"


@pytest.mark.threat("P5")
@pytest.mark.parametrize("path", [ROOT / "action.yml", *OWN, *REFERENCE], ids=lambda p: p.name)
def test_no_job_leaves_or_takes_a_cache(path: Path) -> None:
    """What a job that works for strangers wrote into a cache, a job that releases would read: no cache, nowhere."""
    text = path.read_text("utf-8")
    assert not re.search(
        r"^\s*(?:- )?(?:uses: *\S*cache|(?:enable-)?cache[\w-]*: *(?!['\"]?false))", text, re.MULTILINE
    )


@pytest.mark.threat("P6", "P20")
@pytest.mark.parametrize("path", [*OWN, *REFERENCE], ids=lambda p: p.name)
def test_a_workflow_starts_without_permissions_and_gives_each_with_its_reason(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "\npermissions: {}\n" in text
    assert "pull_request_target" not in text
    assert "timeout-minutes:" in text
    given = re.findall(r"^      ([\w-]+): (read|write)(.*)$", text, re.MULTILINE)
    for name, level, reason in given:
        assert reason.startswith(" # ") or path in OWN, f"{path.name}: why {name}: {level}?"
    if "\n  pull_request:" in text and path in REFERENCE:
        assert {name for name, level, _ in given if level == "write"} <= {"checks"}, "verifying writes a check run"


def test_the_action_needs_no_package_of_a_name_that_is_not_locked() -> None:
    install = (ROOT / "scripts/action/install").read_text("utf-8")
    assert "--require-hashes" in install
    for name in ("run", "pip"):
        locked = (ROOT / f"requirements/{name}.txt").read_text("utf-8")
        for requirement in re.findall(r"^\S+==\S+.*(?:\n    .*)*", locked, re.MULTILINE):
            assert "--hash=sha256:" in requirement


def test_readme_and_guide_name_every_input_and_output() -> None:
    for page in ("README.md", "docs/github.md"):
        text = (ROOT / page).read_text("utf-8")
        for name in (*section("inputs"), *section("outputs")):
            assert f"`{name}`" in text, f"{page}: {name}"


@pytest.mark.threat("P6", "P8")
def test_the_guide_has_every_workflow_with_the_permissions_it_asks_for() -> None:
    guide = (ROOT / "docs/github.md").read_text("utf-8")
    columns = re.findall(r"^\| workflow \| (.+) \|$", guide, re.MULTILINE)[0].split(" | ")
    for path in REFERENCE:
        assert f"(workflows/{path.name})" in guide, path.name
        (row,) = re.findall(rf"^\| {path.stem} \|(.*)\|$", guide, re.MULTILINE)
        told = {
            name: cell.split(",")[0].split()[-1]
            for name, cell in zip(columns, row.split("|"), strict=True)
            if cell.strip()
        }
        text = path.read_text("utf-8")
        asked = dict(re.findall(r"^(?:      |          permission-)([\w-]+): (read|write)\b", text, re.MULTILINE))
        assert told == asked, path.name


def test_linters_of_workflows_have_nothing_to_say() -> None:
    """actionlint reads workflows only; zizmor, which asks nobody here, also action.yml."""
    workflows = [str(path) for path in (*OWN, *REFERENCE)]
    for command in (
        ["actionlint", "-no-color", "-shellcheck=", "-pyflakes=", *workflows],
        ["zizmor", "--offline", "--no-progress", "--quiet", "--config", ".github/zizmor.yml", "action.yml", *workflows],
    ):
        told = subprocess.run([TOOLS / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout + told.stderr


def test_the_linters_would_say_something(tmp_path: Path) -> None:
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "on: issue_comment\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - run: echo ${{ github.event.comment.body }} ${{ nothing.here }}\n",
        "utf-8",
    )
    for command in (["actionlint", "-shellcheck=", str(bad)], ["zizmor", "--offline", "--no-progress", str(bad)]):
        told = subprocess.run([TOOLS / command[0], *command[1:]], cwd=tmp_path, capture_output=True, check=False)
        assert told.returncode != 0
