"""What /readyz reports, and how often and for how long it asks the database."""

import json
import threading
from collections.abc import Callable

import pytest
from django.db import InterfaceError, OperationalError
from django.http import JsonResponse
from django.test import RequestFactory

from chatsite import probes
from chatsite.probes import DatabaseCheck
from chatsite.supervision import Supervisor

PROBES = 20


def probe(
    monkeypatch: pytest.MonkeyPatch,
    *,
    dead: tuple[str, ...] = (),
    database: tuple[str, ...] = (),
    problems: tuple[str, ...] = (),
    degradations: tuple[str, ...] = (),
) -> tuple[int, str, list[str]]:
    supervisor = Supervisor()
    supervisor.dead.extend(dead)
    monkeypatch.setattr(probes, "supervisor", supervisor)
    monkeypatch.setattr(probes, "database", DatabaseCheck(lambda: list(database)))
    response: JsonResponse = probes.readyz(
        RequestFactory().get("/readyz"), problems=lambda: list(problems), degradations=lambda: list(degradations)
    )
    body = json.loads(response.content)
    return response.status_code, body["status"], body["reasons"]


@pytest.mark.parametrize(
    ("state", "response"),
    [
        ({}, (200, "ok", [])),
        ({"degradations": ("no model is connected",)}, (200, "degraded", ["no model is connected"])),
        ({"dead": ("commit",)}, (503, "unavailable", ["the background loop 'commit' has ended"])),
        ({"database": ("the database is read-only",)}, (503, "unavailable", ["the database is read-only"])),
        ({"problems": ("shutting down",), "degradations": ("no model",)}, (503, "unavailable", ["shutting down"])),
    ],
)
def test_only_what_keeps_pages_from_working_makes_a_site_unavailable(monkeypatch, state: dict, response: tuple):
    assert probe(monkeypatch, **state) == response


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_any_error_of_the_database_makes_a_site_unavailable(monkeypatch: pytest.MonkeyPatch, error: type[Exception]):
    def fail() -> list[str]:
        raise error

    monkeypatch.setattr(probes, "_find_database_problems", fail)
    check = DatabaseCheck(probes.database_problems)
    assert check.problems() == ["the database is not responding"]


class Database:
    """A check of a database, to be held up."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.checks = 0
        self.responds = threading.Event()
        self.responds.set()

    def check(self) -> list[str]:
        self.checks += 1
        self.responds.wait()
        return self.problems


def concurrently(function: Callable[[], list[str]]) -> list[list[str]]:
    """Call the function in as many threads as there are probes; return the results."""
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(function())) for _ in range(PROBES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_many_probes_check_an_available_database_once(monkeypatch):
    monkeypatch.setattr(probes, "CHECK_SECONDS", 600)
    database = Database()
    check = DatabaseCheck(database.check)
    assert concurrently(check.problems) == [[]] * PROBES
    assert database.checks == 1


def test_a_database_that_was_unavailable_is_checked_by_the_next_probe():
    database = Database()
    check = DatabaseCheck(database.check)
    database.problems = ["the database's disk is full"]
    assert check.problems() == ["the database's disk is full"]
    database.problems = []
    assert check.problems() == []


def test_probes_wait_only_shortly_for_a_database_that_hangs_and_for_one_check(monkeypatch):
    monkeypatch.setattr(probes, "WAIT_SECONDS", 0.05)
    database = Database()
    check = DatabaseCheck(database.check)
    database.responds.clear()
    assert concurrently(check.problems) == [["the database is not responding"]] * PROBES
    assert database.checks == 1
    database.responds.set()
    monkeypatch.setattr(probes, "WAIT_SECONDS", 30)
    assert check.problems() == []
