"""`kill -9` in mid-stream: what was committed is there, and the next start settles the rest by itself."""

from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.site import Site


async def say_and_wait(exchange: Exchange) -> None:
    await exchange.reason("First thought. ")
    await exchange.answer("First words.")
    await exchange.gate("never")


def test_a_killed_process_loses_nothing_that_was_committed(site: Site, join, endpoint: Endpoint):
    endpoint.respond = say_and_wait
    person = join(site)
    conversation = person.ask("Why?")
    site.await_rows("select 1 from conversations_chunk where kind = 'answer'")
    site.kill()
    [(status, *_)] = person.answers(conversation)
    assert status == "answering"  # the fault has happened: nobody wrote an end
    site.start(site.url.rsplit(":", 1)[1])
    [(status, error, reasoning, content)] = person.await_end(conversation)
    assert (status, reasoning, content) == ("interrupted", "First thought. ", "First words.")
    assert "27 characters are kept" in error
    assert site.rows("select count(*) from conversations_chunk") == [(0,)]
    page = person.http.get(conversation).text
    assert "The server restarted at" in page
    assert "First words." in page
    endpoint.respond = think_and_answer
    person.ask("Go on", conversation)
    assert person.await_end(conversation)[-1][0] == "complete"


def test_a_killed_process_with_nothing_said_yet_is_taken_up_again(site: Site, join, endpoint: Endpoint):
    async def silent(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.gate("never")

    endpoint.respond = silent
    person = join(site)
    conversation = person.ask("Why?")
    endpoint.await_reached("never")
    site.kill()
    assert person.answers(conversation)[0][0] == "thinking"
    endpoint.respond = think_and_answer
    site.start(site.url.rsplit(":", 1)[1])
    assert person.await_end(conversation)[0][0] == "complete"
