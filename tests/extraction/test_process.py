"""Reading in other processes, which no file can turn against the server."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from conversations.extraction import Extracted, Kind, Limits, extract, process
from conversations.extraction.result import DAMAGED
from tests.extraction import files
from tests.extraction.files import saved
from tests.site import ROOT


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> SimpleQueue[int]:
    """The ids of the reading processes, each from when it has started."""
    ids: SimpleQueue[int] = SimpleQueue()

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            ids.put(self.pid)

    monkeypatch.setattr(process.subprocess, "Popen", Popen)
    return ids


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[Path]:
    """A file that never comes to an end, so that reading it hangs."""
    path = tmp_path / "endless"
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    yield path
    os.close(descriptor)


def has_ended(reader: int) -> bool:
    try:
        os.kill(reader, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (b"x = 1", "a.py", Extracted(kind=Kind.CODE, media_type="text/plain", text="x = 1")),
        (files.pdf("Text"), "", Extracted(kind=Kind.PDF, media_type="application/pdf", text="## Page 1\n\nText")),
    ],
)
def test_a_file_is_read_in_another_process_which_ends(
    tmp_path: Path, started: SimpleQueue[int], data: bytes, name: str, expected: Extracted
):
    assert extract(saved(tmp_path, data), name) == expected
    assert has_ended(started.get_nowait())


def test_files_that_are_read_at_once_are_not_mixed_up(tmp_path: Path):
    paths = [tmp_path / str(number) for number in range(4)]
    for path in paths:
        path.write_text(path.name)
    with ThreadPoolExecutor(len(paths)) as threads:
        found = list(threads.map(lambda path: extract(path, ""), paths))
    assert [result.text for result in found] == [path.name for path in paths]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        extract(tmp_path / "missing", "a.txt")


def test_a_file_that_finds_no_free_process_may_be_tried_again(
    tmp_path: Path, endless: Path, started: SimpleQueue[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process, "WAIT_SECONDS", 0)
    path = saved(tmp_path, b"text")
    with ThreadPoolExecutor(process.PROCESSES) as threads:
        hanging = [threads.submit(extract, endless, "") for _ in range(process.PROCESSES)]
        readers = [started.get() for _ in hanging]
        busy = extract(path, "")
        for reader in readers:
            os.kill(reader, signal.SIGKILL)
    assert (busy.problem, busy.temporary) == (process.BUSY, True)
    assert extract(path, "").text == "text"


@pytest.mark.parametrize(
    ("number", "problem", "temporary"),
    [
        (signal.SIGKILL, process.INTERRUPTED, True),
        (signal.SIGSEGV, DAMAGED, False),
        (signal.SIGALRM, process.TOO_LONG, False),
    ],
)
def test_a_process_that_is_killed_or_crashes_is_a_problem_of_its_file(
    endless: Path,
    started: SimpleQueue[int],
    caplog: pytest.LogCaptureFixture,
    number: signal.Signals,
    problem: str,
    temporary: bool,
):
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(extract, endless, "")
        os.kill(started.get(), number)
        found = hanging.result()
    assert (found.problem, found.temporary, found.text) == (problem, temporary, "")
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_process_that_hangs_is_ended(endless: Path, started: SimpleQueue[int]):
    found = extract(endless, "", Limits(wall_seconds=1))
    assert (found.problem, found.temporary) == (process.TOO_LONG, False)
    assert has_ended(started.get_nowait())


def test_the_problem_of_a_damaged_file_is_logged_without_what_it_says(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    found = extract(saved(tmp_path, files.png(9, 9)), "")
    assert (found.kind, found.media_type, found.problem) == (Kind.IMAGE, "image/png", DAMAGED)
    assert "OSError" in caplog.text
    assert "cannot load" not in caplog.text


def test_a_reading_process_has_neither_django_nor_the_environment(
    endless: Path, started: SimpleQueue[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SECRET_KEY", "secret-of-the-server")
    with ThreadPoolExecutor(1) as threads:
        threads.submit(extract, endless, "")
        reader = started.get()
        environment = Path(f"/proc/{reader}/environ").read_bytes()
        os.kill(reader, signal.SIGKILL)
    assert b"secret-of-the-server" not in environment
    program = (
        "import sys, conversations.extraction.worker as _\n"
        "from conversations.extraction import excel, html, image, pdf, powerpoint, text, word\n"
        "print('django' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True, cwd=ROOT)
    assert output.stdout == "False\n"


def test_a_reading_process_is_limited_and_can_neither_connect_nor_start_programs():
    program = """
import os, resource, signal, socket, subprocess, sys
from conversations.extraction.result import Limits
from conversations.extraction.worker import restrict

actions = (
    socket.socket,
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: subprocess.run(["true"]),
    lambda: os.system("true"),
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: os.fork() or os._exit(0),
    lambda: os.execv("/bin/false", ["false"]),
)
for action in actions[:-1]:
    action()
restrict(Limits(cpu_seconds=7, memory_bytes=99 * 2**20, wall_seconds=30))
refused = 0
for action in actions:
    try:
        action()
    except PermissionError:
        refused += 1
print(refused, len(actions))
for name in ("CPU", "DATA", "NPROC", "CORE"):
    print(*resource.getrlimit(getattr(resource, f"RLIMIT_{name}")))
print(30 <= signal.getitimer(signal.ITIMER_REAL)[0] <= 35)
"""
    lines = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, check=True, text=True, cwd=ROOT
    ).stdout.splitlines()
    assert lines == ["7 7", "7 8", f"{99 * 2**20} {99 * 2**20}", "0 0", "0 0", "True"]
