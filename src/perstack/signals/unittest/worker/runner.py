"""Runs a unittest suite for the verifier, inside the sandbox. A script of its own: it imports nothing of perstack.

Started as `python -s -S -B runner.py` with one JSON request on stdin. unittest and all it needs are loaded before a
single path of the repository can be imported; results go over a socket as authenticated records, and the end is a
finish record and `os._exit`, so that exit handlers of the code under test have no say.

Limit: the code under test shares this process. What it could still do to it is found by canaries, by the list of
replaced functions, and by the comparison of each test with what its file says.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# The names of the result's methods, and what they are given, are unittest's.
# ruff: noqa: ARG002, N802, PTH109, PTH118, PTH119

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
import sys
import traceback
import unittest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perstack.signals.pytest.worker.perstack_channel import Emit, open_channel
    from perstack.signals.pytest.worker.perstack_proof import Loaded
    from perstack.signals.pytest.worker.perstack_site import Places, inside, set_up_site, stand_aside, write_canaries
    from perstack.signals.pytest.worker.perstack_sources import with_roots, write_versions
    from perstack.signals.unittest.worker.perstack_tests import Collected, Sources, arranged, identity_of, module_of
else:
    from perstack_channel import open_channel  # these lie beside this script
    from perstack_proof import Loaded
    from perstack_site import Places, inside, set_up_site, stand_aside, write_canaries
    from perstack_sources import with_roots, write_versions
    from perstack_tests import Collected, Sources, arranged, identity_of, module_of

JUDGE = ("unittest",)
WATCHED = ("unittest", "doctest", "traceback", "perstack_tests")
NEEDED = (
    "unittest.mock", "unittest.async_case", "unittest._log", "asyncio", "doctest", "difflib", "pprint", "logging",
    "warnings", "signal", "linecache", "textwrap", "fnmatch", "functools", "inspect", "tempfile", "contextlib",
)  # fmt: skip
MESSAGE_LIMIT = 2000
INTERRUPTED, INTERNAL, NOT_STARTED = 2, 3, 4


def load_judge() -> None:
    """Import all of unittest now, so that nothing of it is looked up when the repository is importable."""
    for name in NEEDED:
        if name == "unittest._log" or importlib.util.find_spec(name) is not None:
            try:
                importlib.import_module(name)
            except ImportError:
                continue  # an older Python has it under another name


class Reporter(unittest.TestResult):
    """Sends what happens to each test, and forgets it."""

    def __init__(self, emit: Emit, collected: Collected, places: Places, canaries: dict[str, str]) -> None:
        super().__init__()
        self._emit, self._collected, self._places, self._canaries = emit, collected, places, canaries
        self._told: set[str] = set()
        self._parts = 0
        self.good = True

    def startTest(self, test: Any) -> None:
        self.testsRun += 1
        self._told.discard(identity_of(test))
        self._parts = 0
        self._emit({"type": "start", "id": self._id(test)})
        self._collected.look_at(test)

    def stopTest(self, test: Any) -> None:
        self._collected.look_at(test)
        if identity_of(test) not in self._told:
            self._say(test, "failed", message="the test ended without a result")
        if self._parts and module_of(test) not in self._canaries:
            # a loop over subtests that ends early must not look like a whole one
            self._emit({"type": "parts", "id": self._id(test), "count": self._parts})

    def addSuccess(self, test: Any) -> None:
        self._say(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        self._parts += 1
        if err is not None:
            self._failed(test, err)

    def addSkip(self, test: Any, reason: str) -> None:
        self._say(test, "skipped", message=str(reason))

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        self._say(test, "xfailed")

    def addUnexpectedSuccess(self, test: Any) -> None:
        self._say(test, "failed", message="XPASS(strict): unexpected success")

    def addDuration(self, test: Any, elapsed: float) -> None:
        """Not of interest."""

    def _failed(self, test: Any, err: Any) -> None:
        kind, value, trace = err
        path, line = self._place(trace)
        message = "".join(traceback.format_exception_only(kind, value)).strip()
        if type(test).__name__ == "_FailedTest" and module_of(test) == "unittest.loader":
            text = getattr(test, "_exception", value)
            lines = str(text).strip().splitlines()
            name = getattr(test, "_testMethodName", "")
            self._say(test, "error", identity=name, message=(lines[-1] if lines else "")[-MESSAGE_LIMIT:])
            return
        self._say(test, "failed", message=message, path=path, line=line)

    def _say(self, test: Any, outcome: str, *, identity: str = "", **more: Any) -> None:
        own = identity_of(test)
        self._told.add(own)
        self.good = self.good and outcome in {"passed", "skipped", "xfailed"}
        more["message"] = str(more.get("message", ""))[:MESSAGE_LIMIT]
        if hasattr(test, "_testMethodName") or hasattr(test, "test_case"):
            ids = [identity or self._id(test)]
        else:
            # a class's or module's fixture speaks for all its tests
            ids = self._collected.behind(own) or ["session::" + own]
        for name in ids:
            when = "collect" if identity else "call"
            self._emit({"type": "case", "id": name, "outcome": outcome, "when": when, "seconds": 0.0, **more})

    def _id(self, test: Any) -> str:
        module = self._canaries.get(module_of(getattr(test, "test_case", test)), "")
        identity = identity_of(test)
        return module + "::" + identity.rpartition(".")[2] if module else identity

    def _place(self, trace: Any) -> tuple[str, int]:
        """Where it failed: the innermost frame that lies in the workspace, as relative path and line."""
        found = ("", 0)
        for frame, line in traceback.walk_tb(trace):
            path = frame.f_code.co_filename
            if inside(os.path.join(os.getcwd(), path), self._places.workspace):
                real = os.path.realpath(os.path.join(os.getcwd(), path))
                found = (os.path.relpath(real, self._places.workspace), line)
        return found


def load_canaries(folder: str, canaries: list[dict[str, str]]) -> tuple[list[Any], dict[str, str]]:
    """Suites of the canary modules, which are never in `sys.modules`, and the modules' names."""
    suites, names = [], {}
    for canary in canaries:
        name = canary["file"][:-3]
        spec = importlib.util.spec_from_file_location(name, os.path.join(folder, canary["file"]))
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loader = unittest.TestLoader()
        loader.testMethodPrefix = "test"
        suites.append(loader.loadTestsFromModule(module))
        names[name] = name
    return suites, names


def load_suite(request: dict[str, Any]) -> Any:
    """The repository's tests, as `python -m unittest` would load them."""
    loader = unittest.TestLoader()
    if request["keep"]:
        loader.testNamePatterns = [p if "*" in p else "*" + p + "*" for p in request["keep"]]
    if request["names"]:
        suite = loader.loadTestsFromNames(request["names"])
    else:
        suite = loader.discover(request["start"], pattern=request["pattern"], top_level_dir=request["top"] or None)
    return arranged(suite, request["order"], request["only"])


def make_importable(request: dict[str, Any], ahead: list[str], hooks: list[Any]) -> None:
    """Let the repository be found: from now on its code can run."""
    for name in ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONOPTIMIZE", "PYTHONWARNINGS"):
        os.environ.pop(name, None)  # were empty, to protect our own start
    os.environ.update(request["environment"])
    given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    asked = [os.path.join(request["cwd"], part) for part in given]
    sys.path[:] = with_roots([request["cwd"], *asked, *sys.path, *ahead], request["roots"])
    write_versions(request["version_files"])
    # programs that the tests start find the project as an installation would offer it
    os.environ["PYTHONPATH"] = os.pathsep.join([*given, *request["roots"]])
    sys.meta_path.extend(hooks)
    sys.argv = [os.path.basename(sys.executable) + " -m unittest", *request["names"]]


def run_all(request: dict[str, Any], emit: Emit, places: Places, sources: Sources) -> tuple[int, list[str]]:
    """Collect and run; the exit code and what is not what was collected."""
    canary_dir = write_canaries(request["canaries"])
    sources.add([canary_dir])
    (first, last), names = load_canaries(canary_dir, request["canaries"])
    collected = None
    try:
        suite = load_suite(request)
        whole = unittest.TestSuite([first, suite, last])
        collected = Collected(whole, sources)
        reporter = Reporter(emit, collected, places, names)
        whole.run(reporter)
        status = 0 if reporter.good else 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BaseException as error:  # noqa: BLE001
        # even SystemExit of a module under test ends here: nothing but this script ends the run
        emit({"type": "internal", "message": "".join(traceback.format_exception_only(type(error), error))[-2000:]})
        status = INTERNAL
    shutil.rmtree(canary_dir, ignore_errors=True)
    return status, sorted(collected.changed)[:50] if collected else []


def main() -> None:
    """Read the request, run, report, leave."""
    leave = os._exit
    places = Places(os.environ.pop("PERSTACK_WORKSPACE", os.getcwd()))
    ahead, hooks = set_up_site(places)
    request = json.loads(sys.stdin.buffer.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    load_judge()
    loaded = Loaded(places, request["provides"], judge=JUDGE, watched=WATCHED)
    emit = open_channel(request["socket"], request.pop("nonce"))
    emit({"type": "hello", "python": sys.version.split()[0]})
    sources = Sources([os.path.realpath(request["cwd"])])
    make_importable(request, ahead, hooks)
    program = stand_aside("unittest")
    status, changed = run_all(request, emit, places, sources)
    emit(
        {
            "type": "finish",
            "exit": status,
            "replaced": [*loaded.replaced(), *changed],
            "own": loaded.own_modules_in_workspace(),
            "outside": loaded.outside(),
        }
    )
    del program
    sys.stdout.flush()
    sys.stderr.flush()
    leave(status)


if __name__ == "__main__":
    main()
