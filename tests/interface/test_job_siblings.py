"""One commit, several pull requests or bases: a green check run must not count where nothing was judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import ExitCode
from perstack.core.events import Event
from perstack.forge.contract import Action
from tests.interface.scene import FILES, FIXED, Scene

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
LAX = '[signals.lax]\nkind = "command"\nrun = "true"\nrepeat = 1\n'


async def lax_scene(root: Path) -> tuple[Scene, str]:
    """Pull request #7 goes into a branch that checks nothing, and is green there; that branch's commit as well."""
    scene = await Scene.make(root, files={**FILES, "perstack.toml": LAX}, main={**FILES, "calc.py": FIXED})
    lax = scene.head
    scene.head = await scene.project.commit("More", {"more.py": "more = 1\n"})
    await scene.project.git("push", "--quiet", str(scene.repository.path), "tidy", f"{lax}:refs/heads/lax")
    scene.forge.add_pull_request(scene.pull(base_ref="lax", base_sha=lax))
    return scene, lax


@pytest.mark.threat("P27")
async def test_a_green_change_does_not_make_another_pull_request_of_its_commit_green(tmp_path: Path) -> None:
    scene, lax = await lax_scene(tmp_path)
    scene.forge.add_pull_request(scene.pull(number=9, base_ref="develop", base_sha=lax))
    assert (await scene.run(Action.VERIFY)).exit_code is ExitCode.OK, "green against both"
    scene.forge.add_pull_request(scene.pull(number=8))  # the same commit, into `main`, whose tests it breaks
    result = await scene.run(Action.VERIFY)
    assert result.exit_code is ExitCode.INCONCLUSIVE
    assert [check["conclusion"] for check in scene.record("check-runs")] == ["success", "action_required"]
    told = scene.record("check-runs")[-1]["summary"].replace("\u200b", "")
    assert "#8 has the same head" in told
    assert "against `main` the verdict is `fail`" in told
    assert scene.record("outputs")["verdict"] == "inconclusive"


@pytest.mark.threat("P27")
async def test_a_pull_request_that_goes_elsewhere_meanwhile_gets_no_result(tmp_path: Path) -> None:
    scene, _ = await lax_scene(tmp_path)

    def retarget(event: Event) -> None:
        if event.type == "decideVerdict":
            scene.forge.add_pull_request(scene.pull())

    result = await scene.run(Action.VERIFY, watch=retarget)
    assert "goes into `main` now, no longer into `lax`" in result.message
    (check,) = scene.record("check-runs")
    assert check["conclusion"] == "cancelled"
