"""Detection of Python suites and checks: pytest, unittest, mypy, ruff. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from perstack.core.signals import SignalKind
from perstack.signals.detect_found import Found, Repository, check, must

_TESTS = ("test_*.py", "*/test_*.py", "*_test.py")
_REQUIREMENTS = (
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements_dev.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
    "requirements/test.txt",
    "requirements/dev.txt",
    "requirements.txt",
)


def detect_python(repository: Repository) -> Iterator[Found]:
    """The suite first, then checks, then how to install what they need."""
    pyproject = repository.toml("pyproject.toml")
    why = _why_pytest(repository, pyproject)
    if why:
        yield Found(why, must("tests", SignalKind.TEST, "python3 -m pytest -q", framework="pytest"))
    elif _uses_unittest(repository):
        first = repository.any(*_TESTS)
        reason = f"unittest: {first} defines TestCase classes and nothing names pytest"
        run = f"python3 -m unittest discover {_discovery(repository)}".strip()
        yield Found(reason, must("tests", SignalKind.TEST, run, framework="unittest"))
    checks = list(_checks(repository, pyproject))
    yield from checks
    if why or checks or _uses_unittest(repository):
        yield from _setup(repository, pyproject, [item.spec.run for item in checks if item.spec])


def _why_pytest(repository: Repository, pyproject: Mapping[str, object]) -> str:
    tool = pyproject.get("tool")
    if isinstance(tool, dict) and "pytest" in tool:
        return "pytest: pyproject.toml has [tool.pytest]"
    for path, mark in (("pytest.ini", "[pytest]"), ("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]")):
        if mark in repository.text(path):
            return f"pytest: {path} has {mark}"
    conftest = repository.any("conftest.py", "*/conftest.py")
    if conftest:
        return f"pytest: {conftest}"
    first = repository.any(*_TESTS)
    if not first:
        return ""
    for path in sorted(repository.files):
        if (
            path.endswith(".py")
            and "test" in path
            and re.search(r"^\s*(?:import|from) pytest\b", repository.text(path), re.MULTILINE)
        ):
            return f"pytest: {path} imports it"
    names_it = [
        p for p in ("pyproject.toml", "tox.ini", "noxfile.py", *_REQUIREMENTS) if "pytest" in repository.text(p)
    ]
    if names_it:
        return f"pytest: {names_it[0]} names it and {first} is a test file"
    if re.search(r"^(?:async )?def test_", repository.text(first), re.MULTILINE):
        return f"pytest: {first} has test functions"
    return ""


def _uses_unittest(repository: Repository) -> bool:
    tests = [path for path in repository.files if path.rpartition("/")[2].startswith("test") and path.endswith(".py")]
    return any("TestCase" in repository.text(path) for path in tests)


def _discovery(repository: Repository) -> str:
    """Arguments that make discovery find the tests where they are."""
    folder = repository.any(*_TESTS).rpartition("/")[0]
    if not folder or f"{folder}/__init__.py" in repository.files:
        return ""
    return f"-s {folder}"  # no `-t`: a folder that is no package cannot be imported from above


def _checks(repository: Repository, pyproject: Mapping[str, object]) -> Iterator[Found]:
    """Type checkers and linters that have a configuration of their own. New findings count, old ones do not."""
    tool = pyproject.get("tool")
    tools = tool if isinstance(tool, dict) else {}
    if "mypy" in tools or {"mypy.ini", ".mypy.ini"} & repository.files or "[mypy]" in repository.text("setup.cfg"):
        where = "pyproject.toml" if "mypy" in tools else "mypy.ini or setup.cfg"
        target = "" if isinstance(tools.get("mypy"), dict) and "files" in tools["mypy"] else " ."
        why = f"mypy: configured in {where}; its errors are compared with the base's"
        yield Found(why, check("types", f"python3 -m mypy{target}"))
    if "pyright" in tools or "pyrightconfig.json" in repository.files:
        where = "pyproject.toml" if "pyright" in tools else "pyrightconfig.json"
        yield Found(
            f"pyright: configured in {where}; its errors are compared with the base's", check("types", "pyright")
        )
    if "ruff" in tools or {"ruff.toml", ".ruff.toml"} & repository.files:
        why = "ruff: configured; its findings are compared with the base's"
        yield Found(why, check("lint", "python3 -m ruff check ."))


def _setup(repository: Repository, pyproject: Mapping[str, object], checks: Sequence[Sequence[str]]) -> Iterator[Found]:
    requirements = [path for path in _REQUIREMENTS if path in repository.files]
    if requirements:
        listed = " ".join(f"-r {path}" for path in requirements[:2])
        yield Found(f"set-up: installs {', '.join(requirements[:2])}", setup=(f"python3 -m pip install {listed}",))
    if "project" in pyproject or "setup.py" in repository.files:
        yield Found(
            "set-up: installs the project with its dependencies",
            setup=(f"python3 -m pip install -e {_extra(pyproject)}",),
        )
    if requirements or "project" in pyproject or "setup.py" in repository.files:
        tools = " ".join(["pytest", *(_tool(run) for run in checks)])
        yield Found("", image=f"python:{_version(pyproject)}-slim", setup=(f"python3 -m pip install {tools}",))


def _tool(run: Sequence[str]) -> str:
    """The package of a check's command."""
    return run[run.index("-m") + 1] if "-m" in run else run[0]


def _extra(pyproject: Mapping[str, object]) -> str:
    project = pyproject.get("project")
    extras = project.get("optional-dependencies") if isinstance(project, dict) else None
    name = next((n for n in ("test", "tests", "testing", "dev") if isinstance(extras, dict) and n in extras), "")
    return f".[{name}]" if name else "."


def _version(pyproject: Mapping[str, object]) -> str:
    project = pyproject.get("project")
    wanted = str(project.get("requires-python", "")) if isinstance(project, dict) else ""
    lowest = re.search(r">=\s*3\.(\d+)", wanted)
    return f"3.{max(int(lowest[1]), 11)}" if lowest else "3.11"
