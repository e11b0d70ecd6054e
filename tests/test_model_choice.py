"""Models at several endpoints: a refused effort, and a change of the registry."""

from collections.abc import Callable, Iterator

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.models import table
from tests.site import Person, Site


@pytest.fixture
def second() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


@pytest.fixture
def start(make_site: Callable[..., Site]) -> Callable[..., Site]:
    none = {"OPENAI_BASE_URL": "", "OPENAI_MODEL": "", "OPENAI_API_KEY": "", "SOME_KEY": "canary-key"}
    return lambda *models, **variables: make_site(MODELS="\n".join(models), **none, **variables)


def test_a_refused_effort_is_left_out_and_the_details_say_so(start, join: Callable[..., Person], endpoint: Endpoint):
    async def refuse(exchange: Exchange) -> None:
        if "reasoning_effort" in exchange.body:
            await exchange.fail(400, "unsupported", "Unknown parameter: reasoning_effort")
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = refuse
    person = join(start(table(endpoint, "one", thinking="always", efforts=["low", "high"])))
    conversation = person.ask("Why?", depth="deep")
    assert [(status, content) for status, _, _, content in person.await_end(conversation)] == [("complete", "Yes.")]
    [(message,)] = person.site.rows("select message_id from conversations_generation")
    assert (
        "refused the parameter <code>reasoning_effort</code>" in person.http.get(f"/messages/{message}/details/").text
    )


def test_a_change_of_the_registry_loses_no_question(
    start, join: Callable[..., Person], endpoint: Endpoint, second: Endpoint
):
    async def never(exchange: Exchange) -> None:
        await exchange.gate("never")

    second.respond = never
    one, two = table(endpoint, "one"), table(second, "two")
    newer = start(one, two)
    person = join(newer)
    conversation = person.ask("Why?", model="two")
    second.await_reached("never")
    newer.kill()
    # A replica that does not know the model yet, or not any more, recovers the question.
    older = start(one, database_url=newer.database_url)
    at_older = person.at(older)
    other = at_older.ask("Which?", model="one")
    assert [status for status, *_ in at_older.await_end(other)] == ["complete"]
    assert [status for status, *_ in at_older.answers(conversation)] == ["queued"]
    assert at_older.http.get(conversation).status_code == 200
    assert len(second.exchanges) == 1
    # The model comes back with another name, at another endpoint, and for a group that does not exist.
    groups = "daily_tokens = {everyone = 900_000, Borad = 950_000}"
    moved = table(endpoint, "two", name="renamed", label="Two, elsewhere")
    newest = start(one, moved, groups, database_url=newer.database_url)
    at_newest = person.at(newest)
    assert [status for status, *_ in at_newest.await_end(conversation)] == ["complete"]
    at_newest.ask("And?", conversation)  # the conversation's model
    at_newest.await_end(conversation)
    at_newest.await_end(at_newest.ask("How?", model="two"))  # from a page that was opened before
    sent = [(exchange.body["model"], exchange.body["messages"][-1]["content"]) for exchange in endpoint.exchanges]
    assert sent == [("one", "Which?"), ("renamed", "Why?"), ("renamed", "And?"), ("renamed", "How?")]
    assert len(second.exchanges) == 1
    assert "Two, elsewhere" in at_newest.http.get(conversation).text
    assert newest.await_line("the models name the group 'Borad', which does not exist")
    at_older.close()
    at_newest.close()
