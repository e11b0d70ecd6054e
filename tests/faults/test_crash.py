"""`kill -9` in mid-stream: what the model had said is there, and the next start settles the rest by itself."""

import time

from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.faults.baseline import PROBE, Baseline
from tests.faults.speech import Speech, ask_each
from tests.faults.stored import assert_stored, texts
from tests.site import Site

STREAMS = 20


def test_a_killed_process_has_stored_what_was_sent_and_settles_it_when_started_again(
    make_site, join, endpoint: Endpoint, speech: Speech
):
    site: Site = make_site(USER_CONCURRENCY=100, PYTHONPATH=PROBE)
    person = join(site)
    baseline = Baseline(endpoint, site)
    prompts = [f"p{number}" for number in range(STREAMS)]
    conversations = ask_each(person, prompts)
    speech.await_words(50, *prompts)  # of which 20 are thoughts: some of either kind are stored by now
    killed_at = time.monotonic()
    site.kill()
    assert {status for status, _, _ in texts(site).values()} == {"answering"}  # it happened: nobody wrote an end
    before = texts(site)
    assert_stored(before, speech, killed_at)
    endpoint.respond = think_and_answer
    site.start(site.url.rsplit(":", 1)[1])
    person.await_end(conversations[-1])
    assert {prompt: ("interrupted", *said) for prompt, (_, *said) in before.items()} == texts(site)
    kept = sum(map(len, before["p0"][1:]))
    page = person.http.get(conversations[0]).text
    assert "The server restarted at" in page
    assert f"{kept:,} characters were saved" in page
    assert [len(speech.exchanges[prompt]) for prompt in prompts] == [1] * STREAMS  # nothing ran twice
    person.ask("Go on", conversations[0])
    assert person.await_end(conversations[0])[-1][0] == "complete"
    baseline.check(*((person, conversation) for conversation in conversations[1:]))


def test_a_killed_process_with_nothing_said_yet_is_taken_up_again(make_site, join, endpoint: Endpoint):
    async def silent_at_first(exchange: Exchange) -> None:
        await exchange.start()
        if exchange is endpoint.exchanges[0]:
            await exchange.gate("never")
        await exchange.answer("Because.")
        await exchange.finish()

    endpoint.respond = silent_at_first
    site = make_site(PYTHONPATH=PROBE)
    baseline = Baseline(endpoint, site)
    person = join(site)
    conversation = person.ask("Why?")
    endpoint.await_reached("never")
    site.kill()
    assert person.answers(conversation)[0][0] == "thinking"
    site.start(site.url.rsplit(":", 1)[1])
    assert person.await_end(conversation)[0][0] == "complete"
    assert len(endpoint.exchanges) == 2
    baseline.check((person, conversation))
