"""Edit, continue, answer now and cancel, over HTTP and the socket."""

import re
from html import unescape

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.site import Person

WAIT = 60


async def cut_off(exchange: Exchange) -> None:
    """Reach the length limit in the middle of code; write the rest when asked to continue."""
    if len(exchange.body["messages"]) > 1:
        await exchange.reason("On with it.")
        await exchange.answer("    return a + b\n```\n\nThat is all.")
        await exchange.finish()
    else:
        await exchange.reason("I write code.")
        await exchange.answer("Here it is:\n\n```python\ndef add(a, b):\n")
        await exchange.finish("length")


async def think_until_opened(exchange: Exchange) -> None:
    """Think until the gate opens; without thinking, answer at once."""
    if exchange.body.get("chat_template_kwargs", {}).get("thinking") is False:
        await exchange.answer("At once.")
        await exchange.finish()
        return
    await exchange.reason("First I think. ")
    await exchange.gate("thought")
    await exchange.answer("It is so.")
    await exchange.finish()


def newest(person: Person, conversation: str) -> tuple[int, int, int]:
    """Return the ids of the newest prompt, its answer and its generation."""
    key = person.site.uuid(conversation)
    [row] = person.site.rows(
        "select m.parent_id, m.id, g.id from conversations_generation g join conversations_message m"
        " on m.id = g.message_id where g.conversation_id = ? order by g.id desc limit 1",
        key,
    )
    return row


def text(page: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", page))


@pytest.mark.parametrize("htmx", [False, True])
def test_an_edited_prompt_replaces_the_old_version(person: Person, shared_endpoint: Endpoint, htmx: bool):
    conversation = person.ask("Why?")
    person.await_end(conversation)
    prompt, *_ = newest(person, conversation)
    form = person.http.get(f"/messages/{prompt}/edit/")
    assert f'action="/messages/{prompt}/edit/"' in form.text
    assert "HX-Request" in form.headers["Vary"]
    [key] = re.findall(r'name="key" value="([^"]+)"', form.text)
    for _ in range(2):
        done = person.post(f"/messages/{prompt}/edit/", htmx=htmx, content="Why not?", key=key)
        assert done.status_code == (204 if htmx else 302)
    person.await_end(conversation)
    assert len(shared_endpoint.exchanges) == 2
    assert shared_endpoint.exchanges[1].body["messages"] == [{"role": "user", "content": "Why not?"}]
    page = person.http.get(conversation).text
    assert "Why not?" in page
    assert "2 / 2" in page
    person.post(f"/messages/{prompt}/select/")
    assert "1 / 2" in person.http.get(conversation).text


@pytest.mark.parametrize("htmx", [False, True])
def test_an_invalid_edit_keeps_the_typed_text(person: Person, shared_endpoint: Endpoint, htmx: bool):
    conversation = person.ask("Why?")
    person.await_end(conversation)
    prompt, *_ = newest(person, conversation)
    refused = person.post(f"/messages/{prompt}/edit/", htmx=htmx, content=" \n", key="")
    assert refused.status_code == 422
    assert "Enter a question." in refused.text
    if htmx:
        assert f'id="edit-error-{prompt}"' in refused.text
    too_long = "x" * 200_001
    refused = person.post(f"/messages/{prompt}/edit/", htmx=htmx, content=too_long)
    assert refused.status_code == 422
    assert (too_long in refused.text) is not htmx
    assert len(shared_endpoint.exchanges) == 1


def test_an_answer_is_continued_by_a_request_without_reasoning(person: Person, shared_endpoint: Endpoint):
    shared_endpoint.respond = cut_off
    conversation = person.ask("Write code")
    [(status, *_)] = person.await_end(conversation)
    assert status == "length"
    page = person.http.get(conversation).text
    _, answer, _ = newest(person, conversation)
    assert f'action="/messages/{answer}/continue/"' in page
    assert person.post(f"/messages/{answer}/continue/").headers["Location"] == conversation
    *_, (status, _, reasoning, content) = person.await_end(conversation)
    assert (status, reasoning) == ("complete", "I write code.\n\nOn with it.")
    assert content == "Here it is:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\nThat is all."
    sent = shared_endpoint.exchanges[1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == "Here it is:\n\n```python\ndef add(a, b):\n"
    assert sent[2]["content"].endswith("def add(a, b):")
    assert "I write code." not in str(sent)
    page = person.http.get(conversation).text
    assert page.count("<figure") == 1
    assert page.count('aria-label="Continued here"') == 1
    assert "60 tokens" in page


def test_an_answer_is_continued_by_prefix_completion_if_configured(make_site, join, endpoint: Endpoint):
    endpoint.respond = cut_off
    person = join(make_site(PREFIX_COMPLETION="true"))
    conversation = person.ask("Write code")
    person.await_end(conversation)
    _, answer, _ = newest(person, conversation)
    person.post(f"/messages/{answer}/continue/", htmx=True)
    person.await_end(conversation)
    body = endpoint.exchanges[1].body
    assert [message["role"] for message in body["messages"]] == ["user", "assistant"]
    assert body["continue_final_message"] is True
    assert "I write code." not in str(body)


def test_a_viewer_who_joins_a_continuation_sees_one_text(person: Person, shared_endpoint: Endpoint):
    async def slowly(exchange: Exchange) -> None:
        if len(exchange.body["messages"]) == 1:
            await cut_off(exchange)
            return
        await exchange.answer("    return a + b\n")
        await exchange.gate("in the middle")
        await exchange.answer("```\n\nThat is all.")
        await exchange.finish()

    shared_endpoint.respond = slowly
    conversation = person.ask("Write code")
    person.await_end(conversation)
    _, answer, _ = newest(person, conversation)
    person.post(f"/messages/{answer}/continue/")
    shared_endpoint.await_reached("in the middle")
    person.site.await_rows(
        "select 1 from conversations_chunk c join conversations_generation g on g.id ="
        " c.generation_id where g.message_id = ?",
        answer,
    )
    page = person.http.get(conversation).text
    assert "def add(a, b):\n" in text(page)
    assert "return a + b" in text(page)
    assert page.count("<figure") == 1
    with person.socket(conversation) as socket:
        frames = ""
        while "return a + b" not in text(frames):
            frames += socket.recv(timeout=WAIT)
        assert "Thought for" in frames
        assert frames.count("<figure") == 1
        assert frames.count('aria-label="Continued here"') == 1
        shared_endpoint.open("in the middle")
        while 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=WAIT)
    assert person.answers(conversation)[-1][3].endswith("def add(a, b):\n    return a + b\n```\n\nThat is all.")


def test_answer_now_stops_thinking_and_answers(person: Person, shared_endpoint: Endpoint):
    async def respond(exchange: Exchange) -> None:
        if exchange.body.get("chat_template_kwargs"):
            await exchange.gate("asked twice")
        await think_until_opened(exchange)

    shared_endpoint.respond = respond
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    *_, generation = newest(person, conversation)
    assert f'action="/generations/{generation}/answer-now/"' in person.http.get(conversation).text
    person.ask("And then?", conversation)
    for _ in range(2):
        assert person.post(f"/generations/{generation}/answer-now/", htmx=True).status_code == 204
    shared_endpoint.open("asked twice")
    assert shared_endpoint.exchanges[0].closed_by_client.wait(WAIT)
    shared_endpoint.await_exchange(3)
    shared_endpoint.open("thought")
    thought, now, after = person.await_end(conversation)
    assert thought == ("stopped", "", "First I think. ", "")
    assert now == ("complete", "", "", "At once.")
    assert after[3] == "It is so."
    asked = shared_endpoint.exchanges[1].body
    assert asked["messages"] == [{"role": "user", "content": "Why?"}]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert shared_endpoint.exchanges[2].body["messages"][1] == {"role": "assistant", "content": "At once."}
    page = person.http.get(conversation).text
    assert page.index("At once.") < page.index("And then?") < page.index("It is so.")


@pytest.mark.parametrize("htmx", [False, True])
def test_a_cancelled_prompt_returns_to_the_composer(person: Person, shared_endpoint: Endpoint, htmx: bool):
    shared_endpoint.respond = think_until_opened
    conversation = person.ask("Why?")
    shared_endpoint.await_reached("thought")
    person.ask("<b>And</b> then?", conversation)
    *_, generation = newest(person, conversation)
    page = person.http.get(conversation).text
    assert "Waiting…" in page
    assert f'action="/generations/{generation}/take-back/"' in page
    cancelled = person.post(f"/generations/{generation}/take-back/", htmx=htmx)
    if htmx:
        assert cancelled.text.startswith("<p>&lt;b&gt;And&lt;/b&gt; then?</p>")
    else:
        assert cancelled.headers["Location"] == conversation
        page = person.http.get(conversation).text
        assert "&lt;b&gt;And&lt;/b&gt; then?</textarea>" in page
        assert "then?" not in person.http.get(conversation).text, "the text is restored once"
    assert [status for status, *_ in person.answers(conversation)] == ["thinking"]
    shared_endpoint.open("thought")
    person.await_end(conversation)
    assert len(shared_endpoint.exchanges) == 1


@pytest.mark.parametrize("htmx", [False, True])
def test_cancelling_too_late_is_reported(person: Person, shared_endpoint: Endpoint, htmx: bool):
    conversation = person.ask("Why?")
    person.await_end(conversation)
    *_, generation = newest(person, conversation)
    refused = person.post(f"/generations/{generation}/take-back/", htmx=htmx)
    assert refused.status_code == (409 if htmx else 302)
    page = refused.text if htmx else person.http.get(conversation).text
    assert "It is too late to cancel" in page
    assert person.answers(conversation)[0][3] == "**9.8** is greater than 9.11."


def test_cancelling_the_only_prompt_opens_a_new_conversation_with_its_text(make_site, join, endpoint: Endpoint):
    endpoint.respond = think_until_opened
    person = join(make_site(USER_CONCURRENCY=1))
    running = person.ask("Why?")
    endpoint.await_reached("thought")
    waiting = person.ask("And what else?")
    *_, generation = newest(person, waiting)
    assert person.post(f"/generations/{generation}/take-back/").headers["Location"] == "/"
    assert "And what else?</textarea>" in person.http.get("/").text
    assert person.http.get(waiting).status_code == 404
    endpoint.open("thought")
    assert person.await_end(running)[0][0] == "complete"


def test_each_outcome_offers_the_next_actions(person: Person, shared_endpoint: Endpoint):
    async def end(exchange: Exchange) -> None:
        reason, thought, said = exchange.body["messages"][-1]["content"].split(",")
        if thought:
            await exchange.reason(thought)
        if said:
            await exchange.answer(said)
        if reason == "cut":
            await exchange.raw(b": the end")
        elif reason == "refused":
            await exchange.fail(500, "broken")
        else:
            await exchange.finish(reason)

    shared_endpoint.respond = end
    for prompt, expected in {
        "stop,thought,said": ["regenerate"],
        "stop,thought,": ["answer-now", "retry"],
        "length,thought,": ["answer-now", "retry"],
        "length,thought,said": ["continue", "retry"],
        "cut,thought,said": ["continue", "retry"],
        "content_filter,,": ["edit", "retry"],
        "cut,thought,": ["retry", "edit"],
    }.items():
        conversation = person.ask(prompt)
        person.await_end(conversation)
        status = person.http.get(conversation).text.split('class="status"')[1].split("</footer>")[0]
        assert re.findall(r'data-action="([\w-]+)"', status) == expected, prompt
