"""The catalogue of edits: what it proposes, in which order, at which places. Nothing is run here."""

import ast

import pytest

from perstack.providers.search.worker.catalogue import ranked
from perstack.providers.search.worker.patches import placed

REPAIRS = {
    "boundary": ("    return n < 3\n", "    return n <= 3\n"),
    "membership": ("    return n in (1, 2)\n", "    return n not in (1, 2)\n"),
    "arithmetic": ("    return n + 2\n", "    return n - 2\n"),
    "forgotten one": ("    return [n][n:]\n", "    return [n][n + 1:]\n"),
    "logic": ("    return n and m\n", "    return n or m\n"),
    "swapped arguments": ("    return pow(n, m)\n", "    return pow(m, n)\n"),
    "wrong name": ("    return n + n\n", "    return n + m\n"),
    "wrapper": ("    return n\n", "    return abs(n)\n"),
    "range": ("    return list(range(n))\n", "    return list(range(1, n + 1))\n"),
    "accumulation": ("    m = n\n    return m\n", "    m += n\n    return m\n"),
    "sort order": ("    return sorted([n, m])\n", "    return sorted([n, m], reverse=True)\n"),
    "branches": ("    return n if m else 0\n", "    return 0 if m else n\n"),
    "guard": ("    return 10 / n\n", "    if not n:\n        return 0\n    return 10 / n\n"),
    "text": ('    "é"; return n > 0\n', '    "é"; return n >= 0\n'),
    "unused parameter": ("    return n < 5\n", "    return n < 5 and n not in m\n"),
    "mirrored condition": ("    return n < m + 1\n", "    return n < m + 1 and m < n + 1\n"),
    "branch by one": ("    return n if m else 0\n", "    return n + 1 if m else 0\n"),
    "open slice": ("    return str(n)[:]\n", "    return str(n)[:-1]\n"),
    "missing return": ("    m = n * 2\n", "    m = n * 2\n    return m\n"),
}


def proposals(body: str) -> list[str]:
    text = f"def f(n: int, m: int = 1) -> int:\n{body}"
    scores = dict.fromkeys(range(1, text.count("\n") + 1), 1.0)
    return [edit.apply(text) for edit in ranked({"/r/a.py": text}, {"/r/a.py": scores})]


@pytest.mark.parametrize("name", REPAIRS)
def test_the_repair_is_among_the_proposals(name: str) -> None:
    wrong, right = REPAIRS[name]
    assert f"def f(n: int, m: int = 1) -> int:\n{right}" in proposals(wrong)


def test_most_proposals_are_python_and_none_is_the_original() -> None:
    loop = "    for i in range(n):\n        if i % 2 == 0 and i > m:\n            out.append(i)\n"
    body = f"    out = []\n{loop}    return len(out)\n"
    texts = proposals(body)
    good = 0
    for text in texts:
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        good += 1
    assert good > 0.95 * len(texts)
    assert f"def f(n: int, m: int = 1) -> int:\n{body}" not in texts


def test_lines_no_failing_test_ran_are_left_alone() -> None:
    text = "def f(n):\n    if n < 1:\n        return n + 1\n    return n - 1\n"
    edits = ranked({"/r/a.py": text}, {"/r/a.py": {2: 1.0, 4: 1.0}})
    assert edits
    assert all(text.count("\n", 0, e.start) + 1 != 3 for e in edits if e.kind == "arithmetic operator")


def test_old_text_is_unique_in_the_file_even_for_repeated_lines() -> None:
    text = "def f(n):\n    return n < 1\n\n\ndef g(n):\n    return n < 1\n"
    edits = ranked({"/r/a.py": text}, {"/r/a.py": {6: 1.0}})
    edit = next(e for e in edits if e.text == "<=")
    where = placed(edit, {"/r/a.py": text}, "/r")
    assert text.count(str(where["oldText"])) == 1
    assert text.replace(str(where["oldText"]), str(where["newText"]), 1) == edit.apply(text)
    assert where["line"] == 6
