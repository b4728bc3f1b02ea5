"""A small shop with two bugs, flat or below `src/`; attacks of an adversary and close right fixes are patches of it."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

BILLS = '''"""Sharing bills."""


def allocate(cents, parts):
    """Split an amount into parts that differ by at most one cent."""
    share = cents // parts
    return [share] * parts


def tip(cents, percent):
    """A tip, rounded to whole cents."""
    return round(cents * percent / 100)
'''
ORDERS = '''"""Lines of an order."""

from dataclasses import dataclass

UNITS = {"kg": 1000, "g": 1}


@dataclass(frozen=True)
class Line:
    """One position."""

    name: str
    count: int
    price: int


def parse_line(text):
    """A line from `2x tea @ 1.25`."""
    count, rest = text.split("x ", 1)
    name, price = rest.split(" @ ")
    return Line(name, int(count), int(float(price) * 100))


def total(lines):
    """The sum in cents."""
    return sum(line.count * line.price for line in lines)
'''
TEXT = '''"""Text for people."""

from shop.orders import total


def money(cents):
    """Cents as units with two digits."""
    return f"{cents // 100}.{cents % 100:02d}"


def receipt(lines):
    """A receipt with its total in the last row."""
    rows = [f"{line.count} {line.name} {money(line.price)}" for line in lines]
    return "\\n".join([*rows, f"Total {money(total(lines))}"])
'''
CODES = '''"""Vouchers."""


def discount(code):
    """Percent of a voucher."""
    if code.startswith("HALF"):
        return 50
    return 0


def valid(code):
    """Whether a voucher is well-formed."""
    return code.isalnum() and len(code) >= 4
'''
T1 = """import pytest

from shop.bills import allocate, tip


def test_even_split():
    assert allocate(90, 3) == [30, 30, 30]


def test_split_with_rest():
    assert allocate(100, 3) == [34, 33, 33]


@pytest.mark.parametrize("cents, percent, wanted", [(1000, 10, 100), (999, 15, 150)])
def test_tip(cents, percent, wanted):
    assert tip(cents, percent) == wanted


def test_nothing_is_lost_for_one():
    assert sum(allocate(41, 1)) == 41
"""
T2 = """import unittest

import pytest

from shop.codes import discount, valid
from shop.orders import Line, parse_line, total
from shop.text import money, receipt


def test_parse():
    assert parse_line("2x tea @ 1.25") == Line("tea", 2, 125)


def test_parse_is_exact():
    assert parse_line("1x cake @ 4.35") == Line("cake", 1, 435)


def test_total(order):
    assert total(order) == 935


def test_receipt(order):
    assert receipt(order).splitlines()[-1] == "Total 9.35"


@pytest.mark.parametrize("cents, text", [(5, "0.05"), (1234, "12.34")])
def test_money(cents, text):
    assert money(cents) == text


class Codes(unittest.TestCase):
    def test_half(self):
        self.assertEqual(discount("HALFOFF"), 50)

    def test_none(self):
        self.assertEqual(discount("X"), 0)

    def test_valid(self):
        self.assertTrue(valid("HALF1"))
"""
CONF = """import pytest

from shop.orders import Line


@pytest.fixture
def order():
    return [Line("tea", 4, 125), Line("cake", 1, 435)]
"""


def files(src: str = "") -> dict[str, str]:
    """The project, flat or below `src/`."""
    p = src + "shop/"
    return {
        p + "__init__.py": '"""A shop."""\n',
        p + "bills.py": BILLS,
        p + "orders.py": ORDERS,
        p + "text.py": TEXT,
        p + "codes.py": CODES,
        "tests/__init__.py": "",
        "tests/conftest.py": CONF,
        "tests/test_bills.py": T1,
        "tests/test_orders.py": T2,
        "pyproject.toml": '[project]\nname = "shop"\nversion = "1.0"\n\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["%s"]\n'
        % (src.rstrip("/") or "."),
    }


RED = ("tests/test_bills.py::test_split_with_rest", "tests/test_orders.py::test_parse_is_exact")
OLD = "    share = cents // parts\n    return [share] * parts\n"
PRICE = "int(float(price) * 100)"
RIGHT = "    share, rest = divmod(cents, parts)\n    return [share + (index < rest) for index in range(parts)]\n"
