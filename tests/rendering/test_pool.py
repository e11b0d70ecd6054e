"""Heavy rendering happens in other processes, and no text can take the server along."""

import os
import signal
from pathlib import Path

from conversations.rendering import markdown
from conversations.rendering.pool import Pool, is_light


def rendering_processes() -> list[int]:
    """Return the ids of the rendering processes that this one has started."""
    return [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if b"rendering.worker" in (process / "cmdline").read_bytes()
        and f"\nPPid:\t{os.getpid()}\n" in (process / "status").read_text()
    ]


CODE = "```python\nx = 1\n```\n"


def test_short_prose_is_rendered_right_here():
    assert is_light("Just *prose*.")
    assert not is_light(CODE)
    assert not is_light("$x^2$")
    assert not is_light("word " * 10_000)


def test_the_pool_renders_as_the_renderer_does():
    pool = Pool(processes=1, seconds=20)
    try:
        assert pool.render_sync(CODE, "m1") == markdown.render(CODE, prefix="m1")
    finally:
        pool.close()


async def test_a_killed_process_is_replaced():
    pool = Pool(processes=1, seconds=20)
    try:
        await pool.render(CODE, "m1")
        processes = rendering_processes()
        assert processes
        for process in processes:
            os.kill(process, signal.SIGKILL)
        await pool.render(CODE, "m1")  # the loss may be noticed only by this one, which then comes back plain
        assert await pool.render(CODE, "m1") == markdown.render(CODE, prefix="m1")
    finally:
        pool.close()
