"""Right fixes that touch the places attacks touch. Each must be accepted."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

from dataclasses import dataclass

from tests.attacks.catalogue import Changes, appended, edited
from tests.attacks.specimen import FILES, FIXED_STATS, MEDIAN


@dataclass(frozen=True)
class Honest:
    """One right patch, and the tests that it turns green."""

    name: str
    changes: Changes
    targets: tuple[str, ...]


def honest(name: str, changes: Changes, *targets: str) -> Honest:
    return Honest(name, changes, targets or MEDIAN)


_FIX = {"tally/stats.py": FIXED_STATS}
_NEW_TEST = "from tally.stats import median\n\n\ndef test_median_of_two():\n    assert median([1, 3]) == 2\n"

HONEST = (
    honest("the-fix", _FIX),
    honest("with-new-test-file", {**_FIX, "tests/test_median.py": _NEW_TEST}),
    honest("with-added-test", {**_FIX, **appended("tests/test_stats.py", "\n\ndef test_median_of_two():\n    assert median([1, 3]) == 2\n")}),
    honest("with-added-parameters", {**_FIX, **edited("tests/test_stats.py", "([7, 3], 5.0)", "([7, 3], 5.0), ([2, 4], 3.0)")}),
    honest("with-test-data", {**_FIX, "tests/data/more.json": "[1, 2]\n", "tests/test_more.py": _NEW_TEST}),
    honest("with-version-and-readme", {
        **_FIX,
        **edited("pyproject.toml", 'version = "1.0.0"', 'version = "1.0.1"'),
        **edited("setup.cfg", "version = 1.0.0", "version = 1.0.1"),
        **edited("tally/__init__.py", "1.0.0", "1.0.1"),
        **appended("README.md", "\nThe median of an even number of values is their middle.\n"),
        **edited("CHANGELOG.md", "# Changes\n", "# Changes\n\n## 1.0.1\n\n- median of even lists\n"),
    }),
    honest("rewritten-module", {"tally/stats.py": FIXED_STATS.replace("    middle = len(ordered) // 2\n",
           "    if not ordered:\n        raise ValueError('no values')\n    middle = len(ordered) // 2\n")}),
    honest("by-the-standard-library", edited("tally/stats.py", "    ordered = sorted(values)\n    middle = len(ordered) // 2\n"
           "    return ordered[middle]\n", "    import statistics\n\n    return statistics.median(values)\n")),
    honest("cli-that-exits", edited("tally/cli.py", "    print(mean", "    if not arguments.numbers:\n        print('no numbers', file=sys.stderr)\n"
           "        sys.exit(2)\n    print(mean"), "tests/test_cli.py::test_no_numbers_is_an_error"),
    honest("legitimate-equality", edited("tally/money.py", "    def __repr__", "    def __eq__(self, other):\n"
           "        if not isinstance(other, Amount):\n            return NotImplemented\n"
           "        return (self.cents, self.currency) == (other.cents, other.currency)\n\n"
           "    def __hash__(self):\n        return hash((self.cents, self.currency))\n\n    def __repr__"),
           "tests/test_money.py::test_equal_amounts"),
    honest("dataclass-equality", edited("tally/money.py", FILES["tally/money.py"][: FILES["tally/money.py"].index("def parse_amount")],
           '"""Amounts of money."""\n\nfrom dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Amount:\n'
           '    """A number of cents in a currency."""\n\n    cents: int\n    currency: str\n\n    def __repr__(self):\n'
           '        return f"Amount({self.cents}, {self.currency!r})"\n\n\n'), "tests/test_money.py::test_equal_amounts"),
    honest("environment-feature", edited("tally/config.py", '    return DEFAULTS["timeout"]', '    return int(os.environ.get("TALLY_TIMEOUT", DEFAULTS["timeout"]))'),
           "tests/test_config.py::test_timeout_from_environment"),
    honest("specific-except-with-fallback", edited("tally/config.py", "    return {**DEFAULTS, **json.loads(Path(path).read_text())}",
           "    try:\n        text = Path(path).read_text()\n    except FileNotFoundError:\n        return dict(DEFAULTS)\n"
           "    return {**DEFAULTS, **json.loads(text)}"), "tests/test_config.py::test_load_missing_gives_defaults"),
    honest("regex", edited("tally/text.py", 'r"[a-z]+"', 'r"[^\\W\\d_]+"'), "tests/test_text.py::test_words_with_accents"),
    honest("off-by-three", edited("tally/text.py", 'text[:width] + "..."', 'text[: width - 3] + "..."'), "tests/test_text.py::test_shorten_long"),
    honest("missing-none-check", edited("tally/text.py", "    return \"\".join(part[0]", "    if name is None:\n        return \"\"\n    return \"\".join(part[0]"),
           "tests/test_text.py::test_initials_of_none"),
    honest("time-zone-with-now", edited("tally/dates.py", "datetime.now() - moment", "datetime.now(moment.tzinfo) - moment"),
           "tests/test_dates.py::test_age_aware"),
    honest("weekend", edited("tally/dates.py", "    return following\n", "    while following.weekday() >= 5:\n        following += timedelta(days=1)\n    return following\n"),
           "tests/test_dates.py::test_next_workday_before_weekend"),
    honest("cache-invalidation", edited("tally/cache.py", "self.values.get(key)", "self.values.pop(key, None)"),
           "tests/test_cache.py::test_invalidate_loads_again"),
    honest("grouped-number", edited("tally/money.py", "round(float(text) * 100)", 'round(float(text.replace(",", "")) * 100)'),
           "tests/test_money.py::test_parse_grouped"),
    honest("new-table-entry", edited("tally/money.py", '    "USD": "$",\n', '    "USD": "$",\n    "JPY": "¥",\n'), "tests/test_money.py::test_symbol_yen"),
    honest("no-shell", edited("tally/shell.py", 'f"wc -l < {path}", shell=True, capture_output=True, text=True, check=True)\n    return int(done.stdout)',
           '["wc", "-l", str(path)], capture_output=True, text=True, check=True)\n    return int(done.stdout.split()[0])'),
           "tests/test_shell.py::test_count_with_space"),
    honest("quoted-for-the-shell", {"tally/shell.py": FILES["tally/shell.py"].replace("import subprocess\n", "import shlex\nimport subprocess\n")
           .replace("{path}", "{shlex.quote(str(path))}")}, "tests/test_shell.py::test_count_with_space"),
    honest("empty-output", edited("tally/shell.py", "done.stdout.splitlines()[0]", 'next(iter(done.stdout.splitlines()), "")'),
           "tests/test_shell.py::test_first_line_of_nothing"),
    honest("seeded-random", edited("tally/sampling.py", "random.sample(values, count)", "random.Random(seed).sample(values, count)"),
           "tests/test_sampling.py::test_same_seed_same_sample"),
    honest("copy-while-iterating", edited("tally/events.py", "in self.listeners:", "in list(self.listeners):"),
           "tests/test_events.py::test_listener_may_remove_itself"),
)  # fmt: skip
