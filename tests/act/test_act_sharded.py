"""One verification over four jobs of a workflow, under act: the verdict of all of them is that of a single job."""

from __future__ import annotations

import json

import pytest

from tests.act.conftest import MakeScene
from tests.act.runner import Act
from tests.interface.scene import FILES, FIXED

pytestmark = pytest.mark.slow

MORE = {f"tests/test_more_{n}.py": f"from calc import median\n\n\ndef test_{n}():\n    assert median([{n}]) == {n}\n"
        for n in range(6)}  # fmt: skip
RIGHTS = {"contents": "read", "checks": "write", "pull-requests": "read"}


def test_four_jobs_come_to_the_verdict_of_one(act: Act, make_scene: MakeScene) -> None:
    scene = make_scene(base={**FILES, **MORE}, head={"calc.py": FIXED})
    token = scene.server.token(RIGHTS)
    job = act.run(scene, "verify-sharded", "pull_request", scene.pull_request_event(), token=token)
    assert job.code == 0, job.text
    shares = {name: folder for name, folder in job.artifacts.items() if name.startswith("perstack-shard-")}
    assert sorted(shares) == [f"perstack-shard-{n}" for n in range(1, 5)]
    units = [json.loads((folder / "shard.json").read_text("utf-8"))["units"] for folder in shares.values()]
    assert all(units), "every job measured something"
    (check,) = scene.repository.checks.values()
    assert (check.head_sha, check.status, check.conclusion) == (scene.head_sha, "completed", "success")
    assert (job.outputs["verdict"], job.outputs["outcome"]) == ("pass", "verified")
    report = json.loads((job.artifacts["perstack-result"] / "evidence.json").read_text("utf-8"))
    tests = {
        case["id"]
        for row in report["predicate"]["results"]
        if row["tree"] == "candidate"
        for case in json.loads((job.artifacts["perstack-result"] / row["path"]).read_text("utf-8"))["tests"]
    }
    assert {f"tests/test_more_{n}.py::test_{n}" for n in range(6)} < tests
    assert "measured here" not in job.log
