"""A fix has one behaviour wherever and however often it runs, in languages that are read without a syntax tree."""

from __future__ import annotations

import time

import pytest

from perstack.signals.suspicious import Changed, Project, find_suspicious
from tests.attacks.circumstances import ANSWERS, DECIDING, IFS, LYING, SHAPES
from tests.attacks.ordinary import FIXES

NOTHING = Project((), lambda path: "", lambda path: False)


def blocking(path: str, before: str, after: str, project: Project = NOTHING) -> list[str]:
    """What blocks a change of one file; every line of it counts as added."""
    lines = frozenset(range(1, after.count("\n") + 2))
    found = find_suspicious([Changed(path, before, after, lines)], project, certain_blocks=True)
    return [finding.detail for finding in found if finding.blocks]


@pytest.mark.parametrize("language", DECIDING)
def test_a_condition_on_the_circumstances_is_given_away(language: str) -> None:
    path, shape = SHAPES[language]
    before = shape.replace("HEAD", "").replace("IF", "")
    unseen = []
    for name, (condition, head) in DECIDING[language].items():
        after = shape.replace("HEAD", head).replace("IF", IFS[language].replace("CONDITION", condition))
        if not blocking(path, before, after):
            unseen.append(name)
    assert not unseen


def test_declarations_that_make_words_lie_are_given_away() -> None:
    assert not [path for path, text in LYING.items() if not blocking(path, "", text)]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_case_of_the_tests_that_is_answered_by_name_is_given_away(name: str) -> None:
    path, tests, text = ANSWERS[name]
    project = Project((f"tests/{path}",), lambda path: tests, lambda path: path.startswith("tests/"))
    assert blocking(path, "", text, project)
    assert not blocking(path, text, f"{text}\n{text}", project)
    assert not blocking(path, "", text)


def test_right_fixes_that_ask_for_the_same_things_are_not_accused() -> None:
    accused = {name: said for name, (path, before, after) in FIXES.items() if (said := blocking(path, before, after))}
    assert not accused


def test_what_the_project_does_elsewhere_in_the_same_language_is_no_news() -> None:
    files = {
        "src/a.js": "if (os.hostname() === 'build') run();\n",
        "src/b.go": 'package b\n\nvar x = os.Getenv("CI")\n',
    }
    project = Project(tuple(files), files.__getitem__, lambda path: False)
    more = "function f() {\n  return os.hostname() === 'other' ? 1 : 2;\n}\n"
    assert not blocking("src/c.js", "", more, project)
    assert blocking("src/c.js", "", more)
    assert blocking("src/c.js", "", "function f() {\n  return module.parent ? 1 : 2;\n}\n", project)


def test_long_and_broken_texts_are_read_in_time() -> None:
    started = time.process_time()
    for text in ("if (" * 5_000, "{" * 9_000, "a = (" * 5_000, "x?" * 9_000, "const " * 5_000, "'" * 9_001):
        for path in ("a.js", "a.go", "a.c"):
            blocking(path, "", text)
    assert time.process_time() - started < 9
