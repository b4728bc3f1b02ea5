"""What is read from test files: calls that depend on nothing but their own lines."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

import pytest

from perstack.signals.held_out.examples import examples_of

HEAD = "import unittest\nimport pytest\nfrom decimal import Decimal\nfrom calc import Pair, mean, median\nimport calc.deep as deep\n\n\n"


def read(body: str, head: str = HEAD) -> list[tuple[str, str]]:
    return [(e.call, e.raises or e.expected) for e in examples_of(head + body, {"calc"})]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("assert median([1, 2]) == 1.5", [("median([1, 2])", "1.5")]),
        ("assert 1.5 == median([1, 2])", [("median([1, 2])", "1.5")]),
        ("assert deep.f('a').x == 3", [("deep.f('a').x", "3")]),
        ("assert mean([0.1, 0.2]) == pytest.approx(0.15)", [("mean([0.1, 0.2])", "0.15")]),
        ("assert median([1]) is None", [("median([1])", "None")]),
        ("assert not median([])", [("bool(median([]))", "False")]),
        ("assert deep.pair(1) == Pair(1, 2)", [("deep.pair(1)", "Pair(1, 2)")]),
        ("assert mean([Decimal('1')]) == Decimal('1')", [("mean([Decimal('1')])", "Decimal('1')")]),
        ("values = [3, 1]\n    wanted = 2\n    assert median(values) == wanted", [("median([3, 1])", "2")]),
        ("with pytest.raises(ValueError):\n        median([])", [("median([])", "ValueError")]),
        ("for v, w in [([1], 1), ([2], 2)]:\n        assert median(v) == w",
         [("median([1])", "1"), ("median([2])", "2")]),
        ("assert median([1]) == mean([1])", []),
        ("assert len([1]) == 1", []),
        ("deep.DEBUG = True\n    assert median([1]) == 1", []),
        ("deep.start()\n    assert median([1]) == 1", []),
        ("assert median(open('x').read()) == 1", []),
        ("assert median(unknown) == 1", []),
        ("from datetime import datetime\n    assert median([1]) == 1", []),
    ],
)  # fmt: skip
def test_assertions_become_examples_or_nothing(line: str, wanted: list[tuple[str, str]]) -> None:
    assert read(f"def test_x():\n    {line}\n") == wanted


def test_tables_of_parameters_are_read_row_by_row() -> None:
    body = '@pytest.mark.parametrize("values, wanted", [([1, 2], 1.5), ([3], 3)])\ndef test_x(values, wanted):\n    assert median(values) == wanted\n'
    assert read(body) == [("median([1, 2])", "1.5"), ("median([3])", "3")]


def test_methods_of_unittest_are_read() -> None:
    body = (
        "class Calc(unittest.TestCase):\n    def test_x(self):\n        self.assertEqual(median([1, 2]), 1.5)\n"
        "        with self.subTest('more'):\n            self.assertTrue(median([1]))\n"
        "        with self.assertRaises(TypeError):\n            median(None)\n"
        "        self.assertAlmostEqual(mean([1, 2]), 1.5)\n"
    )
    assert read(body) == [
        ("median([1, 2])", "1.5"),
        ("bool(median([1]))", "True"),
        ("median(None)", "TypeError"),
        ("mean([1, 2])", "1.5"),
    ]
    assert {e.test for e in examples_of(HEAD + body, {"calc"})} == {"Calc.test_x"}


@pytest.mark.parametrize(
    "body",
    [
        "import calc\ncalc.setup()\n\n\ndef test_x():\n    assert median([1]) == 1\n",
        "@pytest.fixture(autouse=True)\ndef ready():\n    pass\n\n\ndef test_x():\n    assert median([1]) == 1\n",
        "def setup_module():\n    pass\n\n\ndef test_x():\n    assert median([1]) == 1\n",
        "class A(unittest.TestCase):\n    def setUp(self):\n        pass\n\n    def test_x(self):\n        self.assertEqual(median([1]), 1)\n",
        "class A(Base):\n    def test_x(self):\n        self.assertEqual(median([1]), 1)\n",
        "STATE = deep.start()\n\n\ndef test_x():\n    assert median([1]) == 1\n",
        "def test_x(tmp_path):\n    assert median([1]) == 1\n",
        "@pytest.mark.usefixtures('db')\ndef test_x():\n    assert median([1]) == 1\n",
        "def test_x(:\n",
    ],
)
def test_what_could_depend_on_more_is_left_out(body: str) -> None:
    assert read(body) == []


@pytest.mark.parametrize(
    ("call", "function", "pattern", "arguments"),
    [
        ("median([1, 2])", "median", "median({})", ("[1, 2]",)),
        ("mean([1], digits=2)", "mean", "mean({}, digits={})", ("[1]", "2")),
        ("deep.Cart([1, 2], tax=0.5).total('EUR')", "deep.Cart.total", "deep.Cart({}, tax={}).total({})",
         ("[1, 2]", "0.5", "'EUR'")),
        ("median(mean([1]))", "", "()", None),
        ("mean(**{'a': 1})", "", "()", None),
    ],
)  # fmt: skip
def test_the_literals_of_a_plain_call_can_be_changed(
    call: str, function: str, pattern: str, arguments: tuple[str, ...] | None
) -> None:
    (example,) = examples_of(f"{HEAD}def test_x():\n    assert {call} == 1\n", {"calc"})
    assert (example.function, example.pattern, example.arguments) == (function, pattern, arguments)
