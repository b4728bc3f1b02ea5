"""Whether the tests that run are the tests that were collected. Lies beside `runner.py` in the sandbox.

Code under test can reach the session through objects of the interpreter and put other functions, hooks or fixtures
in the place of those that were read from the test files; no function of pytest is changed by that.
"""

from __future__ import annotations

import types
from typing import Any


class Collected:
    """What was collected: the proof that the same was run is made against it."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._items = {id(item): self._of(item, vars(item).get("_obj")) for item in session.items}
        self._kept = list(session.items)  # an id stays what it is
        self._hooks, self._fixtures = self._hook_functions(), self._fixture_functions()
        self._changed: set[str] = set()

    def look_at(self, item: Any) -> None:
        """Compare a test that is about to be called with what was collected."""
        before, now = self._items.get(id(item)), self._of(item, getattr(item, "obj", None))
        if before is None:
            self._changed.add("the test " + item.nodeid)
            return
        if before[0] not in (None, now[0]) or before[1:] != now[1:]:
            self._changed.add("what is called for " + item.nodeid)

    def changed(self) -> list[str]:
        """Tests, hooks and fixtures that are not what was collected."""
        hooks, fixtures = self._hook_functions(), self._fixture_functions()
        changed = {"the hook " + name for name, _ in hooks - self._hooks}
        changed |= {"the hook " + name for name, _ in self._hooks - hooks}
        changed |= {"the fixture " + name for name, found in self._fixtures.items() if fixtures.get(name) != found}
        return sorted(self._changed | changed)[:50]

    def leaving(self) -> list[str]:
        """Hooks that are not there any more at the end of every honest run: the JUnit report unregisters itself."""
        return sorted("the hook " + name for name, _ in self._hooks if " of LogXML." in name)

    @staticmethod
    def _of(item: Any, called: Any) -> tuple[Any, type, frozenset[str]]:
        function = getattr(called, "__func__", called)
        own = frozenset(name for name in vars(item) if isinstance(vars(type(item)).get(name), types.FunctionType))
        return getattr(function, "__code__", None), type(item), own | (frozenset(vars(item)) & {"runtest", "setup"})

    def _hook_functions(self) -> set[tuple[str, int]]:
        config: Any = self._session.config
        # older releases of pytest keep a relay of their own, which knows a hook only once somebody asked for it
        relays = (config.pluginmanager.hook, config.hook)
        names = {name for relay in relays for name in vars(relay)}
        hooks: list[tuple[str, Any]] = [(name, getattr(relay, name, None)) for relay in relays for name in names]
        found = [
            (name, impl) for name, hook in hooks if hasattr(hook, "get_hookimpls") for impl in hook.get_hookimpls()
        ]
        return {(name + " of " + getattr(i.function, "__qualname__", "?"), id(i.function.__code__))
                for name, i in found if hasattr(i.function, "__code__")}  # fmt: skip

    def _fixture_functions(self) -> dict[str, list[int]]:
        known = getattr(getattr(self._session, "_fixturemanager", None), "_arg2fixturedefs", {})
        return {name: [id(fixture.func) for fixture in defs] for name, defs in known.items()}
