"""Whether limits hold that cannot be read from inside: a sandbox with small ones is driven against them, cheaply.

Says nothing of why a limit holds. Programs of the image take part, so an image without them gives no answer, which
counts as missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace

from perstack.core.capabilities import Fact, Guarantee, Known
from perstack.core.contracts import Sandbox, Session
from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits, Snapshot
from perstack.infrastructure.owned import owned_folder

_Try = Callable[[Session], Awaitable[tuple[bool, str]]]
# Each below the limit, all together above it.
_MEMORY_MB, _HOLDERS, _EACH_MB = 96, 5, 40
_PROCESSES, _STARTS = 48, 96
_CPUS, _BURNERS = 0.1, 2
_PATIENCE_S = 8.0

# Shells hold what they read. Who is left at the end tells that they were there all at once.
_HOLD = f"""
hold() {{ kept=$(head -c {_EACH_MB * 1_000_000} /dev/zero | tr '\\0' x) && [ ${{#kept}} -gt 1000000 ] || exit 1
  echo held; sleep 0.5; echo stayed; }}
i=0; while [ $i -lt {_HOLDERS} ]; do hold & i=$((i+1)); done; wait; echo over
"""
_START = f"""
i=0; while [ $i -lt {_STARTS} ]; do sleep 1 & i=$((i+1)); echo "n $i"; done
"""
_BURN = f"""
i=0; while [ $i -lt {_BURNERS} ]; do ( while :; do :; done ) & all="$all $!"; i=$((i+1)); done
sleep 0.5; kill -9 $all; wait 2>/dev/null; times
"""


async def exhausted(sandbox: Sandbox, made: Snapshot, wanted: Collection[Guarantee]) -> dict[Guarantee, Fact]:
    """What holds of memory, processes and processors when it comes to it. Bounded: seconds, some hundred MB."""
    found: dict[Guarantee, Fact] = {}
    limits = made.limits
    for guarantee, small, tried in (
        (Guarantee.MEMORY, replace(limits, memory_mb=_MEMORY_MB), _memory),
        (Guarantee.PROCESSES, replace(limits, processes=_PROCESSES), _processes),
        (Guarantee.CPU, replace(limits, cpus=_CPUS), _cpu),
    ):
        if guarantee in wanted:
            found[guarantee] = await _tried(sandbox, made, small, tried)
    if Guarantee.CPU in found and found[Guarantee.CPU].holds:
        free = await _tried(sandbox, made, limits, _free)
        found[Guarantee.CPU] = found[Guarantee.CPU] if free.holds else free
    return found


async def _tried(sandbox: Sandbox, made: Snapshot, small: Limits, tried: _Try) -> Fact:
    with owned_folder("look") as folder:
        try:
            async with sandbox.open(made, folder, limits=small) as session:
                held, detail = await tried(session)
        except SandboxUnavailable as error:
            if "out of memory" not in error.message:
                return Fact(False, Known.MEASURED, f"could not be tried: {error.message}")
            held, detail = True, "the sandbox ended when its memory was used up"
    return Fact(held, Known.MEASURED, detail)


async def _memory(session: Session) -> tuple[bool, str]:
    done = await session.run(["/bin/sh", "-c", _HOLD], timeout_s=_PATIENCE_S)
    told = done.text().split()
    stayed = told.count("stayed")
    if not told:
        why = f"nothing was said within {_PATIENCE_S:.0f} s" if done.timed_out else "the image lacks head or tr"
        return False, f"could not be tried: {why}"
    held = stayed < _HOLDERS
    whole = f"{_HOLDERS} processes with {_EACH_MB} MB each under a limit of {_MEMORY_MB} MB"
    return held, f"tried: {whole}: {stayed} lived" if held else f"not bounded together: {whole} all lived"


async def _processes(session: Session) -> tuple[bool, str]:
    told = (await session.run(["/bin/sh", "-c", _START], timeout_s=_PATIENCE_S)).text()
    started = told.count("n ")
    held = 0 < started <= _PROCESSES
    return held, f"tried: under a limit of {_PROCESSES} processes, {started} of {_STARTS} could be started"


async def _cpu(session: Session) -> tuple[bool, str]:
    seconds = await _burned(session)
    held = 0 <= seconds <= 0.5 * _CPUS * 3
    return held, f"tried: under a limit of {_CPUS} processors, {seconds:.2f} s of processor time in half a second"


async def _free(session: Session) -> tuple[bool, str]:
    """Whether there is more to be had without the limit: a busy machine bounds everybody."""
    seconds = await _burned(session)
    return seconds > 0.5 * _CPUS * 3, f"could not be tried: the machine is busy ({seconds:.2f} s without a limit)"


async def _burned(session: Session) -> float:
    told = (await session.run(["/bin/sh", "-c", _BURN], timeout_s=_PATIENCE_S)).text().split()
    return _seconds(told[-2]) + _seconds(told[-1]) if len(told) >= 2 else -1.0


def _seconds(word: str) -> float:
    minutes, _, rest = word.partition("m")
    try:
        return int(minutes) * 60 + float(rest.removesuffix("s"))
    except ValueError:
        return float("nan")
