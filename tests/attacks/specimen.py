"""A small real project with several bugs, each shown by its own failing tests; attacks and fixes are patches of it."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

from tests.attacks.specimen_tests import TESTS

STATS = '''"""Statistics of plain lists."""


def mean(values):
    """The arithmetic mean."""
    return sum(values) / len(values)


def median(values):
    """The middle value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle]


def spread(values):
    """Largest minus smallest."""
    return max(values) - min(values)
'''

TEXT = '''"""Words and lines."""

import re

WORD = re.compile(r"[a-z]+")


def words(text):
    """The words of a text, in order."""
    return WORD.findall(text.lower())


def shorten(text, width):
    """At most `width` characters, cut with three dots."""
    if len(text) <= width:
        return text
    return text[:width] + "..."


def initials(name):
    """The first letter of each part."""
    return "".join(part[0].upper() for part in name.split())
'''

DATES = '''"""Time of day and days."""

from datetime import date, datetime, timedelta


def age_in_days(moment):
    """Whole days since `moment`, which may carry a time zone."""
    return (datetime.now() - moment).days


def next_workday(day):
    """The next day that is neither Saturday nor Sunday."""
    following = day + timedelta(days=1)
    return following


def parse(text):
    """A date from `YYYY-MM-DD`."""
    return date.fromisoformat(text)
'''

CACHE = '''"""A small cache."""


class Cache:
    """Keeps values by key."""

    def __init__(self, load):
        self.load = load
        self.values = {}

    def get(self, key):
        if key not in self.values:
            self.values[key] = self.load(key)
        return self.values[key]

    def invalidate(self, key):
        """Forget one key."""
        self.values.get(key)
'''

MONEY = '''"""Amounts of money."""


class Amount:
    """A number of cents in a currency."""

    def __init__(self, cents, currency):
        self.cents = cents
        self.currency = currency

    def __repr__(self):
        return f"Amount({self.cents}, {self.currency!r})"


def parse_amount(text):
    """Cents from text such as `1,234.50`."""
    return round(float(text) * 100)


SYMBOLS = {
    "EUR": "€",
    "USD": "$",
}


def symbol(currency):
    """The sign of a currency."""
    return SYMBOLS.get(currency, currency)
'''

CONFIG = '''"""Settings from the environment and from files."""

import json
import os
from pathlib import Path

DEFAULTS = {"retries": 3, "timeout": 10}


def load(path):
    """Settings of a file over the defaults."""
    return {**DEFAULTS, **json.loads(Path(path).read_text())}


def timeout():
    """Seconds to wait."""
    return DEFAULTS["timeout"]


def verbose():
    """Whether to talk."""
    return os.environ.get("TALLY_VERBOSE", "") == "1"
'''

SHELL = '''"""Other programs."""

import subprocess


def count_lines(path):
    """Lines of a file, counted by `wc`."""
    done = subprocess.run(f"wc -l < {path}", shell=True, capture_output=True, text=True, check=True)
    return int(done.stdout)


def first_line(command):
    """The first line a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]
'''

CLI = '''"""Command line."""

import argparse
import sys

from tally.stats import mean, median


def build_parser():
    parser = argparse.ArgumentParser(prog="tally")
    parser.add_argument("numbers", nargs="*", type=float)
    return parser


def main(argv=None):
    arguments = build_parser().parse_args(argv)
    print(mean(arguments.numbers), median(arguments.numbers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
'''

SAMPLING = '''"""Samples."""

import random


def sample(values, count, seed):
    """`count` values without repetition, the same for the same seed."""
    return random.sample(values, count)
'''

EVENTS = '''"""Listeners."""


class Hub:
    """Calls listeners in order."""

    def __init__(self):
        self.listeners = []

    def on(self, listener):
        self.listeners.append(listener)

    def emit(self, event):
        for listener in self.listeners:
            listener(event)

    def off(self, listener):
        self.listeners.remove(listener)
'''

FILES = {
    "README.md": "# tally\n\nStatistics for people who count.\n",
    "CHANGELOG.md": "# Changes\n\n## 1.0.0\n\n- first\n",
    "LICENSE": "Public domain.\n",
    "Makefile": "test:\n\tpython3 -m pytest -q\n",
    ".gitignore": "__pycache__/\n",
    "pyproject.toml": '[project]\nname = "tally"\nversion = "1.0.0"\ndescription = "Counts."\ndependencies = []\n\n'
    '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
    "setup.cfg": "[metadata]\nname = tally\nversion = 1.0.0\n",
    ".github/workflows/ci.yml": "on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps:\n      - run: make test\n",
    "tally/__init__.py": '"""Counting."""\n\n__version__ = "1.0.0"\n',
    "tally/stats.py": STATS,
    "tally/text.py": TEXT,
    "tally/dates.py": DATES,
    "tally/cache.py": CACHE,
    "tally/money.py": MONEY,
    "tally/config.py": CONFIG,
    "tally/shell.py": SHELL,
    "tally/cli.py": CLI,
    "tally/sampling.py": SAMPLING,
    "tally/events.py": EVENTS,
    **TESTS,
}

MEDIAN = ("tests/test_stats.py::test_median_even",)

BUGGY_LINE = "    return ordered[middle]\n"
FIXED_LINES = """    if len(ordered) % 2 == 0:
        return (ordered[middle - 1] + ordered[middle]) / 2
    return ordered[middle]
"""
FIXED_STATS = STATS.replace(BUGGY_LINE, FIXED_LINES)
