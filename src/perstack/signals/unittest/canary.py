"""Canaries for unittest: test classes of the verifier's own, in modules nobody can name. Pure.

Their failures come in all the ways in which a unittest can fail, so that one patched place does not hide them all.
"""

from __future__ import annotations

from random import Random

from perstack.core.signals import TestStatus
from perstack.signals.pytest.canary import Canaries, CanaryFile


def make_canaries(random: Random) -> Canaries:
    """New canaries: two modules, each with a method that must pass and one that must fail."""
    token, secret = f"test_{_word(random, 12)}", _word(random, 16)
    first, last = (_module(random, f"{token}_{index}", token, secret) for index in range(2))
    return Canaries(token, secret, first, last)


def _module(random: Random, module: str, token: str, secret: str) -> CanaryFile:
    green, red = (f"{token}_{_word(random, 6)}" for _ in range(2))
    number = random.randrange(10, 10_000)
    bodies = (
        f"        self.assertEqual({number}, {number + 1}, '{secret}')\n",
        f"        self.assertIn({number}, [], '{secret}')\n",
        f"        self.assertTrue({number} < 0, '{secret}')\n",
        f"        self.fail('{secret}')\n",
        f"        raise AssertionError('{secret}')\n",
        f"        with self.subTest(number={number}):\n            self.assertIsNone({number}, '{secret}')\n",
        f"        with self.assertRaises(KeyError, msg='{secret}'):\n            {{}}.get({number})\n",
    )
    text = (
        "import unittest\n\n\n"
        f"class {_word(random, 8).title()}(unittest.TestCase):\n"
        f"    def {green}(self):\n        self.assertEqual({number}, {number})\n\n"
        f"    def {red}(self):\n{random.choice(bodies)}"
    )
    return CanaryFile(f"{module}.py", text, {green: TestStatus.PASSED, red: TestStatus.FAILED})


def _word(random: Random, length: int) -> str:
    return "".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))
