"""`perstack verify`: the verification protocol on a local checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from perstack import api
from perstack.core.verdict import Report
from perstack.interface.change import Change, change_options, told
from perstack.interface.options import format_option, host, out_option, sandbox_option, warn
from perstack.interface.render.terminal import LiveView
from perstack.interface.working import carry_through


@click.command(
    name="verify",
    epilog="""\b
Examples:
  perstack verify                                  the working tree, against where it left the main branch
  perstack verify --base v1.2 --head my-branch     one commit against another
  perstack verify --patch fix.diff --format json | jq .reasons
  perstack verify --target tests/test_x.py::test_y --out evidence

Exit codes: 0 pass; 1 fail; 2 usage or configuration; 3 inconclusive or needs-test-change; 4 infrastructure;
130 interrupted (the same line starts again).""",
)
@change_options
@click.option("--all", "everything", is_flag=True, help="Run every signal, also once one has decided the verdict.")
@sandbox_option
@out_option
@format_option
def command(everything: bool, sandbox: str, out: Path | None, output: str, **given: Any) -> int:
    """Judge a change: diff policy, a fresh tree, isolated runs, identity by identity, repeated.

    Signals, protected paths and every other setting come from the base commit.
    """
    asked = Change.of(given).asked(out=out, everything=everything)

    async def work() -> Report:
        with host(sandbox=sandbox, storage=out) as machine, LiveView(Console(stderr=True)) as view:
            return await api.verify_checkout(machine, asked, view, warn)

    return told(carry_through(work), output)
