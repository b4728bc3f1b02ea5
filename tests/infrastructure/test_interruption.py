"""Work that signals end: cancelled once, with its clean-up whole, whatever comes in between."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.to_thread
import pytest

from perstack.core.errors import SandboxUnavailable
from perstack.infrastructure import interruption
from perstack.infrastructure.interruption import Interrupted, numbers_of_ctrl_c, run_interruptibly
from perstack.infrastructure.process import open_process, run

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    now = {number: signal.signal(number, handler) for number, handler in before.items()}
    assert set(now.values()) == {signal.default_int_handler}, "whoever listened before listens again"


def tell(number: int) -> None:
    os.kill(os.getpid(), number)


def test_a_signal_cancels_and_no_later_one_breaks_into_clean_up() -> None:
    done: list[str] = []

    async def work() -> None:
        try:
            tell(signal.SIGTERM)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                tell(signal.SIGINT)
                await anyio.sleep(0.02)
                tell(signal.SIGTERM)
                await anyio.sleep(0.02)
                done.append("clean")

    with pytest.raises(Interrupted) as told:
        run_interruptibly(work, numbers=SIGNALS, insist=lambda *_: done.append("hurried"))
    assert (told.value.number, done) == (signal.SIGTERM, ["clean"])


def test_a_signal_ends_a_process_of_ours_without_a_word_of_the_event_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        for _ in range(20):
            async with open_process(["true"], env={"PATH": os.defpath}):
                tell(signal.SIGINT)
                await anyio.lowlevel.checkpoint()

    with pytest.raises(Interrupted):
        run_interruptibly(work, numbers=SIGNALS)
    assert caplog.text == ""


def test_who_repeats_a_signal_later_is_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_AGAIN_S", 0.0)

    async def work() -> None:
        tell(signal.SIGINT)
        tell(signal.SIGINT)

    heard: list[int] = []
    assert run_interruptibly(work, numbers=SIGNALS, insist=lambda number, _: heard.append(number)) is None
    assert heard == [signal.SIGINT], "and work that ended nevertheless has its result"


def test_a_signal_before_the_loop_runs_is_not_lost() -> None:
    async def work() -> None:
        await anyio.sleep_forever()

    ear = interruption._Ear(SIGNALS, None)
    with ear:
        tell(signal.SIGINT)
        cancelled: list[str] = []
        ear.cancels(lambda: cancelled.append("at once"))
    assert cancelled == ["at once"]


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_what_breaks_while_all_is_taken_down_is_no_news(*, is_interrupted: bool) -> None:
    async def work() -> None:
        if is_interrupted:
            tell(signal.SIGINT)
        raise SandboxUnavailable("gone")

    with pytest.raises(Interrupted if is_interrupted else SandboxUnavailable):
        run_interruptibly(work, numbers=SIGNALS)


def test_ctrl_c_is_left_to_a_program_that_handles_it() -> None:
    assert numbers_of_ctrl_c() == (signal.SIGINT,)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert numbers_of_ctrl_c() == ()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_process_needs_no_thread_of_ours() -> None:
    async def work() -> list[str]:
        async with open_process(["sleep", "60"], env={"PATH": os.defpath}):
            return [thread.name for thread in threading.enumerate() if "waitpid" in thread.name]

    assert run_interruptibly(work) == []


def test_loops_of_several_threads_learn_of_their_own_children() -> None:
    async def work() -> int:
        return (await run(["sh", "-c", "exit 3"], env={"PATH": os.defpath}, timeout_s=20)).exit_code

    async def both() -> tuple[int, int]:
        return await anyio.to_thread.run_sync(run_interruptibly, work), await work()

    assert run_interruptibly(both) == (3, 3)
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run_interruptibly, [work, work])) == [3, 3]
