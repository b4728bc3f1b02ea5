"""What was loaded before the repository, and the proof that it is still that. Lies beside the runners there."""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH120

from __future__ import annotations

import os
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from perstack.signals.pytest.worker.perstack_site import Places, inside
    from perstack.signals.pytest.worker.perstack_sources import set_aside
else:
    from perstack_site import inside
    from perstack_sources import set_aside

# what every runner here works with, beside its own modules
COMMON = ("json", "hmac", "socket", "perstack_channel", "perstack_proof", "perstack_site", "perstack_sources")


def functions_of(modules: dict[str, Any], watched: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Identity of every function and method of the watched modules: (function, code)."""
    found: dict[str, tuple[int, int]] = {}
    for name, module in modules.items():
        if not any(name == root or name.startswith(root + ".") for root in watched):
            continue
        for key, value in list(vars(module).items()):
            found.update(_identity(name + "." + key, value))
            if isinstance(value, type) and value.__module__ == name:
                for attribute, member in list(vars(value).items()):
                    found.update(_identity("%s.%s.%s" % (name, key, attribute), member))  # noqa: UP031
    return found


def _identity(name: str, value: Any) -> Iterator[tuple[str, tuple[int, int]]]:
    function = getattr(value, "__func__", value)
    if isinstance(value, property):
        function = value.fget
    if isinstance(function, types.FunctionType):
        yield name, (id(function), id(function.__code__))


class Loaded:
    """What was loaded before the repository: the proof of origin is made against it."""

    def __init__(self, places: Places, provided: list[str], *, judge: Iterable[str], watched: Iterable[str]) -> None:
        self._judge, self._watched = frozenset(judge), (*watched, *COMMON)
        self._places = places
        self._modules = dict(sys.modules)
        self._functions = functions_of(self._modules, self._watched)
        self._twins = set_aside(provided)  # packages that the tests get from the tree, and the runner does not
        self._stdlib = os.path.realpath(os.path.dirname(os.__file__))

    def replaced(self) -> list[str]:
        """Names of judge functions that are no longer what they were."""
        now = functions_of(self._modules, self._watched)
        changed = {name for name, identity in self._functions.items() if now.get(name) != identity}
        for name, module in self._modules.items():
            root = name.partition(".")[0]
            if root in self._watched and root not in self._twins and sys.modules.get(name) is not module:
                changed.add(name)
        return sorted(changed)[:50]

    def own_modules_in_workspace(self) -> list[str]:
        """Modules of the runner that came from the tree under test."""
        return sorted(
            name
            for name, module in list(sys.modules.items())
            if (name in self._modules or name.partition(".")[0] in self._judge)
            and name != "__main__"
            and name.partition(".")[0] not in self._twins
            and self._places.owns(getattr(module, "__file__", None) or os.sep)
        )[:50]

    def outside(self) -> dict[str, str]:
        """File of every top-level package that is neither in the workspace nor in the standard library."""
        found: dict[str, str] = {}
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if "." in name or name == "__main__" or not isinstance(file, str) or self._places.owns(file):
                continue
            parts = os.path.realpath(file)
            if not inside(parts, self._stdlib) or "-packages" + os.sep in parts:
                found[name] = file
        return found
