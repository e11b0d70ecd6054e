"""Background loops that end although they must not."""

import asyncio

import pytest

from chatsite.supervision import Supervisor


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor()


async def fail() -> None:
    raise RuntimeError("canary")


async def end() -> None:
    pass


async def be_cancelled_from_within() -> None:
    raise asyncio.CancelledError


async def run_without_end() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("loop", [fail, end, be_cancelled_from_within])
async def test_a_loop_that_ends_is_dead_and_reported_once(loop, supervisor: Supervisor, caplog):
    deaths: list[list[str]] = []
    supervisor.on_death = lambda: deaths.append(list(supervisor.dead))
    await asyncio.wait([supervisor.start("sweep", loop())])
    assert deaths == [["sweep"]]
    [line] = caplog.records
    assert line.levelname == "CRITICAL"
    assert "'sweep' has ended" in line.getMessage()
    assert ("RuntimeError: canary" in caplog.text) == (loop is fail)


async def test_a_loop_that_its_owner_cancels_is_not_dead(supervisor: Supervisor, caplog):
    task = supervisor.start("sweep", run_without_end())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert supervisor.dead == []
    assert caplog.records == []
