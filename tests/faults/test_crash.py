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
    site.start()
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
    site.start()
    assert person.await_end(conversation)[0][0] == "complete"
    assert len(endpoint.exchanges) == 2
    baseline.check((person, conversation))


def test_deletions_are_carried_out_or_undone_after_a_kill(make_site, join, endpoint: Endpoint):
    async def write_until_closed(exchange: Exchange) -> None:
        await exchange.answer("So much")
        await exchange.gate("never")

    endpoint.respond = write_until_closed
    site = make_site()
    person = join(site)
    gone, undone = person.ask("Gone?"), person.ask("Undone?")
    site.await_rows("select 1 where (select count(distinct generation_id) from conversations_chunk) = 2")
    for conversation in (gone, undone):
        person.post(f"{conversation}delete/")
    key = {conversation: site.uuid(conversation) for conversation in (gone, undone)}
    site.kill()
    # The time to undo one is over, however long the start takes; that of the other is not.
    [(moment,)] = site.rows("select deleted_at from conversations_conversation where id = ?", key[undone])
    times = f"case deleted_at when '{moment}' then '2099-01-01 00:00:00' else '2026-01-01 00:00:00' end"
    site.execute(f"update conversations_conversation set deleted_at = {times}")  # noqa: S608
    site.start()
    assert person.post("/conversations/undo/", deleted_at="2099-01-01T00:00:00+00:00").headers["Location"] == undone
    site.await_rows("select 1 where not exists (select 1 from conversations_conversation where id = ?)", key[gone])
    assert [person.http.get(conversation).status_code for conversation in (gone, undone)] == [404, 200]
    assert [(status, answer) for status, _, _, answer in person.await_end(undone)] == [("stopped", "So much")]
