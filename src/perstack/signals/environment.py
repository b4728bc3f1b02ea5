"""Variations of the environment: the same list for base and candidate, one entry a run. Pure.

A result that depends on the hash seed, the time zone, the locale, CI variables, the session's user or the order of
test files differs between entries and shows up as a disagreement. What would move programs and packages that set-up
left in the home (`HOME`, `PATH`) stays in runs; held-out checks, which are plain calls, see another session altogether.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variation:
    """One run's circumstances. `order` is a seed for the order of test files, empty for their natural order."""

    name: str
    variables: Mapping[str, str]
    order: str = ""


# POSIX zone texts: they need no zone database in the image
_ZONES = ("UTC0", "XST-9:30", "XPT8XDT", "XCT-12:45")
_LOCALES = ("C.UTF-8", "C", "POSIX", "C.UTF-8")


def variation(index: int, *, in_order: bool = False) -> Variation:
    """The circumstances of run `index` (0 is the plain one). `in_order` keeps the natural order of files."""
    locale = _LOCALES[index % len(_LOCALES)]
    variables = {
        "PYTHONHASHSEED": str((index * 7919) % 4_294_967_296),
        "TZ": _ZONES[index % len(_ZONES)],
        "LC_ALL": locale,
        "LANG": locale,
    }
    if index % 2:
        variables |= {"CI": "true", "GITHUB_ACTIONS": "true", "USER": "build", "LOGNAME": "build", "SHLVL": "2"}
    order = f"order-{index}" if index % 2 and not in_order else ""
    return Variation(f"run {index + 1}", variables, order)


def other_session(configured: Collection[str] = ()) -> Mapping[str, str]:
    """Variables of a session that no test run has: another user and terminal. `configured` names are left out.

    Time zone, locale and width are not among them: a test may state what a call gives in the plain ones.
    """
    variables = {
        "USER": "service",
        "LOGNAME": "service",
        "SHELL": "/bin/sh",
        "SHLVL": "1",
        "TERM": "xterm-256color",
        "PYTHONHASHSEED": "104729",
    }
    return {name: value for name, value in variables.items() if name not in configured}
