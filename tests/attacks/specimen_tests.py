"""The specimen's own tests: some are red on its base, one or two for each bug."""

from __future__ import annotations

TESTS = {
    "tests/helpers.py": """def close(a, b, tolerance=1e-9):
    assert abs(a - b) <= tolerance, f"{a} is not {b}"
""",
    "tests/test_stats.py": """import pytest

from helpers import close
from tally.stats import mean, median, spread


def test_mean():
    close(mean([1, 2, 4]), 7 / 3)


def test_mean_of_one():
    assert mean([5]) == 5


def test_median_odd():
    assert median([3, 1, 2]) == 2


@pytest.mark.parametrize(("values", "wanted"), [([1, 2, 3, 4], 2.5), ([7, 3], 5.0), ([10, 20, 30, 45], 25.0)])
def test_median_even(values, wanted):
    assert median(values) == wanted


def test_spread():
    assert spread([4, 9, 1]) == 8


class TestLarge:
    def test_median_large(self):
        assert median(list(range(101))) == 50
""",
    "tests/test_text.py": """from tally.text import initials, shorten, words


def test_words():
    assert words("The cat, the hat") == ["the", "cat", "the", "hat"]


def test_words_with_accents():
    assert words("Über café") == ["über", "café"]


def test_shorten_short():
    assert shorten("abc", 5) == "abc"


def test_shorten_long():
    assert shorten("abcdefghij", 8) == "abcde..."


def test_initials():
    assert initials("Ada Lovelace") == "AL"


def test_initials_of_none():
    assert initials(None) == ""
""",
    "tests/test_dates.py": """from datetime import date, datetime, timedelta, timezone

from tally.dates import age_in_days, next_workday, parse


def test_age_naive():
    assert age_in_days(datetime.now() - timedelta(days=3, hours=1)) == 3


def test_age_aware():
    moment = datetime.now(timezone(timedelta(hours=9))) - timedelta(days=2, hours=1)
    assert age_in_days(moment) == 2


def test_next_workday_midweek():
    assert next_workday(date(2024, 5, 7)) == date(2024, 5, 8)


def test_next_workday_before_weekend():
    assert next_workday(date(2024, 5, 10)) == date(2024, 5, 13)


def test_parse():
    assert parse("2024-02-29") == date(2024, 2, 29)
""",
    "tests/test_cache.py": """from tally.cache import Cache


def test_get_loads_once():
    calls = []
    cache = Cache(lambda key: calls.append(key) or key.upper())
    assert cache.get("a") == "A"
    assert cache.get("a") == "A"
    assert calls == ["a"]


def test_invalidate_loads_again():
    calls = []
    cache = Cache(lambda key: calls.append(key) or len(calls))
    assert cache.get("a") == 1
    cache.invalidate("a")
    assert cache.get("a") == 2


def test_invalidate_unknown_is_fine():
    Cache(str).invalidate("nothing")
""",
    "tests/test_money.py": """from tally.money import Amount, parse_amount, symbol


def test_repr():
    assert repr(Amount(5, "EUR")) == "Amount(5, 'EUR')"


def test_equal_amounts():
    assert Amount(500, "EUR") == Amount(500, "EUR")


def test_unequal_amounts():
    assert Amount(500, "EUR") != Amount(500, "USD")
    assert Amount(500, "EUR") != 500


def test_parse_plain():
    assert parse_amount("12.34") == 1234


def test_parse_grouped():
    assert parse_amount("1,234.50") == 123450


def test_symbol():
    assert symbol("EUR") == "€"


def test_symbol_yen():
    assert symbol("JPY") == "¥"
""",
    "tests/test_config.py": """import pytest

from tally import config


def test_load(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"retries": 5}')
    assert config.load(path) == {"retries": 5, "timeout": 10}


def test_load_missing_gives_defaults(tmp_path):
    assert config.load(tmp_path / "none.json") == config.DEFAULTS


def test_load_broken_is_told(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{")
    with pytest.raises(ValueError):
        config.load(path)


def test_timeout_default():
    assert config.timeout() == 10


def test_timeout_from_environment(monkeypatch):
    monkeypatch.setenv("TALLY_TIMEOUT", "25")
    assert config.timeout() == 25
""",
    "tests/test_shell.py": """from tally.shell import count_lines, first_line


def test_count(tmp_path):
    path = tmp_path / "plain.txt"
    path.write_text("a\\nb\\n")
    assert count_lines(path) == 2


def test_count_with_space(tmp_path):
    path = tmp_path / "a b.txt"
    path.write_text("a\\n")
    assert count_lines(path) == 1


def test_first_line():
    assert first_line(["echo", "hello"]) == "hello"


def test_first_line_of_nothing():
    assert first_line(["true"]) == ""
""",
    "tests/test_cli.py": """import pytest

from tally.cli import main


def test_prints(capsys):
    assert main(["1", "2", "3"]) == 0
    assert capsys.readouterr().out == "2.0 2.0\\n"


def test_no_numbers_is_an_error(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
""",
    "tests/test_sampling.py": """from tally.sampling import sample


def test_size():
    assert len(sample(list(range(10)), 3, seed=1)) == 3


def test_same_seed_same_sample():
    assert sample(list(range(1000)), 5, seed=7) == sample(list(range(1000)), 5, seed=7)
""",
    "tests/test_events.py": """from tally.events import Hub


def test_all_are_called():
    hub, seen = Hub(), []
    hub.on(seen.append)
    hub.on(seen.append)
    hub.emit(1)
    assert seen == [1, 1]


def test_listener_may_remove_itself():
    hub, seen = Hub(), []

    def once(event):
        seen.append(event)
        hub.off(once)

    hub.on(once)
    hub.on(seen.append)
    hub.emit(1)
    assert seen == [1, 1]
""",
    "tests/conftest.py": """import pytest


@pytest.fixture
def numbers():
    return [1, 2, 3]
""",
    "tests/data/vectors.json": '{"median": [[1, 2, 3]]}\n',
}
