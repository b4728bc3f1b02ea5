"""Canaries: tests of the verifier's own that run first and last in every run, with names nobody can know.

One of each pair must pass and one must fail. A run whose must-fail canary is not red proves nothing. Pure: the
source of randomness is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from perstack.core.signals import TestStatus


@dataclass(frozen=True, slots=True)
class CanaryFile:
    """One file of canaries. `expected` maps test names to the one outcome each must have."""

    file: str
    text: str
    expected: Mapping[str, TestStatus]


@dataclass(frozen=True, slots=True)
class Canaries:
    """The canaries of one run. Every name starts with `token`; must-fail messages carry `secret`."""

    token: str
    secret: str
    first: CanaryFile
    last: CanaryFile

    @property
    def files(self) -> tuple[CanaryFile, CanaryFile]:
        return (self.first, self.last)

    @property
    def expected(self) -> Mapping[str, TestStatus]:
        return {**self.first.expected, **self.last.expected}

    def is_mine(self, identity: str) -> bool:
        """Whether a test id, or a file's id, belongs to a canary."""
        return self.token in identity


def make_canaries(random: Random) -> Canaries:
    """New canaries: one file of functions and one of a test class, in random order and with random bodies."""
    token = "test_" + _word(random, 12)
    secret = _word(random, 16)
    shapes: list[Callable[[Random, str, str, str], CanaryFile]] = [_functions, _unittest]
    random.shuffle(shapes)
    first, last = (shape(random, f"{token}_{index}", token, secret) for index, shape in enumerate(shapes))
    return Canaries(token, secret, first, last)


def check_canaries(canaries: Canaries, outcomes: Sequence[tuple[str, TestStatus, str]]) -> str:
    """What is wrong with the canaries' outcomes (id, status, message) in the order they came; empty for nothing."""
    seen: dict[str, TestStatus] = {}
    for identity, status, message in outcomes:
        if not canaries.is_mine(identity):
            continue
        name = identity.rpartition("::")[2]
        if name in seen:
            return "a canary test reported twice"
        if status is TestStatus.FAILED and canaries.secret not in message:
            return "a canary test failed, but not by its own assertion"
        seen[name] = status
    for name, wanted in canaries.expected.items():
        got = seen.get(name, TestStatus.MISSING)
        if got is not wanted:
            return f"a canary test that must be {wanted.value} was {got.value}"
    return _check_order(canaries, [identity for identity, _, _ in outcomes])


def _check_order(canaries: Canaries, identities: Sequence[str]) -> str:
    own = [index for index, identity in enumerate(identities) if not canaries.is_mine(identity)]
    places = {identity.rpartition("::")[2]: index for index, identity in enumerate(identities)}
    first = max(places[name] for name in canaries.first.expected)
    last = min(places[name] for name in canaries.last.expected)
    if own and not first < own[0] <= own[-1] < last:
        return "the canary tests did not run first and last"
    return ""


def _functions(random: Random, module: str, token: str, secret: str) -> CanaryFile:
    green, red = _names(random, token)
    number = random.randrange(10, 10_000)
    bodies = (
        f"    values = [{number}, {number + 1}]\n    assert sum(values) == {number}, '{secret}'\n",
        f"    raise AssertionError('{secret}')\n",
        f"    import pytest\n    pytest.fail('{secret}')\n",
        f"    def inner(value):\n        assert value > {number}, '{secret}'\n    inner({number})\n",
    )
    text = f"def {green}():\n    assert {number} + 1 == {number + 1}\n\n\ndef {red}():\n{random.choice(bodies)}"
    return CanaryFile(f"{module}.py", text, {green: TestStatus.PASSED, red: TestStatus.FAILED})


def _unittest(random: Random, module: str, token: str, secret: str) -> CanaryFile:
    green, red = _names(random, token)
    number = random.randrange(10, 10_000)
    bodies = (
        f"        self.assertEqual({number}, {number + 1}, '{secret}')\n",
        f"        self.assertIn({number}, [], '{secret}')\n",
        f"        self.fail('{secret}')\n",
    )
    text = (
        "import unittest\n\n\n"
        f"class {_word(random, 8).title()}(unittest.TestCase):\n"
        f"    def {green}(self):\n        self.assertEqual({number}, {number})\n\n"
        f"    def {red}(self):\n{random.choice(bodies)}"
    )
    return CanaryFile(f"{module}.py", text, {green: TestStatus.PASSED, red: TestStatus.FAILED})


def _names(random: Random, token: str) -> tuple[str, str]:
    return f"{token}_{_word(random, 6)}", f"{token}_{_word(random, 6)}"


def _word(random: Random, length: int) -> str:
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))
