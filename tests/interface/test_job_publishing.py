"""The two-stage flow: what an unprivileged job left is bound to the forge's own record and measured anew."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perstack.core.errors import ExitCode
from perstack.forge.contract import Action, WorkflowRun
from perstack.interface.jobs.bundle import ARTIFACT
from perstack.interface.jobs.desk import JobResult
from tests.interface.scene import FILES, FIXED, Scene

pytestmark = pytest.mark.anyio
FORK = 77
Files = Mapping[str, bytes | str]
RUN = 41


async def fork_scene(root: Path, files: dict[str, str] | None = None) -> Scene:
    """Pull request 7 comes from a fork."""
    scene = await Scene.make(root, files=files)
    scene.forge.add_pull_request(scene.pull(is_fork=True, head_repository_id=FORK))
    return scene


async def publish(scene: Scene, files: Files | bytes, *, head: str = "", **fields: Any) -> JobResult:
    """The publisher's job for an artifact."""
    data = files if isinstance(files, bytes) else zipped(files)
    head = head or scene.head
    run = WorkflowRun(RUN, "Verify", "pull_request", "completed", "success", head, "tidy", FORK, 1, url="https://x/41")
    scene.forge.add_workflow_run(run, (), {ARTIFACT: data})
    about = {"event": "workflow_run", "number": 0, "comment_id": 0, "is_pull_request": False, "failed_run": RUN,
             "head_sha": head, "head_repository_id": FORK, **fields}  # fmt: skip
    return await scene.run(Action.PUBLISH, **about)


def zipped(files: Files) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def claim(scene: Scene, **fields: object) -> str:
    """A result.json in our form."""
    plain = {"v": 1, "action": "verify", "repository_id": 1, "number": 7, "head_sha": scene.head, "verdict": "pass",
             "outcome": "verified"}  # fmt: skip
    return json.dumps(plain | fields)


def conclusions(scene: Scene) -> list[tuple[str, str]]:
    return [(check["head_sha"], check["conclusion"]) for check in scene.record("check-runs")]


@pytest.mark.threat("P9", "P8")
@pytest.mark.slow
async def test_a_forged_pass_is_measured_again_and_told_beside_the_truth(tmp_path: Path) -> None:
    scene = await fork_scene(tmp_path)
    result = await publish(scene, {"result.json": claim(scene), "evidence.json": "{}"})
    assert result.exit_code is ExitCode.FAIL
    assert conclusions(scene) == [(scene.head, "failure")]
    assert result.story is not None
    assert (result.story.claimed, result.story.verdict) == ("pass", "fail")
    assert any("does not hold" in warning for warning in result.story.warnings)


@pytest.mark.slow
async def test_a_change_that_a_fork_built_is_proved_here_and_suggested_but_not_pushed(tmp_path: Path) -> None:
    scene = await fork_scene(tmp_path)
    await scene.project.commit("Mend", {"calc.py": FIXED})
    patch = await scene.project.git("diff", "HEAD~1", "HEAD") + "\n"
    result = await publish(scene, {"result.json": claim(scene, action="fix", outcome="fixed"), "patch.diff": patch})
    assert result.exit_code is ExitCode.OK, scene.summary()
    assert scene.record("commits") == []
    (review,) = scene.record("reviews")
    assert "suggestion" in review["comments"][0]["body"]
    assert "n // 2 - 1" in scene.comment()


@pytest.mark.threat("P9", "P27")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"number": 8}, "the artifact names"),
        ({"head_sha": "a" * 40}, "about the commit aaaaaaaaaaaa"),
        ({"repository_id": 99}, "another repository"),
        ({"verdict": "pass\n::error::x"}, "of another form"),
        ({"number": "7; rm"}, "of another form"),
        ({"v": 2}, "not of a form"),
    ],
)
async def test_an_artifact_that_is_about_something_else_is_refused(
    tmp_path: Path, fields: dict[str, object], words: str
) -> None:
    scene = await fork_scene(tmp_path)
    result = await publish(scene, {"result.json": claim(scene, **fields)})
    assert result.exit_code is ExitCode.USAGE
    assert words in scene.summary()
    assert conclusions(scene) == [(scene.head, "failure")]


@pytest.mark.threat("P9")
@pytest.mark.slow
async def test_an_archive_that_attacks_whoever_unpacks_it_is_refused(tmp_path: Path) -> None:
    scene = await fork_scene(tmp_path)
    good = claim(scene)
    bomb = {"result.json": good, "results/a.json": b"\0" * 67_200_000}
    for attack, words in (
        ({"../result.json": good}, "which is not unpacked"),
        ({"/etc/passwd": good}, "which is not unpacked"),
        ({"result.json": good, "RESULT.json": "{}"}, "twice"),
        (b"PK\x03\x04 nothing", "cannot be read"),
        (bomb, "larger than may be unpacked"),
        ({"other.json": good}, "holds no result.json"),
    ):
        result = await publish(scene, attack)  # type: ignore[arg-type]
        assert result.exit_code is ExitCode.USAGE
        assert words in scene.summary(), words
    assert not (tmp_path / "result.json").exists()
    assert all(conclusion == "failure" for _, conclusion in conclusions(scene))


async def test_a_run_whose_head_is_no_open_pull_requests_is_not_published(tmp_path: Path) -> None:
    scene = await fork_scene(tmp_path)
    good = {"result.json": claim(scene)}
    moved = await publish(scene, good, head=scene.main)
    other = await publish(scene, good, head_repository_id=78)
    scene.forge.add_pull_request(scene.pull(is_fork=True, head_repository_id=FORK, state="closed"))
    closed = await publish(scene, good)
    assert [r.outcome for r in (moved, other, closed)] == ["refused"] * 3
    assert (scene.record("check-runs"), scene.record("comments")) == ([], [])


@pytest.mark.slow
async def test_a_job_leaves_a_result_that_the_publisher_reads(tmp_path: Path) -> None:
    scene = await fork_scene(tmp_path, files={**FILES, "calc.py": FIXED, "notes.md": "x"})
    await scene.run(Action.VERIFY, event="pull_request", comment_id=0)
    left = tmp_path / "runner" / "result"
    names = {path.relative_to(left).as_posix() for path in left.rglob("*") if path.is_file()}
    assert {
        "result.json",
        "patch.diff",
        "events.jsonl",
        "evidence.json",
        "report.md",
        "report.html",
        "candidate.patch",
    } <= names
    assert Path(scene.record("outputs")["report"]).is_file()
    result = await publish(scene, {name: (left / name).read_bytes() for name in names})
    assert result.story is not None
    assert not [w for w in result.story.warnings if "unprivileged" in w], "the evidence holds as it was left"
    assert result.story.claimed == result.story.verdict
