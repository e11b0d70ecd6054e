"""`kill -9` during a stream: the text that was sent is stored, and the next start recovers the generations."""

import time

from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.faults.baseline import Baseline
from tests.faults.endless_model import EndlessModel, ask_each
from tests.faults.stored import assert_stored, texts
from tests.site import Site

STREAMS = 20


def test_text_sent_before_a_kill_is_stored_and_its_generations_end_as_interrupted_after_a_restart(
    make_site, join, endpoint: Endpoint, model: EndlessModel
):
    site: Site = make_site(USER_CONCURRENCY=100)
    person = join(site)
    baseline = Baseline(endpoint, site)
    prompts = [f"p{number}" for number in range(STREAMS)]
    conversations = ask_each(person, prompts)
    model.await_words(50, *prompts)  # 20 of them reasoning: text of both kinds is stored by now
    killed_at = time.monotonic()
    site.kill()
    assert {status for status, _, _ in texts(site).values()} == {
        "answering"
    }  # the process was killed: no end is written
    before = texts(site)
    assert_stored(before, model, killed_at)
    endpoint.respond = think_and_answer
    site.start(site.url.rsplit(":", 1)[1])
    person.await_end(conversations[-1])
    assert {prompt: ("interrupted", *sent) for prompt, (_, *sent) in before.items()} == texts(site)
    kept = sum(map(len, before["p0"][1:]))
    page = person.http.get(conversations[0]).text
    assert "The server restarted at" in page
    assert f"{kept:,} characters were saved" in page
    assert [len(model.exchanges[prompt]) for prompt in prompts] == [1] * STREAMS  # no prompt ran twice
    person.ask("Go on", conversations[0])
    assert person.await_end(conversations[0])[-1][0] == "complete"
    baseline.check(*((person, conversation) for conversation in conversations[1:]))


def test_a_generation_without_text_runs_again_after_a_kill(make_site, join, endpoint: Endpoint):
    async def silent_at_first(exchange: Exchange) -> None:
        await exchange.start()
        if exchange is endpoint.exchanges[0]:
            await exchange.gate("never")
        await exchange.answer("Because.")
        await exchange.finish()

    endpoint.respond = silent_at_first
    site = make_site()
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
