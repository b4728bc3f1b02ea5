"""A signal that cannot be red proves nothing: it is found by breaking the product, and told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Verdict
from perstack.signals.cache import ResultCache
from perstack.signals.protocol import Verifier
from tests.signals.project import CALC, FIXED, PYTEST, Project

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

DEAF = replace(PYTEST, name="deaf", run=(*PYTEST.run, "tests/test_deaf.py"))
HEARS = replace(PYTEST, name="hears", run=(*PYTEST.run, "tests/test_ears.py"))
TRUE = SignalSpec("true", SignalKind.COMMAND, ("true",), repeat=1)
FILES = {
    **CALC,
    "calc.py": FIXED,
    "tests/test_deaf.py": "def test_nothing():\n    assert True\n",
    "tests/test_ears.py": "import calc\n\n\ndef test_mean():\n    assert calc.mean([2]) == 2\n",
    "page.html": "<p>hello</p>\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.make(tmp_path_factory.mktemp("sense"), FILES)


async def test_each_signal_is_shown_to_be_red_or_said_to_be_blind(project: Project) -> None:
    specs = (
        HEARS,
        DEAF,
        TRUE,
        replace(TRUE, name="red", run=("false",)),
        replace(TRUE, name="missing", run=("no-such-program",)),
        replace(TRUE, name="never", run=("grep", "-r", "TODO", "."), reject=True),
        SignalSpec("syntax", SignalKind.COMPILER, ("python3", "-m", "compileall", "-q", "."), repeat=1),
        SignalSpec("shown", SignalKind.DIFF, ("true",), expect={"generated": ["page.html"]}, repeat=1),
    )
    repository, snapshot = await project.repository(), await project.snapshot()
    senses = await project.verifier().sense(repository, project.base, specs, snapshot, VerifySpec())
    assert {one.signal: one.can_fail for one in senses} == {
        "hears": True,
        "deaf": False,
        "true": False,
        "red": True,
        "missing": None,
        "never": None,
        "syntax": True,
        "shown": True,
    }
    said = {one.signal: one.sentence for one in senses}
    assert "stays green where every source of the product is broken (calc.py)" in said["true"]
    assert "`no-such-program` is not in the sandbox" in said["missing"]
    assert [one.signal for one in senses] == [spec.name for spec in specs]


async def test_a_blind_gate_is_told_with_its_pass_and_looked_at_once(project: Project, tmp_path: Path) -> None:
    cache = ResultCache(tmp_path / "cache")
    request = replace(await project.request(project.patch({"README.md": "# new\n"}), TRUE, HEARS), needs_red=False)
    for looks in (2, 0):
        events: list[str] = []

        def emit(kind: str, payload: object, events: list[str] = events) -> None:
            if kind == "startSignal" and "broken sources" in str(payload):
                events.append(kind)

        report = await Verifier(project.sandbox, emit, tmp_path / "scratch", cache).verify(request)
        assert report.verdict is Verdict.PASS
        told = "true: cannot be red, so it proves nothing: it stays green where every source of the product is broken"
        assert [remark for remark in report.remarks if "cannot be red" in remark] == [f"{told} (calc.py)"]
        assert len(events) == looks
