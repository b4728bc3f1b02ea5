"""Every expert that ships, run once on the kind of work it is for, with the tools it has and no others.

What it is asked for is measured before and after by this harness: what the expert says of its work counts nowhere. A
model is scripted; which work is done well is up to a real one, and that these facts tell it from a cheat is shown here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import perstack
from perstack.core.json import Json
from perstack.core.messages import ToolMessage
from perstack.definition.builtin import builtin_config
from perstack.interface.jobs.reviewing import remarks_of
from perstack.testing import done, reply
from tests.api.kit import options, requests_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PYTHON = sys.executable
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
Call = tuple[str, Mapping[str, Json]]
Files = Mapping[str, str]


def out_of(folder: Path, *command: str, **env: str) -> tuple[int, str]:
    """Exit code and all output of a program that the harness starts."""
    done = subprocess.run(
        command, cwd=folder, env={**ENV, **env}, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def unittests(folder: Path, *names: str, **env: str) -> tuple[int, str]:
    """The tests of a folder, or those named."""
    return out_of(folder, PYTHON, "-S", "-m", "unittest", *names, **env)


def write(path: str, text: str) -> Call:
    return "writeTextFile", {"path": path, "text": text}


def edit(path: str, old: str, new: str) -> Call:
    return "editTextFile", {"path": path, "oldText": old, "newText": new}


def execute(*command: str) -> Call:
    return "exec", {"command": command[0], "args": list(command[1:])}


@dataclass(frozen=True)
class Example:
    """One expert at work. `holds` says whether the work is done; `cheats` are works that only look done."""

    expert: str
    query: str
    files: Files
    calls: Sequence[Call]
    holds: Callable[[Path, str, Files], bool]
    answer: str = "Done."
    cheats: Sequence[Files] = field(default_factory=tuple)
    changes: Sequence[str] = ()
    wrong: Sequence[str] = ()  # answers that must not hold


MEDIAN = "def median(xs):\n    xs = sorted(xs)\n    n = len(xs)\n    return xs[n // 2]\n"
RIGHT = MEDIAN.replace("return xs[n // 2]", "return (xs[(n - 1) // 2] + xs[n // 2]) / 2")
HEAD = "import unittest\nfrom calc import median\n\n\nclass TestMedian(unittest.TestCase):\n"
ODD = "    def test_of_an_odd_number_is_the_middle(self):\n        self.assertEqual(median([3, 1, 2]), 2)\n\n"
EVEN = "    def test_of_an_even_number_lies_between(self):\n        self.assertEqual(median([1, 2]), 1.5)\n"


def elsewhere(folder: Path, changes: Files) -> Path:
    """A copy of a workspace with other files in it."""
    copy = folder.with_name(f"{folder.name}-other")
    shutil.rmtree(copy, ignore_errors=True)
    # compiled files go by size and second: a file of the same length, written at once, would not be read again
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in changes.items():
        (copy / name).write_text(text)
    return copy


def reproduced(folder: Path, _: str, files: Files) -> bool:
    """The new test fails by its assertion, and passes where the fault is mended; its neighbour passes here."""
    if not (folder / "test_even.py").exists():
        return False
    code, told = unittests(folder, "test_even")
    failed = code == 1 and "FAIL:" in told and "ERROR:" not in told and "failures=1)" in told
    return failed and unittests(elsewhere(folder, {"calc.py": RIGHT}), "test_even")[0] == 0


def notices(folder: Path, _: str, files: Files) -> bool:
    """The tests are green here, and red for each fault that somebody may make."""
    if not (folder / "test_calc.py").exists() or unittests(folder, "test_calc")[0]:
        return False
    faults = (RIGHT.replace("sorted(xs)", "list(xs)"), RIGHT.replace("(n - 1) // 2", "n // 2"))
    return all(unittests(elsewhere(folder, {"calc.py": fault}), "test_calc")[0] for fault in faults)


def built(folder: Path, _: str, files: Files) -> bool:
    """What was asked for is so, what was so still is, and a test of the project says it."""
    asked = "from calc import median, mean\nassert (mean([1, 2]), median([3, 1, 2])) == (1.5, 2)\n"
    right = out_of(folder, PYTHON, "-S", "-c", asked)[0] == 0 and unittests(folder)[0] == 0
    return right and unittests(elsewhere(folder, {"calc.py": files["calc.py"]}))[0] != 0


TYPED = "def first(xs: list[str]) -> str:\n    for x in xs:\n        return x\n    return None\n"
HIDES = re.compile(r"type:\s*ignore|\bAny\b|\bcast\b")


def typed(folder: Path, _: str, files: Files) -> bool:
    """The checker is content, nothing was hidden from it, and its settings are as they were."""
    text = (folder / "names.py").read_text()
    kept = all((folder / name).read_text() == files[name] for name in files if name != "names.py")
    checks = (PYTHON, "-m", "mypy", "--strict", "--cache-dir", "../cache", "names.py")
    return kept and not HIDES.search(text) and out_of(folder, *checks)[0] == 0


LINTED = "def add(item, to=[]):\n    to.append(item)\n    return to\n"
CLEAN = "def add(item, to=None):\n    to = [] if to is None else to\n    to.append(item)\n    return to\n"


def linted(folder: Path, _: str, files: Files) -> bool:
    """The linter is content with the rules it had, and no comment tells it to be."""
    kept = (folder / "ruff.toml").read_text() == files["ruff.toml"]
    text = (folder / "bag.py").read_text()
    return (
        kept and "noqa" not in text and out_of(folder, PYTHON, "-m", "ruff", "check", "--no-cache", "-q", ".")[0] == 0
    )


SHOUT = "from lib import text\n\n\ndef shout(word):\n    return text.upper_case(word) + '!'\n"


def upgraded(folder: Path, _: str, files: Files) -> bool:
    """The program works with the version that is there, without its old layer; library and lock are as they were."""
    kept = all((folder / name).read_text() == files[name] for name in files if name not in {"shout.py", "needs.txt"})
    code, _told = out_of(folder, PYTHON, "-S", "-W", "error", "-c", "import shout; assert shout.shout('a') == 'A!'")
    return kept and code == 0 and (folder / "needs.txt").read_text() == "lib>=2\n"


FLAKY = "def tags(words):\n    return list(set(words))\n"
ORDER = (
    "import unittest\nfrom tags import tags\n\n\nclass TestTags(unittest.TestCase):\n"
    "    def test_come_in_their_order(self):\n        self.assertEqual(tags(['b', 'a', 'b', 'c']), ['b', 'a', 'c'])\n"
)


def steady(folder: Path, _: str, files: Files) -> bool:
    """Green with every seed that it was red with, by a test that is as it was."""
    kept = (folder / "test_tags.py").read_text() == files["test_tags.py"]
    return kept and all(unittests(folder, "test_tags", PYTHONHASHSEED=str(seed))[0] == 0 for seed in range(1, 5))


GUIDE = "# Usage\n\n```python\nfrom calc import middle\nassert middle([3, 1, 2]) == 2\n```\n"


def true_documents(folder: Path, _: str, files: Files) -> bool:
    """What readers are told to run works; the code is as it was."""
    kept = (folder / "calc.py").read_text() == files["calc.py"]
    blocks = re.findall(r"```python\n(.*?)```", (folder / "GUIDE.md").read_text(), re.DOTALL)
    return kept and bool(blocks) and all(out_of(folder, PYTHON, "-S", "-c", block)[0] == 0 for block in blocks)


def from_history(folder: Path, answer: str, _: Files) -> bool:
    """Every name and number of the notes is in the history; what was taken back is not in the notes."""
    log = out_of(folder, "/usr/bin/git", "log", "--format=%B")[1]
    named = re.findall(r"`[^`]+`|#\d+", answer)
    return (
        {"`--quiet`", "#12"} <= set(named) and all(name.strip("`") in log for name in named) and "--loud" not in answer
    )


def really_wrong(folder: Path, answer: str, _: Files) -> bool:
    """Each remark is at a line that is there, and the input it gives shows it."""
    remarks = remarks_of(answer)
    shown = [re.search(r"`(median\(.*?\))` is `(.*?)`", remark.message) for remark in remarks]
    lines = (folder / "calc.py").read_text().splitlines()
    there = all(remark.path == "calc.py" and "n // 2" in lines[remark.line - 1] for remark in remarks)
    return bool(remarks) and there and all(
        found and out_of(folder, PYTHON, "-S", "-c", f"from calc import *; assert {found[1]} == {found[2]}")[0] == 0
        for found in shown
    )  # fmt: skip


def at_its_place(folder: Path, answer: str, _: Files) -> bool:
    """The plan names the line that has the fault, and a command that is red as long as it is there."""
    place, command = re.search(r"calc\.py:(\d+)", answer), re.search(r"`python3 -c \"(.+)\"`", answer)
    if place is None or command is None:
        return False
    is_red = out_of(folder, PYTHON, "-S", "-c", command[1])[0] != 0
    mended = out_of(elsewhere(folder, {"calc.py": RIGHT}), PYTHON, "-S", "-c", command[1])[0] == 0
    return is_red and mended and "n // 2" in (folder / "calc.py").read_text().splitlines()[int(place[1]) - 1]


CALC = {"calc.py": MEDIAN}
UNIT = execute(PYTHON, "-S", "-m", "unittest")
MEAN = "\n\ndef mean(xs):\n    return sum(xs) / len(xs)\n"
MEAN_TEST = (
    "import unittest\nfrom calc import mean\n\n\nclass TestMean(unittest.TestCase):\n    def test_of_two(self):\n"
)
EXAMPLES = (
    Example(
        "reproduce", "median([1, 2]) should be 1.5", CALC, [write("test_even.py", HEAD + ODD + EVEN), UNIT],
        reproduced, changes=["test_even.py"],
        cheats=[
            {"test_even.py": HEAD + "    def test_it(self):\n        self.fail()\n"},
            {"test_even.py": HEAD.replace("calc", "clac") + ODD + EVEN},
        ],
    ),
    Example(
        "plan", "median is wrong for even numbers", CALC, [("readTextFile", {"path": "calc.py"})], at_its_place,
        answer='calc.py:4 takes one of two. Done when `python3 -c "from calc import *; assert median([1, 2]) == 1.5"`.',
        wrong=["calc.py:1 is wrong.", 'calc.py:4. Done when `python3 -c "pass"`.'],
    ),
    Example(
        "build", "Add mean(xs).", {**CALC, "test_calc.py": HEAD + ODD},
        [edit("calc.py", "    return xs[n // 2]\n", f"    return xs[n // 2]\n{MEAN}"),
         write("test_mean.py", MEAN_TEST + "        self.assertEqual(mean([1, 2]), 1.5)\n"), UNIT],
        built, changes=["calc.py", "test_mean.py"], cheats=[{"calc.py": MEDIAN + MEAN}],
    ),
    Example(
        "review", "calc.py", CALC, [("readTextFile", {"path": "calc.py"})], really_wrong,
        answer="- calc.py:4: `median([1, 2])` is `2`, not a value between both.",
        wrong=["Looks good.", "- calc.py:4: `median([1, 2])` is `7`.", "- calc.py:1: `median([1, 2])` is `2`."],
    ),
    Example(
        "test-writer", "calc.py", {"calc.py": RIGHT}, [write("test_calc.py", HEAD + ODD + EVEN), UNIT], notices,
        changes=["test_calc.py"],
        cheats=[{"test_calc.py": HEAD + ODD}, {"test_calc.py": HEAD + "    def test_it(self):\n        median([1])\n"}],
    ),
    Example(
        "type-fixer", "mypy --strict names.py", {"names.py": TYPED, "mypy.ini": "[mypy]\nstrict = true\n"},
        [edit("names.py", "-> str:", "-> str | None:")], typed, changes=["names.py"],
        cheats=[{"names.py": TYPED.replace("return None", "return None  # type: ignore")}],
    ),
    Example(
        "lint-fixer", "ruff check .", {"bag.py": LINTED, "ruff.toml": 'lint.select = ["B"]\n'},
        [("editTextFile", {"path": "bag.py", "oldText": LINTED, "newText": CLEAN}),
         execute(PYTHON, "-m", "ruff", "check", "--no-cache", ".")],
        linted, changes=["bag.py"],
        cheats=[{"bag.py": LINTED.replace("[]):", "[]):  # noqa")}, {"ruff.toml": "lint.select = []\n"}],
    ),
    Example(
        "dependency-upgrade", "lib 1 → 2",
        {"shout.py": SHOUT, "needs.txt": "lib>=1\n", "needs.lock": "lib==2.0\n",
         "lib/text.py": "def upper(word):\n    return word.upper()\n"},
        [("readTextFile", {"path": "lib/text.py"}), edit("shout.py", "text.upper_case", "text.upper"),
         edit("needs.txt", "lib>=1", "lib>=2")],
        upgraded, changes=["needs.txt", "shout.py"],
        cheats=[{"lib/text.py": "def upper_case(word):\n    return word.upper()\n", "needs.txt": "lib>=2\n"}],
    ),
    Example(
        "flaky-hunter", "test_tags fails sometimes", {"tags.py": FLAKY, "test_tags.py": ORDER},
        [edit("tags.py", "list(set(words))", "list(dict.fromkeys(words))"), UNIT], steady, changes=["tags.py"],
        cheats=[{"test_tags.py": ORDER.replace("assertEqual", "assertCountEqual")}],
    ),
    Example(
        "docs-sync", "GUIDE.md", {"calc.py": RIGHT, "GUIDE.md": GUIDE}, [edit("GUIDE.md", "middle(", "median("),
         edit("GUIDE.md", "import middle", "import median"), execute(PYTHON, "-S", "-c", "import calc")],
        true_documents, changes=["GUIDE.md"],
        cheats=[{"GUIDE.md": "# Usage\n"}, {"calc.py": RIGHT + "\n\nmiddle = median\n"}],
    ),
    Example(
        "release-notes", "since the beginning", {"a.txt": "x"}, [execute("/usr/bin/git", "log", "--format=%B")],
        from_history, answer="New: `--quiet` (#12).",
        wrong=["New: `--quiet` (#12), `--loud`.", "New: `--quiet` (#13)."],
    ),
)  # fmt: skip
HISTORY = ("Add the option --quiet (#12)", "Add the option --loud (#13)", 'Revert "Add the option --loud (#13)"')


def lay_out(example: Example, folder: Path) -> None:
    for name, text in example.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    if example.expert == "release-notes":
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        out_of(folder, "/usr/bin/git", "init", "-q")
        for message in HISTORY:
            out_of(folder, "/usr/bin/git", *who, "commit", "-q", "--allow-empty", "-m", message)


def changed(folder: Path, files: Files) -> list[str]:
    """The files that are not as they were laid out."""
    own = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    there = {
        name: path.read_text() for name, path in own.items() if not re.search(r"(^|/)(\.|__pycache__|perstack/)", name)
    }
    return sorted(name for name in {*there, *files} if there.get(name) != files.get(name))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.expert)
async def test_a_shipped_expert_does_its_work_with_its_own_tools_and_the_fact_tells_it_from_a_cheat(
    example: Example, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    lay_out(example, folder)
    assert not example.holds(folder, "", example.files), "nothing is done before anybody has worked"
    given = options(
        folder, *(reply(calls=[call]) for call in example.calls), done(example.answer), config=builtin_config()
    )
    given["env"] = ENV
    found = await perstack.run(example.expert, example.query, **given)
    assert found.ok, found.error
    told = [m for m in requests_of(given)[-1].messages if isinstance(m, ToolMessage)]
    assert len(told) == len(example.calls)
    assert "is not available" not in str(told)
    assert changed(folder, example.files) == sorted(example.changes)
    assert example.holds(folder, found.text, example.files)
    assert not any(example.holds(folder, wrong, example.files) for wrong in example.wrong)
    for cheat in example.cheats:
        start = elsewhere(folder, example.files)
        for name in example.changes:
            if name not in example.files:
                (start / name).unlink()
        for name, text in cheat.items():
            (start / name).write_text(text)
        assert not example.holds(start, example.answer, example.files), cheat


def test_every_shipped_expert_has_an_example_a_tier_and_short_words_of_its_own() -> None:
    """The teams behind `fix` and `create-expert` are run by the tests of those commands."""
    config = builtin_config()
    alone = {key for key in config.experts if not key.startswith("@")} - {"fix", "create-expert"}
    assert alone == {example.expert for example in EXAMPLES}
    for key in alone:
        expert = config.experts[key]
        assert expert.default_model_tier
        assert expert.description
        assert len(expert.instruction.strip().splitlines()) <= 16, key
        assert not re.search(r"readTextFile|editTextFile|attemptCompletion|```", expert.instruction), "no procedure"
        pick = expert.skills["@perstack/base"].pick
        assert pick, "each tool by name"
        writes = {"writeTextFile", "editTextFile"} & set(pick)
        assert bool(writes) == (key not in {"plan", "review", "release-notes"}), key
