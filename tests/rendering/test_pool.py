"""Heavy rendering happens in other processes, and no text can take the server along."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from conversations.rendering import markdown
from conversations.rendering.pool import Pool, is_light

CODE = "```python\nx = 1\n```\n"
# One regular expression of this lexer needs minutes for it, so nothing but the end of the process stops it.
ENDLESS = "```ocaml\n" + "0" * 49_000 + "\n```\n"


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(processes=1, seconds=20)
    yield pool
    pool.close()


def rendering_processes() -> list[int]:
    """Return the ids of the rendering processes that this one has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (process / "cmdline").read_bytes(), (process / "status").read_text()
        except OSError:  # ended meanwhile
            continue
        if b"rendering.worker" in command and f"\nPPid:\t{os.getpid()}\n" in status:
            found.append(int(process.name))
    return found


def test_short_prose_is_rendered_right_here(pool: Pool):
    assert pool.render_sync("Just *prose*.", "m1") == markdown.render("Just *prose*.", prefix="m1")
    assert rendering_processes() == []


@pytest.mark.parametrize("text", [CODE, "~~~\nx\n~~~", "    x", "\tx", "$x$", r"\(x\)", r"\[x\]", "word " * 2_000])
def test_code_formulas_and_long_texts_are_not_rendered_here(text: str):
    assert not is_light(text)


def test_the_pool_renders_as_the_renderer_does(pool: Pool):
    assert pool.render_sync(CODE, "m1") == markdown.render(CODE, prefix="m1")
    assert len(rendering_processes()) == 1


async def test_many_texts_at_once_each_get_their_own_rendering(pool: Pool):
    texts = [f"```python\nx = {number}\n```" for number in range(20)]
    rendered = await asyncio.gather(*(pool.render(text, "m1") for text in texts))
    assert rendered == [markdown.render(text, prefix="m1") for text in texts]


def test_the_pool_works_on_uvloop(pool: Pool):
    assert uvloop.run(pool.render(CODE, "m1")) == markdown.render(CODE, prefix="m1")


def test_a_killed_process_is_replaced(pool: Pool):
    pool.render_sync(CODE, "m1")
    (process,) = rendering_processes()
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert pool.render_sync(CODE, "m1") == markdown.render(CODE, prefix="m1")
    assert rendering_processes() != [process]


async def test_a_text_that_takes_too_long_is_shown_plain_and_its_process_ended():
    pool = Pool(processes=1, seconds=1)
    try:
        await pool.render(CODE, "m1")  # the process has started
        assert (await pool.render(ENDLESS, "m1")).startswith("<pre")
        assert rendering_processes() == []
    finally:
        pool.close()


async def test_a_text_that_took_too_long_is_not_tried_again(caplog: pytest.LogCaptureFixture):
    pool = Pool(processes=1, seconds=1)
    try:
        for _ in range(2):
            assert (await pool.render(ENDLESS, "m1")).startswith("<pre")
    finally:
        pool.close()
    assert ["TimeoutError" in record.message for record in caplog.records] == [True]


async def test_waiting_for_a_rendering_does_not_hold_the_event_loop(pool: Pool):
    rendering = asyncio.create_task(pool.render(CODE * 500, "m1"))
    turns = 0
    while not rendering.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


def test_closing_ends_the_processes_and_a_later_text_starts_new_ones(pool: Pool):
    pool.render_sync(CODE, "m1")
    pool.close()
    assert rendering_processes() == []
    assert pool.render_sync(CODE, "m1") == markdown.render(CODE, prefix="m1")


def test_a_rendering_process_knows_neither_django_nor_the_environment(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    pool.render_sync(CODE, "m1")
    (process,) = rendering_processes()
    assert b"do-not-tell" not in Path(f"/proc/{process}/environ").read_bytes()
    program = "import sys, conversations.rendering.worker; print('django' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert told.stdout == "False\n"


def test_a_rendering_process_ends_with_the_server():
    program = (
        "from conversations.rendering.pool import Pool\n"
        "pool = Pool(processes=1, seconds=20)\n"
        f"pool.render_sync({CODE!r}, 'm1')\n"
        "print(*(process._process.pid for process in pool._running), flush=True)\n"
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    worker = int(told.stdout)
    descriptor = None
    try:
        descriptor = os.pidfd_open(worker)
    except ProcessLookupError:
        return
    readable = asyncio.run(_readable(descriptor))
    assert readable


async def _readable(descriptor: int) -> bool:
    """Wait until the process behind `descriptor` has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    async with asyncio.timeout(10):
        await ended.wait()
    loop.remove_reader(descriptor)
    os.close(descriptor)
    return True
