"""Runs pytest for the verifier, inside the sandbox. A script of its own: it imports nothing of perstack.

Started as `python -s -S -B runner.py` with one JSON request on stdin. It loads pytest and all plugins from the
toolchain before a single path of the repository can be imported, sends results over a socket as authenticated
records, and ends with a finish record and `os._exit`, so that exit handlers of the code under test have no say.

Limit: the code under test shares this process. What it could still do to it is found by canaries, by the list of
replaced functions in the finish record, and by the comparison with the JUnit file and the exit code.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH100, PTH109, PTH113, PTH118, PTH119, PTH123

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import shutil
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the toolchain may be Python 3.8, where these cannot be evaluated
    from perstack.signals.pytest.worker.perstack_channel import Emit, open_channel
    from perstack.signals.pytest.worker.perstack_collected import Collected
    from perstack.signals.pytest.worker.perstack_proof import Loaded
    from perstack.signals.pytest.worker.perstack_site import Places, inside, set_up_site, stand_aside, write_canaries
    from perstack.signals.pytest.worker.perstack_sources import missing_for, with_roots, write_versions
else:
    from perstack_channel import open_channel  # these lie beside this script
    from perstack_collected import Collected
    from perstack_proof import Loaded
    from perstack_site import Places, inside, set_up_site, stand_aside, write_canaries
    from perstack_sources import missing_for, with_roots, write_versions

JUDGE = ("pytest", "_pytest", "pluggy", "iniconfig")
WATCHED = (
    "pytest",
    "_pytest",
    "pluggy",
    "unittest.case",
    "unittest.suite",
    "perstack_collected",
)
MESSAGE_LIMIT = 2000


def use_interpreter_of_pytest() -> None:
    """Replace this process by the interpreter of the `pytest` program on PATH; returns where there is none."""
    program = shutil.which("pytest")
    if program is None or "--second" in sys.argv:
        return
    with open(program, "rb") as file:
        first = file.readline(4096).decode("utf-8", "replace")
    words = first[2:].split()
    if first.startswith("#!") and words and "python" in os.path.basename(words[0]):
        os.execv(words[0], [words[0], "-s", "-S", "-B", os.path.abspath(__file__), "--second"])  # noqa: S606


def load_plugins(blocked: list[str], provided: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """Import every installed pytest plugin that is not blocked; names of those that come from the tree under test."""
    found: dict[str, Any] = {}
    later: list[str] = []
    for distribution in importlib.metadata.distributions():
        for entry in distribution.entry_points:
            if entry.group != "pytest11" or entry.name in blocked or entry.name in found or entry.name in later:
                continue
            module = entry.value.partition(":")[0]
            if module.partition(".")[0] in provided:
                later.append(module)
                continue
            try:
                found[entry.name] = entry.load()
            except ImportError:
                # the same, installed in editable mode from a place that is not recognised
                later.append(module)
    return list(found.items()), later


def load_judge() -> None:
    """Import all of pytest now, so that nothing of it is looked up when the repository is importable."""
    import _pytest

    for module in pkgutil.iter_modules(_pytest.__path__):
        if module.name not in {"pytester", "pytester_assertions"}:
            importlib.import_module("_pytest." + module.name)
    for name in ("difflib", "pprint", "textwrap", "doctest", "unittest.mock", "xml.sax.saxutils", "tomllib"):
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)


def failure_place(longrepr: Any, workspace: str) -> tuple[str, int]:
    """Where it failed: the innermost frame that lies in the workspace, as relative path and line."""
    entries = getattr(getattr(longrepr, "reprtraceback", None), "reprentries", ())
    for entry in reversed(list(entries)):
        place = getattr(entry, "reprfileloc", None)
        if place is not None and inside(os.path.join(os.getcwd(), str(place.path)), workspace):
            full = os.path.realpath(os.path.join(os.getcwd(), str(place.path)))
            return os.path.relpath(full, workspace), int(place.lineno)
    return "", 0


def failure_text(longrepr: Any) -> str:
    """The message of a failure, short: the crash line where there is one."""
    crash = getattr(longrepr, "reprcrash", None)
    if crash is not None:
        return str(crash.message)[:MESSAGE_LIMIT]
    if isinstance(longrepr, tuple) and len(longrepr) == 3:
        return str(longrepr[2])[:MESSAGE_LIMIT]
    return str(longrepr or "")[-MESSAGE_LIMIT:]


def outcome_of(report: Any) -> str:
    """One word for one phase of one test; `ok` says that nothing has to be told."""
    expected = hasattr(report, "wasxfail")
    if report.outcome == "passed":
        if report.when != "call":
            return "ok"
        return "xpassed" if expected else "passed"
    if report.outcome == "skipped":
        return "xfailed" if expected else "skipped"
    if report.outcome == "failed" and report.when == "call":
        return "failed"
    return "error"


def _nothing(**_: Any) -> list[Any]:
    """Stands in for a hook that is not called."""
    return []


class Reporter:
    """The plugin that reports. `mark_hooks` gives its hooks their order once pytest is loaded."""

    def __init__(self, pytest: Any, request: dict[str, Any], emit: Emit, canary_dir: str) -> None:
        self._function = pytest.Function
        self._workspace = request["workspace"]
        self._token = request["token"]
        self._order = request["order"]
        self._part, self._parts = request["part"]
        self._emit = emit
        self._canary_files = [os.path.join(canary_dir, canary["file"]) for canary in request["canaries"]]
        self._raised: dict[str, bool] = {}
        self._collected: Collected | None = None
        self.proof: Loaded | None = None

    def pytest_configure(self, config: Any) -> None:
        for marker in ("flaky", "no_cover", "xdist_group", "random_order", "order"):
            config.addinivalue_line("markers", marker + ": known to the verifier's runner")
        config.args = [self._canary_files[0], *config.args, self._canary_files[-1]]
        os.environ.pop("PYTEST_DISABLE_PLUGIN_AUTOLOAD", None)  # child runs of the tests are their own affair

    def pytest_pycollect_makeitem(self, collector: Any, name: str, obj: Any) -> Any:
        """Canaries are tests whatever the repository says tests are called."""
        if name.startswith(self._token) and isinstance(obj, types.FunctionType) and self._canary_file(collector):
            return self._function.from_parent(collector, name=name)
        return None

    def pytest_collection_modifyitems(self, items: list[Any]) -> Any:
        """Hide the canaries from everybody else's ordering and deselection; put them first and last."""
        canaries = [item for item in items if self._canary_file(item)]
        items[:] = [item for item in items if not self._canary_file(item) and self._in_part(item)]
        if self._order:
            items.sort(key=self._group)  # stable: tests of one file keep their order
        yield
        first = [item for item in canaries if self._canary_file(item) == self._canary_files[0]]
        items[:] = [*first, *items, *(item for item in canaries if item not in first)]

    def pytest_collection_finish(self, session: Any) -> None:
        self._collected = Collected(session)

    def pytest_runtest_call(self, item: Any) -> Any:
        if self._collected is not None:
            self._collected.look_at(item)
        yield

    def changed(self) -> list[str]:
        """What is no longer what was collected."""
        return [] if self._collected is None else self._collected.changed()

    def pytest_pyfunc_call(self, pyfuncitem: Any) -> Any:
        result = yield
        self._raised[pyfuncitem.nodeid] = result.excinfo is not None

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            self._send(report, "error" if report.outcome == "failed" else "skipped", "collect")

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        if self.proof is not None:  # told once early on, for a run that never comes to its end
            leaving = [] if self._collected is None else self._collected.leaving()
            self._emit({"type": "replaced", "names": [*self.proof.replaced(), *self.changed(), *leaving]})
            self.proof = None
        self._emit({"type": "start", "id": nodeid})

    def pytest_runtest_logreport(self, report: Any) -> None:
        outcome = outcome_of(report)
        if outcome == "passed" and self._raised.pop(report.nodeid, False):
            self._emit({"type": "hidden", "id": report.nodeid})
        if outcome != "ok":
            self._send(report, outcome, report.when)

    def pytest_sessionfinish(self, session: Any) -> Any:
        """No summaries: nobody reads them, and Hypothesis imports itself there, which takes a second."""
        relay, hook = session.config.hook, session.config.hook.pytest_terminal_summary
        relay.pytest_terminal_summary = _nothing
        yield
        relay.pytest_terminal_summary = hook

    def pytest_internalerror(self, excrepr: Any) -> None:
        self._emit({"type": "internal", "message": str(excrepr)[-MESSAGE_LIMIT:]})

    def _send(self, report: Any, outcome: str, when: str) -> None:
        record = {"type": "case", "id": report.nodeid, "outcome": outcome, "when": when}
        record["seconds"] = round(getattr(report, "duration", 0.0), 4)
        if outcome != "passed":
            record["message"] = failure_text(report.longrepr)
            record["path"], record["line"] = failure_place(report.longrepr, self._workspace)
        self._emit(record)

    def _canary_file(self, node: Any) -> str:
        path = os.path.realpath(str(getattr(node, "path", None) or node.fspath))
        return path if path in self._canary_files else ""

    def _in_part(self, item: Any) -> bool:
        """Whether the file's tests run here, as `Part.holds` in `suites/contract.py` says it."""
        digest = hashlib.sha256(item.nodeid.partition("::")[0].encode("utf-8", "surrogateescape")).digest()
        return bool(int.from_bytes(digest[:8], "big") % self._parts == self._part - 1)

    def _group(self, item: Any) -> str:
        return hashlib.sha256((self._order + item.nodeid.partition("::")[0]).encode()).hexdigest()


def worker_id() -> str:
    """What pytest-xdist gives where tests do not run in parallel; suites ask for it."""
    return "master"


def mark_hooks(pytest: Any) -> None:
    """Put our hooks before everybody else's."""
    pytest.hookimpl(trylast=True)(Reporter.pytest_collection_finish)
    for name in ("pytest_configure", "pytest_pycollect_makeitem", "pytest_runtest_logreport"):
        pytest.hookimpl(tryfirst=True)(getattr(Reporter, name))
    for name in ("pytest_collection_modifyitems", "pytest_pyfunc_call", "pytest_runtest_call", "pytest_sessionfinish"):
        pytest.hookimpl(hookwrapper=True, tryfirst=True)(getattr(Reporter, name))


class Registrar:
    """A plugin that registers the toolchain's plugins under their own names."""

    def __init__(self, plugins: list[tuple[str, Any]]) -> None:
        self._plugins = plugins

    def pytest_addhooks(self, pluginmanager: Any) -> None:
        for name, plugin in self._plugins:
            if not pluginmanager.is_blocked(name) and not pluginmanager.is_registered(plugin):
                pluginmanager.register(plugin, name)


def digest_of(path: str) -> str:
    """SHA-256 of a file, empty where there is none."""
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main() -> None:
    """Read the request, run, report, leave."""
    leave = os._exit
    here = os.path.realpath(os.getcwd())
    places = Places(os.environ.pop("PERSTACK_WORKSPACE", here))
    ahead, hooks = set_up_site(places)
    if importlib.util.find_spec("pytest") is None:
        use_interpreter_of_pytest()
        sys.stderr.write("pytest is not installed for %s\n" % sys.executable)  # noqa: UP031
        leave(127)
    request = json.loads(sys.stdin.buffer.read())
    request["workspace"] = places.workspace
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        import pytest

        load_judge()
    except ImportError as error:
        sys.stderr.write(missing_for(error, request["provides"]) + "\n")
        leave(127)
    plugins, later = load_plugins(request["blocked"], request["provides"])
    loaded = Loaded(places, request["provides"], judge=JUDGE, watched=WATCHED)
    emit = open_channel(request["socket"], request.pop("nonce"))
    canary_dir = write_canaries(request["canaries"])
    emit({"type": "hello", "pytest": pytest.__version__, "python": sys.version.split()[0]})
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(name, None)  # were empty, to protect our own start
    os.environ.update(request["environment"])
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path[:] = with_roots([*request["python_path"], *sys.path, *ahead], request["roots"])
    write_versions(request["version_files"])
    # programs that the tests start find the project as an installation would offer it
    inherited = [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []
    os.environ["PYTHONPATH"] = os.pathsep.join([*inherited, *request["roots"]])
    sys.meta_path.extend(hooks)
    sys.argv = request["argv"]
    extra = [word for name in later for word in ("-p", name)]
    xml = request["xml"]
    mark_hooks(pytest)
    reporter = Reporter(pytest, request, emit, canary_dir)
    reporter.proof = loaded
    if not any(name == "xdist" for name, _ in plugins):
        stand_in = types.ModuleType("perstack_fixtures")
        vars(stand_in)["worker_id"] = pytest.fixture(scope="session")(worker_id)
        plugins.append(("perstack_fixtures", stand_in))
    extra += ["-o", "cache_dir=" + os.path.join(canary_dir, "cache")]  # always empty: nothing can be planted in it
    program = stand_aside("pytest")
    status = int(pytest.main([*request["args"], *extra], plugins=[Registrar(plugins), reporter]))
    emit(
        {
            "type": "finish",
            "exit": status,
            "xml": digest_of(xml),
            "replaced": [*loaded.replaced(), *reporter.changed()],
            "own": loaded.own_modules_in_workspace(),
            "outside": loaded.outside(),
        }
    )
    del program
    shutil.rmtree(canary_dir, ignore_errors=True)
    sys.stdout.flush()
    sys.stderr.flush()
    leave(status)


if __name__ == "__main__":
    main()
