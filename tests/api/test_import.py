"""`import perstack` is cheap, and what it names is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import perstack
from perstack import api

HEAVY = ("pydantic", "anyio", "asyncio", "rich", "click", "docker", "anthropic", "openai", "mcp", "tomli_w")


def modules_after(code: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after `code`."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_it_loads_nothing_but_the_version() -> None:
    found = modules_after("import perstack")
    assert {name for name in found if name.startswith("perstack")} == {
        "perstack",
        "perstack.core",
        "perstack.core.version",
    }
    assert not found & set(HEAVY)


def test_describing_an_expert_loads_no_engine() -> None:
    found = modules_after("import perstack; perstack.Expert('a', 'x'); perstack.Config()")
    assert not found & {"perstack.api.engine", "pydantic", "anyio", "docker"}


@pytest.mark.slow
def test_calling_it_loads_no_provider_sdk_before_one_is_asked_for() -> None:
    assert not modules_after("import perstack; perstack.run") & {"anthropic", "openai", "mcp", "docker", "tomli_w"}


@pytest.mark.parametrize("package", [perstack, api], ids=["perstack", "perstack.api"])
def test_every_name_it_promises_is_there(package: object) -> None:
    names = package.__all__  # type: ignore[attr-defined]
    assert len(names) == len(set(names))
    assert all(getattr(package, name) is not None for name in names)


def test_a_name_it_does_not_have_is_told_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'perstack' has no attribute 'rum'"):
        _ = perstack.rum
    assert "run" in dir(perstack)


def test_types_are_shipped() -> None:
    assert (Path(perstack.__file__).parent / "py.typed").is_file()
