"""The experts that ship, each at an example of its work: what it is offered, what it does, what is there afterwards.

The model is a script, so this says that an expert has the tools for its work and no others; how well real models do it
is measured elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import perstack
from perstack.core.experts import BASE_SKILL, BASE_TOOLS, BUILTIN_SKILLS
from perstack.core.json import Json
from perstack.definition.builtin import builtin_config
from perstack.testing import Collect, done, reply
from tests.api.kit import options, requests_of

pytestmark = pytest.mark.anyio

Call = tuple[str, Mapping[str, Json]]
CODE = "def half(x):\n    return x / 3\n"
TEST = "import unittest\nfrom shop import half\n\n\nclass Half(unittest.TestCase):\n    def test_of_four(self):\n"
FAILS = f"{TEST}        self.assertEqual(half(4), 2)\n"


@dataclass(frozen=True)
class Example:
    """One call after the other over a workspace, and the text that a file has afterwards."""

    calls: Sequence[Call]
    files: Mapping[str, str] = field(default_factory=lambda: {"shop.py": CODE})
    after: Mapping[str, str] = field(default_factory=dict)
    seen: str = ""
    red: int = 0  # calls that are to fail


def read(path: str) -> Call:
    return "readTextFile", {"path": path}


def write(path: str, text: str) -> Call:
    return "writeTextFile", {"path": path, "text": text}


def edit(path: str, old: str, new: str) -> Call:
    return "editTextFile", {"path": path, "oldText": old, "newText": new}


def runs(*arguments: str) -> Call:
    return "exec", {
        "command": sys.executable,
        "args": [*arguments],
        "env": {},
        "cwd": ".",
        "stdout": True,
        "stderr": True,
    }


UNITTEST = runs("-m", "unittest")
EXAMPLES = {
    "reproduce": Example(
        [read("shop.py"), write("test_shop.py", FAILS), UNITTEST],
        after={"test_shop.py": FAILS, "shop.py": CODE},
        seen="1.33",
        red=1,
    ),
    "plan": Example([("listDirectory", {"path": "."}), read("shop.py")], after={"shop.py": CODE}, seen="x / 3"),
    "build": Example(
        [read("shop.py"), edit("shop.py", "x / 3", "x / 2"), UNITTEST],
        files={"shop.py": CODE, "test_shop.py": FAILS},
        after={"shop.py": CODE.replace("3", "2"), "test_shop.py": FAILS},
        seen="OK",
    ),
    "review": Example([read("shop.py")], after={"shop.py": CODE}, seen="x / 3"),
    "test-writer": Example(
        [read("shop.py"), write("test_shop.py", FAILS), edit("test_shop.py", "half(4), 2", "half(6), 2"), UNITTEST],
        after={"shop.py": CODE},
        seen="OK",
    ),
    "type-fixer": Example(
        [edit("shop.py", "x)", "x: float) -> float"), runs("-m", "py_compile", "shop.py")],
        after={"shop.py": CODE.replace("x)", "x: float) -> float")},
    ),
    "lint-fixer": Example(
        [runs("-m", "py_compile", "shop.py"), edit("shop.py", "import os\n", "")],
        files={"shop.py": f"import os\n{CODE}"},
        after={"shop.py": CODE},
    ),
    "dependency-upgrade": Example(
        [runs("-c", "import json; print(json.__name__)"), edit("pyproject.toml", "<2", "<3")],
        files={"pyproject.toml": 'dependencies = ["shop<2"]\n'},
        after={"pyproject.toml": 'dependencies = ["shop<3"]\n'},
        seen="json",
    ),
    "flaky-hunter": Example(
        [runs("-c", "from shop import first; print(first())"), edit("shop.py", "list({1, 2})", "sorted({1, 2})")],
        files={"shop.py": "def first():\n    return list({1, 2})[0]\n"},
        after={"shop.py": "def first():\n    return sorted({1, 2})[0]\n"},
        seen="1",
    ),
    "docs-sync": Example(
        [read("shop.py"), edit("README.md", "third", "half")],
        files={"shop.py": CODE, "README.md": "`half` gives a third.\n"},
        after={"README.md": "`half` gives a half.\n", "shop.py": CODE},
        seen="x / 3",
    ),
    "release-notes": Example(
        [read("commits.txt")],
        files={"commits.txt": "Round totals (#7)\n"},
        after={"commits.txt": "Round totals (#7)\n"},
        seen="#7",
    ),
}  # fmt: skip


@pytest.mark.parametrize("key", EXAMPLES)
async def test_an_expert_that_ships_does_its_work_with_its_own_few_tools(key: str, tmp_path: Path) -> None:
    example, expert = EXAMPLES[key], builtin_config().experts[key]
    for name, text in example.files.items():
        (tmp_path / name).write_text(text)
    watch = Collect()
    replies = [*(reply(calls=[call]) for call in example.calls), done("This is the result.")]
    given = options(tmp_path, *replies, config="model = 'scripted-1'\n\n", on_event=watch)
    found = await perstack.run(key, "Do what you are for.", **given)

    assert (found.status, found.text, found.error) == ("completed", "This is the result.", "")
    offered = {tool.name for tool in requests_of(given)[0].tools}
    assert offered == {tool for skill in expert.skills.values() for tool in skill.pick}
    assert set(expert.skills) <= BUILTIN_SKILLS
    assert set(expert.skills[BASE_SKILL].pick) <= set(BASE_TOOLS)
    told = watch.types("startRun", "callTools", "resolveToolResults", "continueToNextStep", "completeRun", "retry")
    step = ["callTools", "resolveToolResults", "continueToNextStep"]
    assert told == ["startRun", *(step * len(example.calls)), "callTools", "completeRun"]
    results = str(requests_of(given)[-1].messages)
    assert results.count("is_error=True") == example.red
    assert example.seen in results
    assert {name: (tmp_path / name).read_text() for name in example.after} == example.after


def test_every_expert_that_ships_has_an_example_or_a_pipeline_of_its_own() -> None:
    alone = {key for key in builtin_config().experts if not key.startswith("@")}
    assert alone == {*EXAMPLES, "fix", "create-expert"}


def test_the_experts_that_ship_are_short_and_know_no_tool_by_name() -> None:
    for key, expert in builtin_config().experts.items():
        assert expert.skills[BASE_SKILL].pick, key
        assert expert.default_model_tier in {"low", "middle", "high"}, key
        assert len(expert.description) <= 160, key
        if key in EXAMPLES:
            assert len(expert.instruction.strip().splitlines()) <= 15, key
            assert not [tool for tool in BASE_TOOLS if len(tool) > 4 and tool in expert.instruction], key
