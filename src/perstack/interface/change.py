"""The change that a command is about: its options, and its report at the end. Shared by `verify` and `shard`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import UserError
from perstack.core.json import compact
from perstack.core.verdict import Report
from perstack.interface.options import config_option, read_config, repo_option
from perstack.interface.readers import reader_may_leave
from perstack.interface.render.terminal import report_table, verdict_line

P = ParamSpec("P")
T = TypeVar("T")


def change_options(function: Callable[P, T]) -> Callable[P, T]:
    """`--repo`, `--base`, `--patch`, `--head`, `--target` and `--config`."""
    for option in (
        config_option,
        click.option("--target", "targets", multiple=True, help="A test that must turn from red to green; repeatable."),
        click.option("--head", help="Judge this commit.  [default: the working tree]"),
        click.option("--patch", type=click.Path(dir_okay=False, path_type=Path), help="Judge this diff."),
        click.option("--base", help="The commit to compare with.  [default: where HEAD left the main branch]"),
        repo_option,
    ):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Change:
    """What the options of `change_options` say."""

    repo: Path
    base: str
    head: str
    patch: Path | None
    targets: tuple[str, ...]
    config: Path | str | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Change:
        """Raises: UserError where they exclude each other."""
        if given["patch"] is not None and given["head"] is not None:
            raise UserError(
                "--patch and --head exclude each other", hint="give one of them, or none for the working tree"
            )
        words = {name: given[name] or "" for name in ("base", "head")}
        return cls(given["repo"], words["base"], words["head"], given["patch"], given["targets"], given["config"])

    def asked(
        self, *, out: Path | None = None, everything: bool = False, shards: tuple[Path, ...] = ()
    ) -> api.VerifyCheckout:
        """The change as the API is asked about it. Raises: UserError for files that cannot be read."""
        return api.VerifyCheckout(
            self.repo,
            base=self.base,
            head=self.head,
            patch=None if self.patch is None else _read(self.patch),
            targets=self.targets,
            config=None if self.config is None else read_config(self.config),
            out=out,
            everything=everything,
            shards=shards,
        )


def told(report: Report, output: str) -> int:
    """Print a report as `text` or `json`; the exit code it means."""
    with reader_may_leave():
        if output == "json":
            click.echo(compact(report.to_json()))
        else:
            console = Console()
            console.print(report_table(report))
            console.print(verdict_line(report.verdict, f"evidence: {report.evidence}" if report.evidence else ""))
    return report.verdict.exit_code


def _read(patch: Path) -> str:
    try:
        # text in another encoding makes a patch as well: its bytes are kept as they are
        return patch.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        hint = "Give --patch a file that `git diff` wrote."
        raise UserError(f"cannot read the patch {patch}: {error.strerror}", hint=hint) from error
