"""A page whose socket opens after the conversation has changed removes what no longer belongs there."""

import re
from collections.abc import Callable

import pytest

from conversations.models import User
from conversations.page_state import PageState
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.review.factories import make_conversation
from tests.screen import Tab
from tests.site import Person


def regenerate(person: Person, tab: Tab) -> None:
    """Regenerate the last answer, with another version of it as the result."""
    pk = tab.newest.attributes["id"].removeprefix("message-")
    assert person.post(f"/messages/{pk}/regenerate/").status_code == 302


def edit(person: Person, tab: Tab) -> None:
    """Edit the last question, so that another one takes its place."""
    pk = tab.articles[-2].attributes["id"].removeprefix("message-")
    assert person.post(f"/messages/{pk}/edit/", content="What else?").status_code == 302


@pytest.mark.parametrize("change", [regenerate, edit])
def test_what_was_replaced_without_a_connection_is_removed(
    person: Person, shared_endpoint: Endpoint, change: Callable[[Person, Tab], None]
):
    shared_endpoint.respond = think_and_answer
    conversation = person.ask("Why?")
    person.await_end(conversation)
    tab = Tab(person, conversation)
    with tab:
        person.ask("And then?", conversation)  # after the page was loaded, so its socket's address does not name it
        tab.read_until(lambda tab: tab.statuses == ["complete"] * 2)
    replaced = tab.newest.attributes["id"]
    change(person, tab)
    person.await_end(conversation)
    with tab:
        tab.read_until(lambda tab: tab.newest.attributes["id"] != replaced and tab.statuses[-1] == "complete")
        tab.check()


def test_what_was_replaced_before_the_first_connection_is_removed(person: Person, shared_endpoint: Endpoint):
    async def think_until_stopped(exchange: Exchange) -> None:
        if exchange.body.get("chat_template_kwargs", {}).get("thinking") is not False:
            await exchange.reason("Hm. ")
            await exchange.gate("thought")
        await exchange.answer("At once.")
        await exchange.finish()

    shared_endpoint.respond = think_until_stopped
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    person.ask("And then?", conversation)
    tab = Tab(person, conversation)
    assert tab.statuses == ["thinking", "queued"]
    key = person.site.uuid(conversation)
    [(generation,)] = person.site.rows("select min(id) from conversations_generation where conversation_id = ?", key)
    assert person.post(f"/generations/{generation}/answer-now/").status_code == 302
    shared_endpoint.open("thought")
    person.await_end(conversation)
    with tab:
        tab.read_until(lambda tab: tab.statuses == ["complete"] * 2)
        tab.check()


def test_what_was_continued_without_a_connection_is_shown(person: Person, shared_endpoint: Endpoint):
    async def answer_in_two_parts(exchange: Exchange) -> None:
        is_first = len(exchange.body["messages"]) == 1
        await exchange.answer("The beginning." if is_first else " The end.")
        await exchange.finish("length" if is_first else "stop")

    shared_endpoint.respond = answer_in_two_parts
    conversation = person.ask("Why?")
    person.await_end(conversation)
    tab = Tab(person, conversation)
    assert tab.statuses == ["length"]
    pk = tab.newest.attributes["id"].removeprefix("message-")
    assert person.post(f"/messages/{pk}/continue/").status_code == 302
    person.await_end(conversation)
    with tab:
        tab.read_until(lambda tab: tab.statuses == ["complete"])
        tab.check()


@pytest.mark.parametrize(
    ("shown", "removed"),
    [
        ("", []),
        (".", []),
        ("x", []),
        ("\u0663", []),
        ("-97", ["97"]),
        ("97.98.99", ["97", "98", "99"]),
        ("97<b>", ["97"]),
        ("9" * 40, ["9" * 18, "9" * 18, "9" * 4]),
    ],
)
def test_any_ids_in_the_address_are_accepted(db, shown: str, removed: list[str]):
    user = User.objects.create(username="ada")
    conversation = make_conversation(user)
    query = {"first": str(conversation.leaf_id), "seen": str(conversation.leaf_id), "shown": shown}
    state = PageState(conversation.pk, query)
    frames = "".join(state.apply(state.read(user.pk)))
    assert re.findall(r'id="message-([^"]*)"', frames) == removed
    assert "<b>" not in frames
