"""The builder on small projects of many shapes: real pytest, real processes, edits through the edit tool only."""

import textwrap
from pathlib import Path

import pytest

from perstack.core.messages import UserMessage
from perstack.providers.search import Effort
from tests.search.loop import build, pytest_run, run_suite

pytestmark = pytest.mark.anyio
EFFORT = Effort(total_s=30, first_s=15, round_s=15)


def project(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return root


def snapshot(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_text(encoding="utf-8") for p in root.rglob("*") if p.is_file()}


SHAPES = {
    "test classes and a src layout": (
        {
            "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
            "src/shop/__init__.py": "",
            "src/shop/queue.py": """
                class Ring:
                    def __init__(self, size):
                        self.size = size
                        self.items = []

                    def push(self, item):
                        self.items.append(item)
                        if len(self.items) >= self.size:
                            self.items.pop(0)
                """,
            "tests/test_queue.py": """
                import pytest
                from shop.queue import Ring

                class TestRing:
                    @pytest.fixture
                    def ring(self):
                        return Ring(2)

                    def test_keeps_what_fits(self, ring):
                        ring.push(1)
                        ring.push(2)
                        assert ring.items == [1, 2]

                    def test_drops_the_oldest(self, ring):
                        for i in range(4):
                            ring.push(i)
                        assert ring.items == [2, 3]
                """,
        },
        "src/shop/queue.py",
    ),
    "unittest style": (
        {
            "words.py": """
                def initials(name):
                    return "".join(part[0] for part in name.split()).lower()
                """,
            "test_words.py": """
                import unittest
                from words import initials

                class Words(unittest.TestCase):
                    def test_initials(self):
                        self.assertEqual(initials("ada lovelace"), "AL")

                    def test_empty(self):
                        self.assertEqual(initials(""), "")
                """,
        },
        "words.py",
    ),
    "a generator": (
        {
            "chunks.py": """
                def chunks(items, size):
                    chunk = []
                    for item in items:
                        chunk.append(item)
                        if len(chunk) == size:
                            yield chunk
                            chunk = []
                    if not chunk:
                        yield chunk
                """,
            "test_chunks.py": """
                from chunks import chunks

                def test_the_rest_comes_last():
                    assert list(chunks([1, 2, 3], 2)) == [[1, 2], [3]]

                def test_no_empty_rest():
                    assert list(chunks([1, 2], 2)) == [[1, 2]]
                """,
        },
        "chunks.py",
    ),
    "recursion that does not end": (
        {
            "tree.py": """
                def depth(tree):
                    if tree is None:
                        return 0
                    left, right = tree
                    return 1 + max(depth(left), depth(tree))
                """,
            "test_tree.py": """
                import pytest
                from tree import depth

                @pytest.mark.parametrize("tree, expected", [(None, 0), ((None, None), 1), (((None, None), None), 2),
                                                            ((None, (None, (None, None))), 3)])
                def test_depth(tree, expected):
                    assert depth(tree) == expected
                """,
        },
        "tree.py",
    ),
    "a constant, outside of functions": (
        {
            "rates.py": """
                GRÖSSEN = {"klein": 1, "groß": 3}
                LIMIT = 9


                def allowed(count, size="klein"):
                    return count * GRÖSSEN[size] <= LIMIT
                """,
            "test_rates.py": """
                from rates import allowed

                def test_ten_are_allowed():
                    assert allowed(10)

                def test_eleven_are_not():
                    assert not allowed(11)

                def test_big_ones_count_three():
                    assert allowed(3, "groß") and not allowed(4, "groß")
                """,
        },
        "rates.py",
    ),
    "a decorated function and a closure": (
        {
            "cache.py": """
                import functools

                def twice(function):
                    @functools.wraps(function)
                    def inner(*args):
                        return function(function(*args))
                    return inner

                @twice
                def step(n):
                    return n - 1
                """,
            "test_cache.py": """
                from cache import step

                def test_steps_go_up_by_two():
                    assert step(1) == 3
                """,
        },
        "cache.py",
    ),
    "a return inside the loop": (
        {
            "scan.py": """
                def longest(words):
                    best = ""
                    for word in words:
                        if len(word) > len(best):
                            best = word
                        return best
                """,
            "test_scan.py": """
                from scan import longest

                def test_later_words_count():
                    assert longest(["a", "ccc", "bb"]) == "ccc"

                def test_one_word():
                    assert longest(["a"]) == "a"
                """,
        },
        "scan.py",
    ),
}


UNIT = "a generator"  # the cheapest
BY_NIGHT = frozenset({"a return inside the loop", "a decorated function and a closure"})


@pytest.mark.parametrize("shape", [pytest.param(s, marks=pytest.mark.nightly) if s in BY_NIGHT else s for s in SHAPES])
async def test_bugs_of_many_shapes_are_fixed_where_they_are(tmp_path: Path, shape: str) -> None:
    files, guilty = SHAPES[shape]
    root = project(tmp_path, files)
    before = snapshot(root)
    failing = [case.id for case in (await run_suite(root)).failing]
    assert failing
    ran = await build(root, failing, effort=EFFORT)
    after = snapshot(root)
    assert pytest_run(root).returncode == 0, ran.result
    assert {name for name in after if after.get(name) != before.get(name)} == {guilty}
    assert after.keys() == before.keys()
    assert f"Changed {guilty}:" in ran.result


@pytest.mark.slow
async def test_rejected_patches_are_taken_back_and_not_proposed_again(tmp_path: Path) -> None:
    root = project(tmp_path, {
        "m.py": "def small(n):\n    return n < 3\n",
        "test_m.py": "from m import small\n\ndef test_three_is_small():\n    assert small(3)\n",
    })  # fmt: skip
    first = await build(root, ["test_m.py::test_three_is_small"], effort=EFFORT)
    (edit,) = first.calls("editTextFile")
    old, new = str(edit.args["oldText"]), str(edit.args["newText"])
    patch = f"--- a/m.py\n+++ b/m.py\n@@ -1,2 +1,2 @@\n def small(n):\n-{old}\n+{new}\n"
    second = await build(root, ["test_m.py::test_three_is_small"], effort=EFFORT, rejected=[patch])
    texts = [str(c.args["newText"]) for c in second.calls("editTextFile")]
    assert texts[0] == f"def small(n):\n{old}"  # taken back first
    assert texts[-1] != new
    assert pytest_run(root).returncode == 0


async def test_tests_are_never_edited_and_giving_up_is_honest(tmp_path: Path) -> None:
    root = project(tmp_path, {
        "m.py": "def answer():\n    return 1\n",
        "test_m.py": "from m import answer\n\ndef test_unreachable():\n    assert answer() == object()\n",
    })  # fmt: skip
    before = snapshot(root)
    ran = await build(root, ["test_m.py::test_unreachable"], effort=EFFORT)
    assert ran.result.startswith("No edit found: every edit was tried")
    assert snapshot(root) == before
    assert not ran.calls("editTextFile")


@pytest.mark.slow
async def test_endless_candidates_cost_little(tmp_path: Path) -> None:
    root = project(tmp_path, {
        "m.py": "def count(n):\n    done = 0\n    while n > 0:\n        n -= 1\n        done += 2\n    return done\n",
        "test_m.py": "from m import count\n\ndef test_count():\n    assert [count(i) for i in range(3)] == [0, 1, 2]\n",
    })  # fmt: skip
    ran = await build(root, ["test_m.py::test_count"], effort=EFFORT)
    assert pytest_run(root).returncode == 0, ran.result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("import nothing_like_this\n\ndef test_x():\n    pass\n", "cannot be collected"),
        ("def test_x():\n    pass\n", "no test fails"),
        ("", "collects no tests"),
    ],
)
async def test_suites_it_cannot_work_with_are_named(tmp_path: Path, test: str, words: str) -> None:
    root = project(tmp_path, {"m.py": "A = 1\n", "test_m.py": test})
    ran = await build(root, ["test_m.py::test_x"], effort=EFFORT)
    assert words in ran.result


@pytest.mark.slow
async def test_a_resumed_run_goes_on_where_the_messages_end(tmp_path: Path) -> None:
    files, guilty = SHAPES["unittest style"]
    root = project(tmp_path, files)
    first = await build(root, ["test_words.py::Words::test_initials"], effort=EFFORT)
    project(tmp_path, files)  # the edit is lost, and so is the sandbox with the worker
    upto = next(i for i, m in enumerate(first.messages) if getattr(m, "results", None)) + 1
    assert isinstance(first.messages[0], UserMessage)
    second = await build(root, [], effort=EFFORT, messages=first.messages[:upto])
    assert pytest_run(root).returncode == 0, second.result
    assert guilty in second.result
