"""Conversations over HTTP and their socket, from the question to the stored answer."""

import re
import threading
import uuid
from html import unescape

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.screen import Tab
from tests.site import Person

WAIT = 60


async def in_steps(exchange: Exchange) -> None:
    await exchange.reason("First I think. ")
    await exchange.gate("thought")
    await exchange.reason("Then I know.")
    await exchange.answer("It is so.")
    await exchange.gate("answered")
    await exchange.finish()


def open_gates(endpoint: Endpoint) -> None:
    for name in ("thought", "answered"):
        endpoint.open(name)


def generations(person: Person, conversation: str) -> list[int]:
    """Return the conversation's generations, oldest first."""
    key = person.site.uuid(conversation)
    rows = person.site.rows("select id from conversations_generation where conversation_id = ? order by id", key)
    return [pk for (pk,) in rows]


def test_reasoning_and_answer_are_stored_separately(person: Person, shared_endpoint: Endpoint):
    conversation = person.ask("Which is greater, 9.11 or 9.8?")
    assert person.await_end(conversation) == [
        ("complete", "", "Let me think. Both are decimals.", "**9.8** is greater than 9.11.")
    ]
    page = person.http.get(conversation).text
    assert "<title>Which is greater, 9.11 or 9.8? · Ponder</title>" in page
    assert "<strong>9.8</strong> is greater than 9.11." in page
    assert "30 tokens" in page


def test_reasoning_of_white_space_is_not_shown_and_does_not_count(person: Person, shared_endpoint: Endpoint):
    async def blank(exchange: Exchange) -> None:
        await exchange.reason("\n")
        await exchange.reason(" \n\n")
        await exchange.gate("thought")
        await exchange.answer("It is so.")
        await exchange.gate("answered")
        await exchange.finish()

    shared_endpoint.respond = blank
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    with Tab(person, conversation) as tab:
        shared_endpoint.open("thought")
        tab.read_until(lambda tab: tab.answer == "It is so.")
        assert tab.reasoning == ""
        shared_endpoint.open("answered")
        tab.read_until(lambda tab: tab.statuses == ["complete"])
        tab.check()
    assert person.await_end(conversation) == [("complete", "", "", "It is so.")]
    times = "select first_thought_at, first_answer_at from conversations_generation where id = ?"
    [(thought, answered)] = person.site.rows(times, *generations(person, conversation))
    assert thought is None
    assert answered is not None


def test_a_second_request_includes_the_first_turn_without_reasoning(make_site, join, endpoint: Endpoint):
    person = join(make_site(SYSTEM_PROMPT="Be brief."))
    conversation = person.ask("First?")
    person.await_end(conversation)
    person.ask("Second?", conversation)
    person.await_end(conversation)
    assert endpoint.exchanges[1].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First?"},
        {"role": "assistant", "content": "**9.8** is greater than 9.11."},
        {"role": "user", "content": "Second?"},
    ]
    assert "Let me think" not in str(endpoint.exchanges[1].body)


def test_live_frames_result_in_what_a_fresh_page_shows(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = in_steps
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    with Tab(person, conversation) as early, Tab(person, conversation) as late:
        early.read_until(lambda tab: tab.reasoning == "First I think. ")
        shared_endpoint.open("thought")
        shared_endpoint.await_reached("answered")
        shared_endpoint.open("answered")
        for tab in (early, late):
            tab.read_until(lambda tab: tab.statuses == ["complete"])
            assert tab.reasoning == "First I think. Then I know."
            assert tab.answer == "It is so."
            tab.check()


@pytest.mark.parametrize("conversation", ["new", "open"])
def test_a_prompt_that_is_sent_repeatedly_with_one_key_is_stored_once(
    person: Person, shared_endpoint: Endpoint, conversation: str
):
    path = "/conversations/" if conversation == "new" else f"{person.ask('Before')}messages/"
    fields = {"content": "Only once", "key": str(uuid.uuid4())}
    person.http.get("/")  # sets the cookie that the threads share
    replies: list[str] = []

    def send() -> None:
        replies.append(person.post(path, **fields).headers["Location"])

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 6
    assert len(set(replies)) == 1
    person.await_end(replies[0])
    key = person.site.uuid(replies[0])
    stored = person.site.rows(
        "select count(*) from conversations_message where content = 'Only once' and conversation_id = ?", key
    )
    assert stored == [(1,)]


def test_a_prompt_sent_while_an_answer_runs_is_queued_behind_it(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = in_steps
    conversation = person.ask("First?")
    shared_endpoint.await_reached("thought")
    person.ask("Second?", conversation)
    assert [status for status, *_ in person.answers(conversation)] == ["thinking", "queued"]
    page = person.http.get(conversation).text
    assert "Waiting…" in page
    first, _ = generations(person, conversation)
    assert f"/generations/{first}/stop/" in page
    open_gates(shared_endpoint)
    assert [status for status, *_ in person.await_end(conversation)] == ["complete", "complete"]
    assert shared_endpoint.exchanges[1].body["messages"][1] == {"role": "assistant", "content": "It is so."}


def test_a_user_has_no_more_running_generations_than_allowed(make_site, join, endpoint: Endpoint):
    endpoint.respond = in_steps
    person = join(make_site(USER_CONCURRENCY=2))
    conversations = [person.ask(f"Question {n}") for n in range(3)]
    endpoint.await_exchange(2)
    statuses = person.site.rows("select status from conversations_generation order by status")
    assert statuses == [("queued",), ("thinking",), ("thinking",)]
    open_gates(endpoint)
    for conversation in conversations:
        assert person.await_end(conversation)[0][0] == "complete"


def test_stop_before_the_first_word_closes_the_connection_to_the_endpoint(person: Person, shared_endpoint: Endpoint):
    async def wait(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.gate("never")

    shared_endpoint.respond = wait
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("never")
    [generation] = generations(person, conversation)
    assert person.post(f"/generations/{generation}/stop/", htmx=True).status_code == 204
    assert shared_endpoint.exchanges[0].closed_by_client.wait(WAIT)
    assert person.await_end(conversation) == [("stopped", "", "", "")]
    assert "Stopped." in person.http.get(conversation).text


def test_stop_saves_reasoning_and_answer(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = in_steps
    conversation = person.ask("Why?")
    shared_endpoint.open("thought")
    shared_endpoint.await_reached("answered")
    with Tab(person, conversation) as tab:
        tab.read_until(lambda tab: tab.answer == "It is so.")
        [generation] = generations(person, conversation)
        person.post(f"/generations/{generation}/stop/")
        tab.read_until(lambda tab: tab.statuses == ["stopped"])
    assert shared_endpoint.exchanges[0].closed_by_client.wait(WAIT)
    assert person.await_end(conversation) == [("stopped", "", "First I think. Then I know.", "It is so.")]
    assert "Stopped while answering." in person.http.get(conversation).text
    chunks = "select count(*) from conversations_chunk where generation_id = ?"
    assert person.site.rows(chunks, generation) == [(0,)]


def test_a_stopped_queued_prompt_is_not_sent(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = in_steps
    conversation = person.ask("First?")
    shared_endpoint.await_reached("thought")
    person.ask("Second?", conversation)
    _, second = generations(person, conversation)
    person.post(f"/generations/{second}/stop/")
    open_gates(shared_endpoint)
    assert [status for status, *_ in person.await_end(conversation)] == ["complete", "stopped"]
    assert len(shared_endpoint.exchanges) == 1


def test_a_deletion_stops_what_is_running_and_is_carried_out_later(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = in_steps
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    [generation] = generations(person, conversation)
    assert person.post(f"{conversation}delete/").status_code == 302
    assert shared_endpoint.exchanges[0].closed_by_client.wait(WAIT)
    assert person.http.get(conversation).status_code == 404
    key = person.site.uuid(conversation)
    person.site.await_rows("select 1 from conversations_generation where id = ? and status = 'stopped'", generation)
    long_ago = "update conversations_conversation set deleted_at = '2026-01-01 00:00:00' where deleted_at is not null"
    person.site.execute(long_ago)
    person.site.await_rows("select 1 where not exists (select 1 from conversations_conversation where id = ?)", key)
    for table, column, value in (
        ("conversation", "id", key),
        ("message", "conversation_id", key),
        ("generation", "conversation_id", key),
        ("chunk", "generation_id", generation),
    ):
        assert person.site.rows(f"select 1 from conversations_{table} where {column} = ?", value) == []  # noqa: S608
    open_gates(shared_endpoint)
    assert person.await_end(person.ask("Still there?"))[0][0] == "complete"


def test_a_conversation_is_renamed_but_not_to_an_empty_title(person: Person, shared_endpoint: Endpoint):
    conversation = person.ask("Why?")
    person.post(f"{conversation}rename/", title="Reasons")
    assert "Reasons" in person.http.get(conversation).text
    person.post(f"{conversation}rename/", title=" ")
    page = person.http.get(conversation).text
    assert "The title was not changed." in page
    assert "Reasons" in page


def test_the_list_is_paged_newest_first(person: Person, shared_endpoint: Endpoint):
    for number in range(32):
        conversation = person.ask(f"Question number {number:02}")
    person.await_end(conversation)
    first = person.http.get("/conversations/").text
    titles = re.findall(r">Question number (\d\d)<", first)
    older = unescape(re.search(r'class="older" href="([^"]+)"', first)[1])
    second = person.http.get(f"/conversations/{older}").text
    titles += re.findall(r">Question number (\d\d)<", second)
    assert sorted(titles) == [f"{number:02}" for number in range(32)]
    assert 'class="older"' not in second
    assert person.http.get("/conversations/?before=nonsense").status_code == 200


def test_the_page_shows_which_messages_no_longer_fit_into_the_context(make_site, join, endpoint: Endpoint):
    person = join(make_site(CONTEXT_TOKENS=400))
    conversation = person.ask("old " * 150)
    person.await_end(conversation)
    assert "no longer fit" not in person.http.get(conversation).text
    person.ask("New question " * 20, conversation)
    person.await_end(conversation)
    assert len(endpoint.exchanges[1].body["messages"]) == 1
    page = person.http.get(conversation).text
    before, divider, after = page.partition("no longer fit")
    assert divider
    assert "old old" in before
    assert "New question" in after


def test_the_end_of_a_long_answer_corrects_earlier_fragments(person: Person, shared_endpoint: Endpoint):
    async def answer(exchange: Exchange) -> None:
        await exchange.answer("See [this].\n\n```python\n")
        for number in range(0, 800, 40):
            await exchange.answer("".join(f"x_{line} = {line}  # so\n" for line in range(number, number + 40)))
        await exchange.gate("all")
        await exchange.answer("```\n\n- one\n- two\n\n- three\n\n[this]: https://example.org\n")
        await exchange.finish()

    shared_endpoint.respond = answer
    with Tab(person, person.ask("Write a lot")) as tab:
        tab.read_until(lambda tab: "x_799" in tab.answer)
        shared_endpoint.open("all")
        tab.read_until(lambda tab: tab.statuses == ["complete"])
        tab.read_until(lambda tab: any(element.tag == "a" for element in tab.page.find("messages").elements()))
        tab.check()
