"""Checks as an expert writes them: what is read, what counts, and what an answer to one means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from perstack.signals.held_out.answers import Answers, Outcome
from perstack.signals.held_out.plain import Python
from perstack.signals.held_out.surface import Target, surface_of
from perstack.signals.held_out.values import encoded
from perstack.signals.held_out.written import (
    Known,
    Result,
    UnusableCheck,
    WrittenCheck,
    WrittenChecks,
    controls_for,
    literal,
    read_check,
    settle,
)
from perstack.signals.held_out.written_judge import Circumstances, asked, judge_written
from perstack.signals.tree import Tree

TARGETS = {
    "calc.median": Target("calc", "calc.py"),
    "shop.cart.Cart": Target("shop.cart", "src/shop/cart.py"),
    "shop.errors.Refused": Target("shop.errors", "src/shop/errors.py"),
}


def check(call: str, expected: str = "1") -> WrittenCheck:
    return read_check(call, Result(expected=expected), TARGETS)


def test_a_call_is_read_with_what_it_imports() -> None:
    read = check("shop.cart.Cart( [1,2], tax = 0.5 ).total(calc.median([3]))", "(1, {'a': 2.5})")
    assert read.call == "shop.cart.Cart([1, 2], tax=0.5).total(calc.median([3]))"
    assert (read.function, read.path) == ("shop.cart.Cart", "src/shop/cart.py")
    assert read.names == {"_0": ("shop.cart", ""), "shop": ("shop", ""), "_1": ("calc", ""), "calc": ("calc", "")}
    assert read_check("calc.median([])", Result(raises="Refused"), TARGETS).result.raises == "Refused"
    assert read_check("calc.median([2, 1])", Result(same_as="calc.median([1,2])"), TARGETS).result.same_as


@pytest.mark.parametrize(
    "call",
    [
        "calc.median([1]).__class__", "__import__('os').system('id')", "calc.median([1] * 10**9)", "open('x')",
        "calc._secret()", "os.getcwd()", "[calc.median([x]) for x in [1]]", "median([1])", "3", "calc.median(",
        "calc.median(lambda: 1)", "calc.mean([1])", f"calc.median([{'1, ' * 300}])",
    ],
)  # fmt: skip
def test_what_is_more_than_a_call_with_literals_is_refused(call: str) -> None:
    with pytest.raises(UnusableCheck):
        check(call)


@pytest.mark.parametrize(
    "result", [Result(), Result("1", "ValueError"), Result("len([1])"), Result(raises="os.error"), Result(raises="id")]
)
def test_a_result_is_one_literal_one_exception_or_one_call(result: Result) -> None:
    with pytest.raises(UnusableCheck):
        read_check("calc.median([1])", result, TARGETS)


FACT = Known("calc.median([3, 1, 2])", "calc.median", Result("2"), passing=True)
GOOD = check("calc.median([4, 1])", "2.5")
ANSWERS = {(GOOD.call, ""): Result("2.5"), (FACT.call, ""): Result("2.0")}


def test_a_check_counts_where_two_authors_agree_and_know_what_the_tests_say() -> None:
    assert controls_for([GOOD], [FACT]) == (FACT,)
    assert settle([GOOD], [FACT], ANSWERS, [FACT]) == (GOOD,)


@pytest.mark.parametrize(
    ("written", "answers"),
    [
        pytest.param([GOOD], {**ANSWERS, (GOOD.call, ""): Result("3")}, id="the second author says something else"),
        pytest.param([GOOD], {(FACT.call, ""): Result("2")}, id="the second author does not know"),
        pytest.param([GOOD], {**ANSWERS, (FACT.call, ""): Result("3")}, id="a known call is answered wrongly"),
        pytest.param([GOOD], {(GOOD.call, ""): Result("2.5")}, id="a known call is not answered"),
        pytest.param([GOOD, check("calc.median([3, 1, 2])", "9")], ANSWERS, id="another check denies a test"),
        pytest.param([GOOD, check(GOOD.call, "4")], ANSWERS, id="the author disagrees with itself"),
    ],
)
def test_a_check_that_an_author_was_wrong_about_does_not_count(
    written: list[WrittenCheck], answers: dict[tuple[str, str], Result]
) -> None:
    assert settle(written, [FACT], answers, [FACT]) == ()


def test_a_check_that_repeats_a_test_adds_nothing() -> None:
    assert settle([check("calc.median([3, 1, 2])", "2")], [FACT], ANSWERS, [FACT]) == ()


def judged(one: WrittenCheck, before: Outcome, now: Outcome, **changes: object) -> tuple[set[str], tuple[str, ...]]:
    found = asked([one], Answers(first={0: before}), Answers(first={0: now}))
    known = {"signal": "tests", "changed": ["calc.py"], "functions": ["median"], "messages": "IndexError: range"}
    said = judge_written(found, Circumstances(**{**known, **changes}))  # type: ignore[arg-type]
    return {reason.code.value for reason in said.reasons}, said.remarks


def value(plain: object) -> Outcome:
    return ["value", encoded(plain)]


INDEX, TYPE = ["raised", ["IndexError", "LookupError"]], ["raised", ["TypeError"]]


@pytest.mark.parametrize(
    ("before", "now", "failed"),
    [
        (value(4), value(2.5), False),
        (value(4), value(4), True),
        (value(2.5), value(4), True),
        (INDEX, INDEX, True),
        (value(2.5), TYPE, True),
        (TYPE, TYPE, False),
        (value(4), ["slow"], False),
        (value(4), ["value", ["large"]], False),
    ],
)
def test_a_failed_check_is_one_doubt_that_names_no_value(before: Outcome, now: Outcome, failed: bool) -> None:
    codes, remarks = judged(GOOD, before, now)
    assert codes == ({"expert-check-failed"} if failed else set())
    assert any("calc.median([4, 1]) should be 2.5" in remark for remark in remarks) == (failed or before == TYPE)


def test_a_check_that_fails_before_and_after_counts_only_where_the_change_is_about_it() -> None:
    elsewhere = {"changed": ["other.py"], "functions": ["other"]}
    assert judged(GOOD, value(4), value(4), **elsewhere)[0] == set()
    assert judged(GOOD, value(2.5), value(4), **elsewhere)[0] == {"expert-check-failed"}


def test_two_calls_are_compared_with_each_other() -> None:
    same = read_check("calc.median([4, 1])", Result(same_as="calc.median([1, 4])"), TARGETS)
    base = Answers(first={0: value(4), 1: value(4)})
    assert _same(same, base, Answers(first={0: value(2.5), 1: value(2.5)})) == 0
    assert _same(same, base, Answers(first={0: value(2.5), 1: value(4)})) == 1


def _same(one: WrittenCheck, base: Answers, candidate: Answers) -> int:
    return len(judge_written(asked([one], base, candidate), Circumstances("tests", (), (), "")).reasons)


def test_the_surface_has_signatures_and_documentation_and_no_bodies(tmp_path: Path) -> None:
    files = {
        "src/shop/__init__.py": "",
        "src/shop/cart.py": 'class Cart:\n    """Holds items."""\n\n    size: int\n\n'
        "    def __init__(self, items, *, tax=0.0):\n        self.secret = 41\n\n"
        '    def total(self) -> float:\n        """With tax."""\n        return 42.0\n\n'
        "    def _hidden(self):\n        pass\n",
        "src/shop/_private.py": "def f():\n    pass\n",
        "tests/test_cart.py": "def helper():\n    pass\n",
        "setup.py": "def build():\n    pass\n",
        "broken.py": "def (",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    tree, python = Tree("base", tmp_path, frozenset(files), ""), Python("python3", ("src",), ("shop", "broken"), ())
    surface = surface_of(tree, python, lambda path: path.startswith("tests/"))
    assert surface.targets == {"shop.cart.Cart": Target("shop.cart", "src/shop/cart.py")}
    assert "__init__(self, items, *, tax=0.0)" in surface.text
    assert "With tax." in surface.text
    assert not any(word in surface.text for word in ("41", "42", "_hidden", "helper"))
    shutil.rmtree(tmp_path)


def test_a_literal_has_one_spelling() -> None:
    assert literal(" [1,2 , (3,)] ") == "[1, 2, (3,)]"


def test_checks_survive_evidence() -> None:
    compared = read_check("calc.median([4, 1])", Result(same_as="calc.median([1, 4])"), TARGETS)
    written = WrittenChecks((GOOD, compared), Python("python3", ("src",), ("calc",), (("a", "b"),)), "tests")
    assert WrittenChecks.from_json(json.loads(json.dumps(written.to_json()))) == written
    with pytest.raises((KeyError, TypeError, ValueError)):
        WrittenChecks.from_json({"signal": "tests", "python": {}, "checks": 3})
