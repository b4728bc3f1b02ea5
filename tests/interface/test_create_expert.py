"""`perstack create-expert`: the command over a scripted model and the real engine, from the wish to the file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from perstack.interface.main import run
from tests.interface.model import Model, Turn, model

pytestmark = pytest.mark.slow

SKILL = """\
[experts."KEY".skills."advisories"]
type = "mcpStdioSkill"
command = "python3"
args = ["search.py"]
requiredEnv = ["KEY"]
"""
OLD = (
    '# mine\nmodel = "test-1"\n[experts."old"]\ninstruction = "OLD works."\n' + SKILL.replace("KEY", "old", 1)
).replace("\n", "\r\n")
PLANNER, WRITER, VERIFIER = "what a new expert has to know", "You write definitions of experts", "an expert left behind"
PLAN = {
    "key": "counter",
    "purpose": "Counts the lines of a file.",
    "knowledge": "A last line without an end counts too.",
    "query": "How many lines has notes.txt? Write it to count.txt.",
    "check": "file-holds",
    "path": "count.txt",
    "pattern": "lines: 3",
    "files": {"notes.txt": "a\nb\nc"},
}
TOML = """\
[experts."counter"]
version = "1.0.0"
description = "Counts lines."
instruction = "COUNTER counts."
[experts."counter".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["readTextFile", "writeTextFile", "attemptCompletion"]
"""
WISH = ("create-expert", "Count lines, please.")
END: Turn = [("attemptCompletion", {"result": "Done."})]


def plans(**changes: Any) -> Sequence[Turn]:
    """A planner that hands in this plan."""
    return [[("submitPlan", PLAN | changes)], END]


def writes(*definitions: str) -> Sequence[Turn]:
    """A writer that hands in one definition after the other in one run."""
    return [*([("submitDefinition", {"toml": text})] for text in definitions), END]


def counts(text: str) -> Sequence[Turn]:
    """The new expert at work."""
    return [[("writeTextFile", {"path": "count.txt", "text": text})], END]


class Place:
    """A folder with a definition, and the command in it."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[str], stack: ExitStack, patch: pytest.MonkeyPatch
    ) -> None:
        self.file = folder / "perstack.toml"
        self.file.write_bytes(OLD.encode())
        self._capsys, self._stack, self._patch = capsys, stack, patch
        self.model: Model | None = None

    def __call__(
        self, scripts: Mapping[str, Sequence[Turn]], *arguments: str, command: Sequence[str] = WISH
    ) -> tuple[int, str, str]:
        self.model = self._stack.enter_context(model(scripts))
        for name, value in self.model.env().items():
            self._patch.setenv(name, value)
        machine = ["--provider", "openai-compatible", "--model", "test-1", "--sandbox", "host"]
        code = run([*command, *machine, *arguments])
        return code, *self.shown()

    def shown(self) -> tuple[str, str]:
        """What was printed since."""
        printed = self._capsys.readouterr()
        return printed.out, printed.err

    def asked(self, script: str) -> list[str]:
        """The first message of every conversation with an expert, in order."""
        assert self.model is not None
        return [
            request["messages"][1]["content"]
            for request in self.model.requests
            if script in request["messages"][0]["content"] and len(request["messages"]) == 2
        ]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Place]:
    """Where the command runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERSTACK_STORAGE_PATH", raising=False)
    with ExitStack() as stack:
        yield Place(tmp_path, capsys, stack, monkeypatch)


def test_an_expert_that_does_its_work_is_added_and_everything_else_stays(place: Place) -> None:
    scripts = {PLANNER: plans(), WRITER: writes(TOML), "COUNTER": counts("lines: 3\n")}
    code, out, err = place(scripts)
    assert code == 0, err
    assert "Expert `counter` is in" in out
    after = place.file.read_bytes().decode()
    assert after.startswith(OLD)
    assert 'instruction = "COUNTER counts."' in after
    assert "# query: " in after
    assert "\n" not in after.replace("\r\n", "")
    assert run(["validate", str(place.file)]) == 0
    assert len(place.asked(WRITER)) == 1
    assert place.asked(VERIFIER) == []


def test_what_the_loader_finds_goes_back_to_the_writer_with_its_line(place: Place) -> None:
    broken = TOML.replace('version = "1.0.0"', "version = 1")
    scripts = {PLANNER: plans(), WRITER: writes(broken, TOML), "COUNTER": counts("lines: 3\n")}
    code, _, err = place(scripts, "--out", "counter.toml")
    assert code == 0, err
    assert place.file.read_bytes() == OLD.encode()
    assert TOML.strip() in Path("counter.toml").read_text()
    assert place.model is not None
    told = [m["content"] for r in place.model.requests for m in r["messages"] if m["role"] == "tool"]
    assert any("definition.toml:2" in text for text in told)


def test_a_red_try_goes_back_with_what_somebody_saw_who_did_not_write_it(place: Place) -> None:
    better = TOML.replace("COUNTER counts.", "COUNTER counts, and BETTER.")

    def second(request: dict[str, Any]) -> Turn:
        text = better if "Somebody who saw" in request["messages"][1]["content"] else TOML
        return [("submitDefinition", {"toml": text})]

    scripts = {
        PLANNER: plans(),
        WRITER: [second, END],
        VERIFIER: ["The last line was not counted."],
        "BETTER": counts("lines: 3\n"),
        "COUNTER": counts("lines: 2\n"),
    }
    code, out, err = place(scripts, "--format", "json")
    assert code == 0, err
    assert json.loads(out)["rounds"] == 2
    first, again = place.asked(WRITER)
    assert "The last line was not counted." in again
    assert "Somebody who saw" not in first
    assert "COUNTER counts, and BETTER." in place.file.read_text()
    assert "You write" not in place.asked(VERIFIER)[0]


def test_after_three_tries_it_gives_up_and_nothing_is_written(place: Place) -> None:
    scripts = {PLANNER: plans(), WRITER: writes(TOML), "COUNTER": ["There are 3."], VERIFIER: ["It wrote nothing."]}
    before = sorted(path.name for path in place.file.parent.iterdir())
    code, out, err = place(scripts)
    assert (code, out) == (1, "")
    assert "no expert was made" in err
    assert "count.txt" in err
    assert len(place.asked(WRITER)) == 3
    assert len(place.asked("COUNTER")) == 3
    assert place.file.read_bytes() == OLD.encode()
    assert sorted(path.name for path in place.file.parent.iterdir()) == sorted([*before, "perstack"])


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (SKILL.replace("KEY", "counter", 1), '"advisories" is not allowed'),
        ('[experts."old"]\ninstruction = "Mine now."\n', 'there is an expert "old" already'),
        ('[sandbox]\nimage = "theirs:1"\n', "only [experts…] tables"),
        ('[experts."@counter/x"]\ninstruction = "All tools."\n', "name its tools with `pick`"),
    ],
    ids=["a skill", "somebody's expert", "the sandbox", "every tool"],
)  # fmt: skip
def test_a_written_expert_gets_nothing_that_was_not_allowed(place: Place, extra: str, words: str) -> None:
    scripts = {PLANNER: plans(), WRITER: writes(TOML + extra)}
    code, _, err = place(scripts)
    assert code == 1
    assert words in err
    assert place.file.read_bytes() == OLD.encode()


def test_a_skill_that_the_person_names_may_be_used_as_it_is_and_no_further(place: Place) -> None:
    own = SKILL.replace("KEY", "counter", 1)
    wider = own.replace('["KEY"]', '["KEY", "OPENAI_COMPATIBLE_API_KEY"]')
    scripts = {PLANNER: plans(), WRITER: writes(TOML + wider, TOML + own), "COUNTER": counts("lines: 3\n")}
    code, _, err = place(scripts, "--allow-skill", "advisories", "--out", "a.patch")
    assert code == 0, err
    assert 'requiredEnv = ["KEY"]' in place.asked(WRITER)[0]
    assert place.file.read_bytes() == OLD.encode()
    subprocess.run(["git", "apply", "a.patch"], check=True, timeout=30)
    after = place.file.read_bytes().decode()
    assert after.startswith(OLD)
    assert after.count('requiredEnv = ["KEY"]') == 2
    assert "OPENAI" not in after


def test_a_signal_that_is_green_beforehand_is_no_plan(place: Place) -> None:
    code, _, err = place({PLANNER: plans(path="notes.txt", pattern="b*c")})
    assert code == 1
    assert "green before anybody has worked" in err


def test_tests_are_the_plans_own_and_prove_nothing_that_passes_without_the_expert(place: Place) -> None:
    empty = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        pass\n"
    ask = empty.replace("pass", "import made; self.assertEqual(made.f(2), 4)")
    cheats = [[("writeTextFile", {"path": "test_it.py", "text": empty})], END]
    works = [[("writeTextFile", {"path": "made.py", "text": "def f(x):\n    return x * 2\n"})], END]

    def first(request: dict[str, Any]) -> Turn:
        text = (
            TOML.replace("COUNTER counts.", "HONEST now.") if "was tried" in request["messages"][1]["content"] else TOML
        )
        return [("submitDefinition", {"toml": text})]

    scripts = {
        PLANNER: plans(check="tests-pass", files={"test_it.py": ask}),
        WRITER: [first, END],
        VERIFIER: ["It changed the test."],
        "COUNTER": cheats,
        "HONEST": works,
    }
    code, out, err = place(scripts)
    assert code == 0, err
    assert "tries: 2" in out
    vain = {PLANNER: plans(key="other", check="tests-pass", files={"test_it.py": empty})}
    code, _, err = place(vain)
    assert code == 1
    assert "they prove nothing" in err


def test_the_experts_that_ship_are_listed_and_run_without_a_definition(place: Place) -> None:
    assert run(["experts", "--builtin"]) == 0
    listed, _ = place.shown()
    assert "type-fixer [middle]" in listed
    assert "old" not in listed.split()
    place.file.unlink()
    code, out, err = place({"agree with its type checker": ["Nothing to do."]}, command=["run", "type-fixer", "mypy ."])
    assert code == 0, err
    assert '"expertKey":"type-fixer"' in out


def test_a_model_that_does_not_answer_while_the_expert_is_tried_says_nothing_about_the_expert(place: Place) -> None:
    code, _, err = place({PLANNER: plans(), WRITER: writes(TOML), "COUNTER": [401]})
    assert code == 4
    assert "`counter` stopped" in err
    assert len(place.asked(WRITER)) == 1, "a second definition would not help"
    assert place.file.read_bytes() == OLD.encode()


def test_a_place_that_is_not_there_is_told_before_a_model_is_asked_and_what_cannot_be_kept_is_shown(
    place: Place,
) -> None:
    for option, path in (("--config", "none/perstack.toml"), ("--out", "none/a.patch")):
        code, _, err = place({}, option, path)
        assert (code, "no such folder" in err) == (2, True)
        assert place.model is not None
        assert place.model.requests == []

    def meanwhile(request: dict[str, Any]) -> Turn:
        place.file.write_text("# somebody else\n")
        return counts("lines: 3\n")[0]

    code, _, err = place({PLANNER: plans(), WRITER: writes(TOML), "COUNTER": [meanwhile, END]})
    assert code == 2
    assert "changed meanwhile" in err
    assert 'instruction = "COUNTER counts."' in err
    assert place.file.read_text() == "# somebody else\n"
