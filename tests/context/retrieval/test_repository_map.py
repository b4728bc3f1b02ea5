"""The map of a repository: what matters for a task first, never over the budget, the same bytes every time."""

from __future__ import annotations

import random

import pytest

from perstack.context.retrieval.outline import Outline, read
from perstack.context.retrieval.repository_map import interest, rank, render, tokens

FILES = {
    "core/money.py": b"class Money:\n    def plus(self, other): ...\n\ndef rounded(value): ...\n",
    "shop/cart.py": b"from core.money import Money\n\ndef total(items):\n    return Money().plus(1)\n",
    "shop/ship.py": b"from core.money import Money\n\ndef freight(weight):\n    return Money()\n",
    "web/page.py": b"from shop.cart import total\n\ndef show():\n    return total([])\n",
    "tools/lone.py": b"def nothing_of_note():\n    pass\n",
}
OUTLINES = {path: read("python", data) for path, data in FILES.items()}


def first(text: str) -> str:
    return text.split("\n", 1)[0]


def test_what_many_files_use_comes_first_where_the_task_names_nothing() -> None:
    assert first(render(OUTLINES, interest(""), budget=1000)) == "core/money.py"


def test_what_the_task_names_comes_first() -> None:
    assert first(render(OUTLINES, interest("freight is wrong for heavy parcels"), budget=1000)) == "shop/ship.py"


def test_a_file_that_a_signal_names_comes_first() -> None:
    assert first(render(OUTLINES, interest("it fails", ["tools/lone.py"]), budget=1000)) == "tools/lone.py"


def test_signatures_stand_below_their_file_with_their_lines() -> None:
    text = render(OUTLINES, interest("Money"), budget=1000)
    assert text.startswith(
        "core/money.py\n  1: class Money:\n  2:   def plus(self, other):\n  4: def rounded(value):\n"
    )


@pytest.mark.parametrize("budget", [0, 1, 4, 11, 20, 37, 60, 90, 5000])
def test_the_budget_is_never_exceeded(budget: int) -> None:
    assert tokens(render(OUTLINES, interest("total"), budget=budget)) <= budget


def test_a_larger_budget_shows_every_file() -> None:
    text = render(OUTLINES, interest("total"), budget=5000)
    assert all(f"{path}\n" in f"{text}\n" for path in FILES)


def test_the_same_input_gives_the_same_bytes_in_whatever_order_it_comes() -> None:
    paths = list(OUTLINES)
    random.Random(3).shuffle(paths)
    shuffled = {path: OUTLINES[path] for path in paths}
    assert render(shuffled, interest("total"), budget=70) == render(OUTLINES, interest("total"), budget=70)


def test_ranks_sum_to_one_and_no_files_have_none() -> None:
    assert sum(rank(OUTLINES, interest("cart")).values()) == pytest.approx(1.0)
    assert rank({}, interest("cart")) == {}
    assert render({"a.py": Outline()}, interest(""), budget=10) == "a.py"


def test_words_of_a_task_are_names_and_their_pieces() -> None:
    assert {"maxretries", "max", "retries", "read_file", "file"} <= interest("maxRetries of read_file").words
