"""Rendering in other processes, which no text can turn against the server."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from select import select

import pytest

from conversations.rendering import markdown
from conversations.rendering.pool import Pool, is_light

CODE = "```python\nx = 1\n```\n"
# One regular expression of this lexer would need minutes for it: only ending the process stops it.
ENDLESS = "```ocaml\n" + "0" * 49_000 + "\n```\n"


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(processes=1, seconds=20)
    yield pool
    pool.close()


@pytest.fixture
def short_timeout_pool() -> Iterator[Pool]:
    pool = Pool(processes=1, seconds=1)
    yield pool
    pool.close()


def rendering_processes() -> list[int]:
    """Return the ids of the rendering processes that this process has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command, status = (process / "cmdline").read_bytes(), (process / "status").read_text()
        except OSError:  # it has just ended
            continue
        if b"rendering.worker" in command and f"\nPPid:\t{os.getpid()}\n" in status:
            found.append(int(process.name))
    return found


def test_short_prose_is_rendered_without_another_process(pool: Pool):
    assert pool.render("Just *prose*.", "m1") == markdown.render("Just *prose*.", prefix="m1")
    assert rendering_processes() == []


@pytest.mark.parametrize("text", [CODE, "~~~\nx\n~~~", "    x", "\tx", "$x$", r"\(x\)", r"\[x\]", "word " * 2_000])
def test_code_formulas_and_long_text_need_another_process(text: str):
    assert not is_light(text)


def test_the_pool_returns_the_same_html_as_the_renderer(pool: Pool):
    assert pool.render(CODE, "m1") == markdown.render(CODE, prefix="m1")
    assert len(rendering_processes()) == 1


def test_texts_that_are_rendered_at_once_are_not_mixed_up(pool: Pool):
    texts = [f"```python\nx = {number}\n```" for number in range(20)]
    with ThreadPoolExecutor(len(texts)) as threads:
        rendered = list(threads.map(lambda text: pool.render(text, "m1"), texts))
    assert rendered == [markdown.render(text, prefix="m1") for text in texts]


def test_a_killed_process_is_replaced(pool: Pool):
    pool.render(CODE, "m1")
    (process,) = rendering_processes()
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    assert pool.render(CODE, "m1") == markdown.render(CODE, prefix="m1")
    assert rendering_processes() != [process]


def test_a_text_that_takes_too_long_is_shown_unformatted_and_not_tried_again(
    short_timeout_pool: Pool, caplog: pytest.LogCaptureFixture
):
    for _ in range(2):
        assert short_timeout_pool.render(ENDLESS, "m1") == markdown.preformatted(ENDLESS)
        assert rendering_processes() == []
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "TimeoutError" in caplog.text


def test_a_text_is_shown_unformatted_if_no_process_is_free_in_time(caplog: pytest.LogCaptureFixture):
    pool = Pool(processes=0, seconds=0.01)
    assert pool.render(CODE, "m1") == markdown.preformatted(CODE)
    assert "No rendering process was free" in caplog.text


def test_closing_ends_the_processes_and_a_later_text_starts_a_new_one(pool: Pool):
    pool.render(CODE, "m1")
    pool.close()
    assert rendering_processes() == []
    assert pool.render(CODE, "m1") == markdown.render(CODE, prefix="m1")


def test_a_rendering_process_has_neither_django_nor_the_environment(pool: Pool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET_KEY", "secret-of-the-server")
    pool.render(CODE, "m1")
    (process,) = rendering_processes()
    assert b"secret-of-the-server" not in Path(f"/proc/{process}/environ").read_bytes()
    program = "import sys, conversations.rendering.worker; print('django' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout
    assert output == "False\n"


def test_a_rendering_process_ends_with_the_server():
    program = (
        "import os, signal\n"
        "from conversations.rendering.pool import Pool\n"
        "from tests.rendering.test_pool import CODE, rendering_processes\n"
        "pool = Pool(processes=1, seconds=20)\n"  # kept: without it the process ends
        "pool.render(CODE, 'm1')\n"
        "print(*rendering_processes(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    server = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    worker = int(server.stdout)
    try:
        descriptor = os.pidfd_open(worker)
    except ProcessLookupError:
        return
    try:
        assert select([descriptor], [], [], 10)[0]  # readable once the process has ended
    finally:
        os.close(descriptor)
