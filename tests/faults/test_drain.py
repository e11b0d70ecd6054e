"""SIGTERM: the process rejects new connections, ends in time whatever is open, and loses no text."""

import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.endpoint import Endpoint
from tests.faults.baseline import Baseline, tasks
from tests.faults.endless_model import EndlessModel
from tests.faults.silent_client import SilentClient
from tests.faults.stored import assert_stored, texts
from tests.screen import Tab

DRAIN_SECONDS = 3
GOING_AWAY = 4503


def test_a_drain_ends_in_time_with_open_sockets_and_an_endless_answer(
    make_site, join, endpoint: Endpoint, model: EndlessModel
):
    site = make_site(DRAIN_SECONDS=DRAIN_SECONDS)
    baseline = Baseline(endpoint, site)
    person = join(site)
    conversation, deleted = person.ask("endless"), person.ask("deleted")
    with Tab(person, conversation) as tab, SilentClient(person, deleted):
        tab.read_until(lambda tab: "endless:25 " in tab.answer)
        person.post(f"{deleted}delete/")
        sockets = 2
        while sockets > 1:  # its consumer has returned, and the client keeps the connection open
            sockets = tasks(site)["ProtocolTypeRouter.__call__"]
        terminated = time.monotonic()
        site.process.terminate()
        site.await_line("draining")
        ready = person.http.get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["shutting down"])
        with pytest.raises(InvalidStatus):
            person.socket(conversation).__enter__()
        with pytest.raises(ConnectionClosed) as closed:
            tab.read_until(lambda tab: False)
        assert closed.value.rcvd.code == GOING_AWAY  # the page reconnects, to another process
        assert site.stop() == 0
        took = time.monotonic() - terminated
    print(f"drained in {took:.1f} s of {DRAIN_SECONDS} s")
    assert took <= DRAIN_SECONDS + 5
    found = texts(site)
    outcomes = {prompt: text.status for prompt, text in found.items()}
    assert outcomes == {"endless": "interrupted", "deleted": "stopped"}  # which could still have been restored
    assert_stored({"endless": found["endless"]}, model, terminated + DRAIN_SECONDS)
    assert site.rows("select count(*) from conversations_worker") == [(0,)]
    site.start()
    baseline.check((person, conversation), expected_logs=["/readyz"])
