"""`perstack prune`: take away what set-up and skills left on this machine and nobody has used for long."""

from __future__ import annotations

import time

import click
from rich.console import Console

from perstack import api
from perstack.core.json import Json, JsonObject, compact
from perstack.interface.options import environment, format_option, host
from perstack.interface.render.live import waiting
from perstack.interface.working import carry_through

_DAY_S = 86_400
_MB = 2**20


@click.command(
    name="prune",
    epilog="""\b
Examples:
  perstack prune --max-age 7d --dry-run
  perstack prune --all

What a job uses stays, and images built within the hour. What is needed again is made again.

Exit codes: 0 done; 2 usage.""",
)
@click.option("--max-age", default="", help="Keep what was used within this time (30d, 12h). Default: 30d.")
@click.option("--max-size", default="", help="Keep at most this much (20g, 500m), what was used last. Default: 20g.")
@click.option("--all", "everything", is_flag=True, help="Keep nothing that is not in use.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@format_option
def command(max_age: str, max_size: str, everything: bool, dry_run: bool, output: str) -> int:
    """Remove snapshots of set-up and packages of skills that are too old or too much, and images of old builds.

    Every job does the same in passing, for a few of them; PERSTACK_SNAPSHOT_MAX_AGE and PERSTACK_SNAPSHOT_MAX_SIZE
    say how much is kept.
    """
    wanted = api.keeping(environment(), max_age="0s" if everything else max_age, max_size=max_size)
    with host() as here, waiting(Console(stderr=True), "look for snapshots"):
        found = carry_through(lambda: api.prune(here, wanted, dry_run=dry_run))
    if output == "json":
        click.echo(compact(_document(found, dry_run=dry_run)))
    else:
        for line in _lines(found, dry_run=dry_run):
            click.echo(line)
    return 0


def _document(found: api.Pruned, *, dry_run: bool) -> JsonObject:
    return {
        "dryRun": dry_run,
        "removed": [_told(one) for one in found.removed],
        "kept": [_told(one) for one in found.stays],
        "freed": sum(one.bytes for one in found.removed),
    }


def _told(one: api.Kept) -> Json:
    return {"name": one.name, "setup": one.about, "bytes": one.bytes, "used": int(one.used), "image": one.image}


def _lines(found: api.Pruned, *, dry_run: bool) -> list[str]:
    now, word = time.time(), "would remove" if dry_run else "removed"
    lines = [
        f"{word} {one.name}: {one.bytes / _MB:.1f} MB, last used {max(0.0, now - one.used) / _DAY_S:.1f} days ago, "
        f"for {one.about.splitlines()[0][:60]}"
        for one in found.removed
    ]
    freed, left = sum(one.bytes for one in found.removed), sum(one.bytes for one in found.stays)
    freeing = "would be freed" if dry_run else "freed"
    return [*lines, f"{freed / _MB:.1f} MB {freeing}; {len(found.stays)} kept ({left / _MB:.1f} MB)"]
