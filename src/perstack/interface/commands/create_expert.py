"""`perstack create-expert`: from a wish to an expert that was really tried, added to a definition."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import ExitCode, PerstackError, UserError
from perstack.core.json import compact
from perstack.interface.options import engine_options, format_option, host, storage_option, warn
from perstack.interface.render.facts import visible
from perstack.interface.render.terminal import LiveView
from perstack.interface.working import carry_through


@click.command(
    name="create-expert",
    short_help="Make an expert from a wish, and really try it.",
    epilog="""\b
Examples:
  perstack create-expert "lists TODO comments with file, line and age"
  perstack create-expert "checks our changelog" --name changelog --out changelog.toml
  perstack create-expert "looks up advisories" --allow-skill advisories
  perstack create-expert "checks links" --out links.patch     git apply links.patch

Exit codes: 0 made; 1 not made after three tries, and nothing is written; 2 usage; 3 a budget was used up;
4 infrastructure.""",
)
@click.argument("wish")
@click.option("--name", "key", default="", metavar="KEY", help="What the expert is called.  [default: planned]")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The definition it is added to; made where there is none.  [default: the nearest perstack.toml]",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Leave the definition alone and write here: *.patch gets a patch of it, any other new file the tables.",
)
@click.option(
    "--allow-skill",
    "skills",
    multiple=True,
    metavar="NAME",
    help="Let it have this skill of the definition; repeatable.  [default: base tools only]",
)
@engine_options
@storage_option
@format_option
def command(
    wish: str,
    key: str,
    config: Path | None,
    out: Path | None,
    skills: tuple[str, ...],
    storage: Path | None,
    output: str,
    **chosen: str,
) -> int:
    """Plan an expert, write it, run it on a test query in a sandbox, and add it once its signal is green.

    At most three tries. What is in the definition stays byte for byte; no expert of it is replaced.
    """
    if out is not None and out.exists():
        raise UserError(f"{out} is there already", hint="Give --out a new file.")
    if out is not None and not out.resolve().parent.is_dir():
        raise UserError(f"{out.parent}: there is no such folder", hint="Make it, or give another --out.")
    definition = api.Definition.read(config or api.find_config(Path.cwd()) or Path(api.CONFIG_NAME))
    if not definition.path.resolve().parent.is_dir():
        raise UserError(f"{definition.path.parent}: there is no such folder", hint="Make it, or give another --config.")
    settings = definition.config()
    for warning in settings.warnings:
        warn(warning)
    asked = api.Create(wish, settings, key, skills)

    async def work() -> api.Created:
        with (
            host(chosen["sandbox"], chosen["provider"], chosen["model"], storage=storage) as place,
            LiveView(Console(stderr=True)) as view,
        ):
            async with api.Engine(place).job("create-expert", view) as job:
                return await api.create_expert(job, asked)

    created = carry_through(work)
    if created.ok:
        try:
            _keep(definition, created.definition, out)
        except PerstackError:
            click.echo(visible(created.definition), err=True)  # it was paid for
            raise
    _tell(created, out or definition.path, output)
    return ExitCode.OK if created.ok else ExitCode.FAIL


def _keep(definition: api.Definition, tables: str, out: Path | None) -> None:
    if out is None:
        definition.add(tables)
        return
    text = definition.patch(tables) if out.suffix in {".patch", ".diff"} else tables
    definition.with_tables(tables)
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}", hint="Give another --out.") from error


def _tell(created: api.Created, place: Path, output: str) -> None:
    if output == "json":
        click.echo(compact({**created.to_json(), "file": str(place) if created.ok else ""}))
        return
    plan = created.plan
    if created.ok and plan is not None:
        click.echo(f"Expert `{plan.key}` is in {place} (tries: {created.rounds}).")
        click.echo(f"  tried with: {visible(compact(plan.query))}\n  green: {visible(plan.check.words())}")
        click.echo(f'  → perstack run {plan.key} "…"')
        return
    click.echo(f"perstack: no expert was made: {visible(created.error)}", err=True)
    click.echo("  → nothing was written; say more exactly what a right result is, or see `perstack log`", err=True)
