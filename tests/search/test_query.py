"""Reading the harness's block and taking a pytest command apart."""

import pytest

from perstack.providers.search.query import read_patch, read_query, read_runner
from tests.search.loop import query


@pytest.mark.parametrize(
    ("argv", "python", "arguments", "as_module"),
    [
        (["python3", "-m", "pytest", "-q"], ("python3",), ("-q",), True),
        (["python", "-W", "error", "-m", "pytest", "tests", "-x"], ("python", "-W", "error"), ("tests",), True),
        (["pytest", "-n", "4", "--cov=a", "-k", "b"], ("python3",), ("-k", "b"), False),
        (["/v/bin/pytest"], ("/v/bin/python",), (), False),
        (["uv", "run", "pytest", "--maxfail", "1", "t"], ("uv", "run", "python3"), ("t",), False),
        (["python", "-m", "coverage", "run", "-m", "pytest"], ("python",), (), True),
        (["env", "A=1", "python", "-m", "pytest"], ("env", "A=1", "python"), (), True),
    ],
)
def test_commands_are_taken_apart(
    argv: list[str], python: tuple[str, ...], arguments: tuple[str, ...], as_module: bool
) -> None:
    runner = read_runner(argv)
    assert (runner.python, runner.arguments, runner.as_module) == (python, arguments, as_module)


def test_a_patch_gives_its_changes_by_file() -> None:
    patch = (
        "diff --git a/m.py b/m.py\n--- a/m.py\n+++ b/m.py\n@@ -1,3 +1,3 @@\n"
        " def f(x):\n-    return x\n+    return -x\n \n"
        "diff --git a/n.py b/n.py\n--- a/n.py\n+++ b/n.py\n@@ -1 +1 @@\n-A = 1\n+A = 2\n"
    )
    one, other = read_patch(patch)
    assert (one.path, one.removed, one.added) == ("m.py", ("return x",), ("return -x",))
    assert one.hunks == (("def f(x):\n    return x\n", "def f(x):\n    return -x\n"),)
    assert (other.path, other.hunks) == ("n.py", (("A = 1", "A = 2"),))


def test_digests_and_unknown_fields_are_passed_over() -> None:
    read = read_query(query("build", ["t::x"], rejected=["sha256:abc"], feedback="text", later={"a": 1}))
    assert read is not None
    assert read.rejected == ()
    assert [f.id for f in read.failing] == ["t::x"]


@pytest.mark.parametrize("text", ["", "```json\n{\n```", '```json\n{"a": 1}\n```', "```json\n[1]\n```"])
def test_text_without_a_block_is_no_query(text: str) -> None:
    assert read_query(text) is None
