"""Canaries of JavaScript runs: a word in their titles, and one that only their own failure can carry.

They are not files: the verifier's code puts them into every test file when it is loaded, before its content and after
it, so that nothing on disk tells them apart and what the file's own tests would use has to be able to fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from perstack.core.signals import TestCase, TestStatus


@dataclass(frozen=True, slots=True)
class NodeCanaries:
    """The canaries of one run. Titles start with `token`; messages of those that must fail are `secret`."""

    token: str
    secret: str

    def is_mine(self, title: str) -> bool:
        """Whether a test's title belongs to a canary."""
        return self.token in title


def make_canaries(random: Random) -> NodeCanaries:
    """New words for one run."""
    words = ["".join(random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(14)) for _ in range(2)]
    return NodeCanaries(words[0], words[1])


def check_canaries(canaries: NodeCanaries, seen: Mapping[str, TestCase], last: int, *, own_pass: bool) -> str:
    """What is wrong with the canaries of one file; empty for nothing.

    `seen` maps titles to outcomes, `last` is how many were put at the end. `own_pass` says whether any test of the
    file passed: only then does it matter by whose error a canary failed (a hook of the file may fail every test).
    """
    red = [f"{canaries.token} first red", *(f"{canaries.token} last {index}" for index in range(last))]
    for title in red:
        case = seen.get(title)
        status = case.status if case else TestStatus.MISSING
        if case is None or status is not TestStatus.FAILED:
            return f"a canary test that must fail was {status.value}"
        if own_pass and canaries.secret not in case.message:
            return "a canary test failed, but not by its own error"
    green = seen.get(f"{canaries.token} first green")
    status = green.status if green else TestStatus.MISSING
    if status is not TestStatus.PASSED and (own_pass or status is not TestStatus.FAILED):
        return f"a canary test that must pass was {status.value}"
    if len(seen) != len(red) + 1:
        return "there are more canary tests than were planted"
    return ""
