"""A background loop dies in a process that streams."""

import signal

from tests.endpoint import Endpoint, Exchange
from tests.site import WAIT, Site


def test_a_process_with_a_dead_loop_claims_nothing_ends_its_answers_and_exits_with_an_error(
    make_site, join, endpoint: Endpoint
):
    async def answer_at_the_gate(exchange: Exchange) -> None:
        await exchange.reason("Hm. ")
        await exchange.gate("dead")
        await exchange.answer("Yes.")
        await exchange.finish()

    endpoint.respond = answer_at_the_gate
    site: Site = make_site(DRAIN_SECONDS=20)
    person = join(site)
    running = person.ask("Why?")
    endpoint.await_reached("dead")
    site.process.send_signal(signal.SIGUSR2)
    site.await_line("draining")
    ready = person.http.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["the background loop 'sweep and claim' has ended", "shutting down"]
    late = person.ask("And then?")
    endpoint.open("dead")
    site.process.wait(WAIT)
    assert site.stop() == 1
    assert person.answers(running) == [("complete", "", "Hm. ", "Yes.")]
    assert person.answers(late) == [("queued", "", "", "")]
    log = "".join(site.lines)
    assert "CRITICAL chatsite.supervision: the background loop 'sweep and claim' has ended" in log
    assert "RuntimeError: a fault of this site" in log
