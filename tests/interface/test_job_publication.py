"""Where a proved change goes: the head's branch, a fix branch, or nowhere with a sentence. Real git, no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack import api
from perstack.core.errors import ForgeError, Superseded
from perstack.core.experts import Config
from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.forge.contract import Action, PullRequest, Trigger
from perstack.forge.trust import Allowed
from perstack.interface.jobs.assignment import Assignment
from perstack.interface.jobs.desk import Desk
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.publication import Proposal, Publication
from perstack.interface.render.markdown import made_comment
from perstack.interface.story import MadeStory, Story
from tests.interface.scene import ADA, BUGGY, FIXED, MALLORY, Scene

pytestmark = pytest.mark.anyio


async def published(scene: Scene, files: dict[str, str], pull: PullRequest | None = None) -> Story:
    """Publish a candidate that changes these files, on issue 3 or on a pull request."""
    number = pull.number if pull else 3
    head = pull.head_sha if pull else scene.branch("main")
    trigger = Trigger("issue_comment", Action.FIX, "ada/calc", 1, ADA, number=number, is_pull_request=bool(pull))
    one = Assignment(trigger, Config(), head, Allowed(push=True, why=""), pull=pull, branch="" if pull else "main")
    desk = Desk(scene.forge, None, scene.root)  # type: ignore[arg-type]  # no engine is asked
    repository = scene.repository
    workspace = scene.root / f"work-{len(list(scene.root.iterdir()))}"
    await repository.export(head, workspace)
    for name, text in files.items():
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    tree, patch = await repository.snapshot(head, workspace)
    candidate = Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)
    story = Story("fix", "ada", head, FixOutcome(Ending.FIXED, "green", head, candidate=candidate))
    fence = Fence(desk, one, one.record(desk))
    return await Publication(scene.forge, one, fence).publish(story, candidate, repository)


async def red_main(tmp_path: Path) -> Scene:
    """A scene whose `main` is red, as an issue complains."""
    scene = await Scene.make(tmp_path)
    await scene.project.git("push", "--quiet", "--force", str(scene.repository.path), "tidy:main")
    return scene


async def parents(scene: Scene, commit: str) -> list[str]:
    line = await scene.project.git("--git-dir", str(scene.repository.path), "log", "-1", "--format=%P", commit)
    return line.split()


async def test_a_second_fix_of_an_issue_goes_on_the_same_branch_and_pull_request(tmp_path: Path) -> None:
    scene = await red_main(tmp_path)
    first = await published(scene, {"calc.py": FIXED})
    again = await published(scene, {"calc.py": FIXED + "\n"})
    assert (first.branch, again.branch) == ("perstack/fix-3", "perstack/fix-3")
    assert again.pull_url == first.pull_url
    assert again.fix_updated
    assert not first.fix_updated
    assert await parents(scene, again.commit) == [first.commit, scene.branch("main")], "nothing was forced"
    assert await scene.repository.read_file(again.commit, "calc.py") == (FIXED + "\n").encode()
    assert len([p for p in scene.record("pull-requests").values() if p["head_ref"].startswith("perstack/")]) == 1


async def test_a_fix_branch_with_somebody_elses_commits_is_left_alone(tmp_path: Path) -> None:
    scene = await red_main(tmp_path)
    first = await published(scene, {"calc.py": FIXED})
    theirs = await scene.project.commit("By hand", {"calc.py": BUGGY + "# mine\n"})
    await scene.project.git("push", "--quiet", "--force", str(scene.repository.path), f"{theirs}:perstack/fix-3")
    scene.forge.set_author(theirs, MALLORY)
    again = await published(scene, {"calc.py": FIXED + "\n"})
    assert scene.branch("perstack/fix-3") == theirs
    assert again.branch.startswith("perstack/fix-3-")
    assert "left alone" in again.note
    assert again.pull_url != first.pull_url


async def test_a_change_of_workflow_files_is_said_before_anything_is_pushed(tmp_path: Path) -> None:
    scene = await red_main(tmp_path)
    story = await published(scene, {"calc.py": FIXED, ".github/workflows/ci.yml": "on: push\n"})
    assert story.commit == ""
    assert "workflow files" in story.note
    assert scene.record("commits") == []


async def test_a_pull_request_whose_branch_was_deleted_meanwhile_gets_nothing(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    pull = scene.forge.pull_request(7)
    await scene.project.git("push", "--quiet", str(scene.repository.path), ":tidy")
    with pytest.raises(Superseded, match="deleted or renamed"):
        await published(scene, {"calc.py": FIXED}, pull)
    assert scene.record("commits") == []


async def test_a_base_branch_that_was_renamed_meanwhile_is_told(tmp_path: Path) -> None:
    scene = await red_main(tmp_path)
    main = scene.branch("main")
    (scene.repository.path / "refs" / "heads" / "main").unlink()
    trigger = Trigger("issues", Action.FIX, "ada/calc", 1, ADA, number=3)
    one = Assignment(trigger, Config(), main, Allowed(push=True, why=""), branch="main")
    desk = Desk(scene.forge, None, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(Superseded, match="`main` was deleted or renamed"):
        await Fence(desk, one, one.record(desk)).check()


async def test_api_commits_take_several_parents(tmp_path: Path) -> None:
    scene = await Scene.make(tmp_path)
    tree = await scene.repository.apply(scene.main, "")
    made = await api.commit(scene.repository, tree, (scene.main, scene.head), "Both")
    assert await parents(scene, made) == [scene.main, scene.head]


async def test_a_proposal_whose_pull_request_is_refused_says_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = await Scene.make(tmp_path)

    def refused(_: object) -> None:
        raise ForgeError("GitHub Actions is not permitted to create pull requests", status=403)

    monkeypatch.setattr(scene.forge, "open_pull_request", refused)
    trigger = Trigger("issue_comment", Action.CREATE_EXPERT, "ada/calc", 1, ADA, number=3)
    one = Assignment(trigger, Config(), scene.main, Allowed(push=True, why=""), branch="main")
    desk = Desk(scene.forge, None, tmp_path)  # type: ignore[arg-type]  # no engine is asked
    tree = await scene.repository.apply(scene.main, "--- /dev/null\n+++ b/new.toml\n@@ -0,0 +1 @@\n+a = 1\n")
    candidate = Candidate("", "d" * 64, tree, ("new.toml",), 1, 0)
    proposal = Proposal(scene.main, "main", "perstack/fix-expert-3-new", "Add it\n", "Body")
    made = await Publication(scene.forge, one, Fence(desk, one, one.record(desk))).propose(
        proposal, candidate, scene.repository
    )
    assert (made.url, made.branch, made.commit) == ("", proposal.branch, scene.branch(proposal.branch))
    assert "not permitted" in made.note
    told = made_comment(MadeStory("ada", scene.main, "new", candidate=candidate, branch=made.branch, note=made.note))
    assert "Open a pull request from it" in told
    assert "Nothing was pushed" not in told
