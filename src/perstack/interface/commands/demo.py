"""`perstack demo`: the whole main job offline, on the local forge, through the code that runs on GitHub."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click
from anyio import from_thread
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.experts import PipelineSpec
from perstack.core.json import JsonObject, compact
from perstack.core.verdict import Verdict
from perstack.demo.scene import ISSUE, MAINTAINER, NAME, Scene, set_scene
from perstack.demo.suite import session_runner
from perstack.forge.contract import Actor, Ignored
from perstack.forge.local import LocalForge
from perstack.forge.trigger import read_event
from perstack.interface.event import read_payload
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.life import answer
from perstack.interface.options import engine_options, format_option, host
from perstack.interface.render.comment_panel import markdown_panel
from perstack.interface.render.terminal import LiveView, check_panel, effort, patch_panel
from perstack.interface.working import carry_through

MARK = ".perstack-demo"


@click.command(
    name="demo",
    epilog="""\b
Examples:
  perstack demo                        offline, without a key
  perstack demo --seed 7               another bug
  perstack demo --provider anthropic   with a model
  perstack demo --format json | jq .commit

Exit codes: 0 fixed and proved; 1 not fixed; 2 usage; 3 inconclusive; 4 infrastructure; 130 interrupted.""",
)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Which bug is put in.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("perstack-demo"),
    show_default=True,
    help="The folder of the demo; made anew each time.",
)
@engine_options
@format_option
def command(seed: int, out: Path, sandbox: str, provider: str, model: str, output: str) -> int:
    """Break a small project, ask for `/perstack fix` in a comment, and watch it be fixed and proved.

    Works offline and without a key: the builder is a search program, and the tests are the judge.
    """
    folder = fresh_folder(out.resolve())
    console, results = Console(stderr=True), Console()

    async def work() -> tuple[Scene, JobResult]:
        with host(sandbox=sandbox, provider=provider or "search", model=model, storage=folder / "perstack") as found:
            # This interpreter's own directory first: the suite needs pytest, which is installed beside it.
            machine = replace(found, path=(Path(sys.executable).parent, *found.path))
            engine = api.Engine(machine)
            with LiveView(console, rounds=_rounds(), first="look for a bug that its tests show") as view:
                scene = await _scene(engine, folder, seed, machine.scratch / "demo", console, view)
                return scene, await _job(engine, scene, folder, view)

    scene, result = carry_through(work)
    if output == "json":
        click.echo(compact(_document(scene, result, folder)))
    else:
        _show(results, scene, result, folder)
    return result.exit_code


def _rounds() -> int:
    """How many rounds the built-in pipeline has."""
    pipeline = api.parse_config(None).pipelines.get("fix") or PipelineSpec("fix")
    return pipeline.budgets.rounds


def fresh_folder(folder: Path) -> Path:
    """An empty folder for the demo; one that we made before is replaced, anybody else's is left alone.

    Raises: UserError when the folder holds something else.
    """
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise UserError(f"{folder} is not empty and was not made by the demo", hint="choose another --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    return folder


async def _scene(
    engine: api.Engine, folder: Path, seed: int, workspace: Path, console: Console, view: LiveView
) -> Scene:
    _step(console, 1, f"a small project is made and bug number {seed} is put into it")
    workspace.mkdir(parents=True)
    builtin = api.parse_config(None)
    async with engine.job("demo", view) as job, job.session(builtin, workspace) as session:
        scene = await set_scene(folder, seed, session_runner(session), workspace)
    console.print(Text(f"   {scene.bug.path}:{scene.bug.line}, kind “{scene.bug.kind}”", style="dim"))
    _step(console, 2, f"issue #{ISSUE} is opened: {scene.title}")
    _step(console, 3, f"{MAINTAINER['login']} comments: ", "/perstack fix")
    return scene


def _step(console: Console, number: int, text: str, command: str = "") -> None:
    console.print(Text.assemble((f"{number}  ", "bold cyan"), text, (command, "bold")), highlight=False)


async def _job(engine: api.Engine, scene: Scene, folder: Path, view: LiveView) -> JobResult:
    forge = LocalForge(
        folder / "forge",
        NAME,
        git=scene.repository.path,
        remote=api.GitRemote(str(scene.repository.path)),
        read_file=lambda path, commit: from_thread.run(scene.repository.read_file, commit, path),
    )
    forge.add_issue(ISSUE, scene.title, scene.body)
    forge.set_role(Actor(str(MAINTAINER["login"]), int(str(MAINTAINER["id"]))), "write")
    triggers = read_event("issue_comment", read_payload(scene.event))
    if isinstance(triggers, Ignored):
        raise UserError(f"{scene.event}: {triggers.why}")
    return await answer(Desk(forge, engine, engine.host.scratch, watch=view), triggers)


def _document(scene: Scene, result: JobResult, folder: Path) -> JsonObject:
    """Where everything lies, and what became of the job."""
    story = result.story
    outcome = None if story is None else story.outcome
    return {
        "folder": str(folder),
        "repository": str(folder / "repository.git"),
        "event": str(scene.event),
        "bug": {"path": scene.bug.path, "line": scene.bug.line, "kind": scene.bug.kind},
        "message": result.message,
        "commit": "" if story is None else story.commit,
        "branch": "" if story is None else story.branch,
        "pullRequest": "" if story is None else story.pull_url,
        "outcome": None if outcome is None else outcome.to_json(),
        "exitCode": int(result.exit_code),
    }


def _show(console: Console, scene: Scene, result: JobResult, folder: Path) -> None:
    """What people see on the forge, the change, where everything lies. The table is in the comment and only there."""
    story = result.story
    if story is None or story.outcome is None:
        console.print(Panel(Text(result.message or "no result"), border_style="red"))
        return
    forge = folder / "forge"
    console.print()
    checks = forge / "check-runs.json"
    for check in json.loads(checks.read_text(encoding="utf-8")) if checks.exists() else ():
        console.print(check_panel(check, f"forge/checks/{check['id']}.md"))
    for comment in sorted((forge / "comments").glob("*.md")):
        title = f"the comment on #{ISSUE} · {comment.relative_to(folder)}"
        console.print(markdown_panel(title, comment.read_text(encoding="utf-8"), story.outcome.report))
    proved = result.exit_code is ExitCode.OK and story.verdict is Verdict.PASS
    if story.outcome.candidate is not None:
        console.print(patch_panel(story.outcome.candidate, proved=proved))
    report = story.outcome.report
    rows = [("everything", forge / "index.md"), ("repository", folder / "repository.git")]
    rows += [("fix pull request", Path(story.pull_url))] if story.pull_url else []
    rows += [("evidence", Path(report.evidence))] if report and report.evidence else []
    rows += [("event that asked", scene.event)]
    for name, value in (*((name, _near(path)) for name, path in rows), ("cost", effort(story.outcome))):
        console.print(Text.assemble((f"{name:>18}  ", "dim"), value), soft_wrap=True)
    word = f"fixed and proved: {story.commit[:12]} is on {story.branch}" if proved else "not proved: nothing was pushed"
    console.print(Text(f"\n{'✔' if proved else '✖'} {word}", style="bold green" if proved else "bold red"))


def _near(path: Path) -> str:
    """Relative to the current directory where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
