"""`perstack demo`: the whole main job offline, on the local forge, through the code that runs on GitHub."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import click
from anyio import from_thread
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.verdict import Verdict
from perstack.demo.scene import ISSUE, MAINTAINER, NAME, Scene, set_scene
from perstack.demo.suite import session_runner
from perstack.forge.contract import Actor, Ignored
from perstack.forge.local import LocalForge
from perstack.forge.trigger import read_event
from perstack.interface.commands.action import read_payload
from perstack.interface.job import ForgeJob, JobResult
from perstack.interface.options import engine_options, host
from perstack.interface.render.terminal import LiveView, markdown_panel, outcome_report

MARK = ".perstack-demo"


@click.command(
    name="demo",
    epilog="Examples:  perstack demo   |   perstack demo --seed 7   |   perstack demo --provider anthropic",
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
def command(seed: int, out: Path, sandbox: str, provider: str, model: str) -> int:
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
            with LiveView(console) as view:
                scene = await _scene(engine, folder, seed, machine.scratch / "demo", console, view)
                return scene, await _job(engine, scene, folder, view)

    scene, result = anyio.run(work)
    _show(results, scene, result, folder)
    return result.exit_code


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
    console.print(Text.assemble(("1  ", "bold cyan"), f"a small project, and bug number {seed} of it"))
    workspace.mkdir(parents=True)
    builtin = api.parse_config(None)
    async with engine.job("demo", view) as job, job.session(builtin, workspace) as session:
        scene = await set_scene(folder, seed, session_runner(session), workspace)
    console.print(f"   {scene.bug.path}:{scene.bug.line} now has a bug of the kind “{scene.bug.kind}”", highlight=False)
    console.print(Text.assemble(("2  ", "bold cyan"), f"issue #{ISSUE}: {scene.title}"), highlight=False)
    console.print(
        Text.assemble(("3  ", "bold cyan"), f"{MAINTAINER['login']} comments "), Text("/perstack fix", "bold")
    )
    return scene


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
    trigger = read_event("issue_comment", read_payload(scene.event))
    if isinstance(trigger, Ignored):
        raise UserError(f"{scene.event}: {trigger.why}")
    return await ForgeJob(forge, engine, trigger, scratch=engine.host.scratch, watch=view).run()


def _show(console: Console, scene: Scene, result: JobResult, folder: Path) -> None:
    story = result.story
    if story is None or story.outcome is None:
        console.print(Panel(result.message or "no result", border_style="red"))
        return
    forge = folder / "forge"
    console.print()
    for check in sorted((forge / "checks").glob("*.md")):
        head = check.read_text(encoding="utf-8").split("\n<details>", 1)[0]
        console.print(markdown_panel(f"the check run ({check.relative_to(folder)})", head))
    for comment in sorted((forge / "comments").glob("*.md")):
        title = f"the comment on #{ISSUE} ({comment.relative_to(folder)})"
        console.print(markdown_panel(title, comment.read_text(encoding="utf-8")))
    console.print(outcome_report(story.outcome))
    rows = [("forge records", forge / "index.md"), ("git repository", folder / "repository.git")]
    rows += [("event", scene.event), ("event log", folder / "perstack" / "jobs")]
    if story.pull_url:
        rows.insert(0, ("fix pull request", Path(story.pull_url)))
    for name, path in rows:
        console.print(Text.assemble((f"{name:>18}  ", "dim"), str(path)), soft_wrap=True)
    proved = result.exit_code is ExitCode.OK and story.verdict is Verdict.PASS
    word = "fixed and proved: the commit is on the branch" if proved else "not proved: nothing was pushed"
    console.print(Text(f"\n{'✔' if proved else '✖'} {word}", style="bold green" if proved else "bold red"))
