"""Fifty threads in two processes compete to claim one person's prompts, and then to end the claimed generations."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.site import ROOT, environment, read_rows

PROCESSES, THREADS = 2, 25
SLOTS = 3
WAIT = 60  # seconds
CONVERSATIONS = 5  # of two prompts each: as many as one person may queue


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, database_template: Path, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_database")
    return f"sqlite:///{shutil.copy(database_template, tmp_path / 'db.sqlite3')}"


def race(rivals: list[subprocess.Popen[str]]) -> list[list[Any]]:
    """Start all processes at once; return what each of them has claimed or ended."""
    for process in rivals:
        assert process.stdout.readline() == "ready\n"
    for process in rivals:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [won for process in rivals for won in json.loads(process.stdout.readline())]


def test_each_prompt_is_claimed_once_within_the_slots_and_ended_once(database_url: str):
    variables = environment(DATABASE_URL=database_url, USER_CONCURRENCY=SLOTS)
    rivals = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.claimers", str(THREADS), str(conversations)],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for conversations in (CONVERSATIONS, *[0] * (PROCESSES - 1))
    ]
    too_late = [threading.Timer(WAIT, process.kill) for process in rivals]
    for timer in too_late:
        timer.start()
    claims = race(rivals)
    running = read_rows(
        database_url,
        "select g.id, g.attempt from conversations_generation g where status = 'thinking' and not exists"
        " (select 1 from conversations_generation e where e.conversation_id = g.conversation_id and e.id < g.id)",
    )
    assert sorted(map(tuple, claims)) == sorted(running)  # each is the first prompt of its conversation
    assert [attempt for _, attempt in claims] == [1] * SLOTS

    ends = race(rivals)
    assert [process.wait() for process in rivals] == [0] * PROCESSES
    for timer, process in zip(too_late, rivals, strict=True):
        timer.cancel()
        process.stdin.close()
        process.stdout.close()
    ended = read_rows(
        database_url,
        "select g.id, g.status, g.attempt, m.content from conversations_generation g"
        " join conversations_message m on m.id = g.message_id where g.attempt > 0 order by g.id",
    )
    assert sorted(pk for pk, _ in ends) == [pk for pk, _ in sorted(running)]  # nothing was ended twice
    for (_, how), (_, status, attempt, content) in zip(sorted(ends), ended, strict=True):
        # An end by its worker keeps the text. A worker that took the first for dead found no text and requeued it.
        assert attempt == 1
        assert (status, bool(content)) == (("complete", True) if how == "complete" else ("queued", False))
