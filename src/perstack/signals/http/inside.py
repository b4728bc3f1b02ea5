"""Running one of our own programs inside a sandbox, with the results channel. Shared by `http` and `screenshot`."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import join, normpath
from typing import Any, Final

from perstack.core.json import Json
from perstack.core.sandbox import ExecResult, Mount
from perstack.core.signals import SignalRun, SignalSpec, SignalStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.channel import Channel, listening
from perstack.signals.command import OUTPUT_LIMIT, kept_output
from perstack.signals.suites.contract import Place

_CONTROL = "/perstack/control"
_CHANNEL = Path(__file__).parents[1] / "pytest" / "worker" / "perstack_channel.py"
_SERVICE = Path(__file__).parent / "worker" / "perstack_service.py"
# By absolute path where there is one: nothing on PATH may stand in for the interpreter. -I -S: nothing of the tree,
# of HOME or of site-packages is loaded.
_START: Final = """\
for python in /usr/bin/python3 /usr/local/bin/python3 "$(command -v python3)"; do
  [ -x "$python" ] && exec "$python" -I -S -B "$@"
done
echo "python3 is not in the sandbox" >&2
exit 127
"""
_NO_PYTHON: Final = 127


@dataclass(frozen=True, slots=True)
class Done:
    """A program's end: its result, what it reported, and why that cannot be used (None: it can)."""

    result: ExecResult
    channel: Channel
    problem: SignalRun | None


async def run_inside(
    place: Place,
    spec: SignalSpec,
    programs: Sequence[Path],
    request: Mapping[str, Any],
    *,
    environment: Mapping[str, str],
) -> Done:
    """Run the first of `programs` in a fresh sandbox over the place's workspace. It gets `request` on its input.

    Raises: SandboxUnavailable.
    """
    control, nonce = place.scratch / f"control-{secrets.token_hex(4)}", secrets.token_hex(32)
    control.mkdir(parents=True)
    for script in (*programs, _CHANNEL, _SERVICE):
        shutil.copyfile(script, control / script.name)
    mount = Mount(control, _CONTROL)
    snapshot = place.snapshot
    opened = place.sandbox.open(snapshot, place.workspace, mounts=(mount,), limits=snapshot.limits)
    async with listening(control, nonce) as channel, opened as session:
        inside = session.inside(mount)
        whole = {
            **request,
            "nonce": nonce,
            "socket": join(inside, "s"),
            "workspace": session.workspace,
            "cwd": normpath(join(session.workspace, spec.cwd)),
        }
        result = await session.run(
            ["/bin/sh", "-c", _START, "sh", join(inside, programs[0].name)],
            cwd=".",
            env=environment,
            stdin=json.dumps(whole).encode(),
            timeout_s=spec.timeout_s,
            output_limit=OUTPUT_LIMIT,
        )
        await channel.settle()
    return Done(result, channel, _problem(spec, result, channel))


def service_request(spec: SignalSpec) -> dict[str, Json]:
    """What our programs have to know about the service; `startTimeout` in seconds."""
    port, ready, limit = (spec.options.get(name) for name in ("port", "ready", "startTimeout"))
    return {
        "run": list(spec.run),
        "port": port if isinstance(port, int) else 0,
        "ready": ready if isinstance(ready, str) else "/",
        "startTimeout": limit / 1000 if isinstance(limit, int) else 30.0,
    }


def variables(place: Place) -> dict[str, str]:
    """The run's variation; what the user configured wins."""
    configured = dict(place.snapshot.env)
    return {name: value for name, value in place.variation.variables.items() if name not in configured}


def error_run(result: ExecResult, code: ReasonCode, text: str) -> SignalRun:
    """A run that proves nothing."""
    return SignalRun(
        SignalStatus.ERROR,
        result.seconds,
        exit_code=result.exit_code,
        output=kept_output(result),
        problem=text,
        problem_code=code.value,
    )


def _problem(spec: SignalSpec, result: ExecResult, channel: Channel) -> SignalRun | None:
    if result.timed_out:
        return error_run(result, ReasonCode.TIMED_OUT, f"`{spec.name}` was stopped after {spec.timeout_s:g} s")
    if channel.problem:
        return error_run(result, ReasonCode.RESULTS_DISAGREE, channel.problem)
    if not channel.connected:
        last = kept_output(result).strip().splitlines()[-1:] or ["no output"]
        hint = "; put python3 into the sandbox's image" if result.exit_code == _NO_PYTHON else ""
        return error_run(result, ReasonCode.SIGNAL_ERROR, f"the verifier's client could not start: {last[0]}{hint}")
    if channel.finish is None:
        text = f"the verifier's client was ended (exit code {result.exit_code}) before it had finished"
        return error_run(result, ReasonCode.REPORT_MISSING, text)
    if result.truncated:
        return error_run(result, ReasonCode.OUTPUT_LIMIT, f"`{spec.name}` wrote more than {OUTPUT_LIMIT} bytes")
    return None
