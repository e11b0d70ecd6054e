"""The details page of an answer, and the answer as Markdown and plain text."""

import json
import re
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone

from conversations.models import Generation, Message, Status, User
from tests.endpoint import Endpoint, Exchange
from tests.factories import person, queued
from tests.site import Person, Site

REQUEST = re.compile(r'<pre class="request"[^>]*><code dir="ltr">(.*?)</code></pre>', re.DOTALL)
USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 30,
    "prompt_tokens_details": {"cached_tokens": 1024},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


async def cut_then_finish(exchange: Exchange) -> None:
    """Reach the length limit in the first answer only."""
    await exchange.reason("A secret thought.")
    await exchange.answer("One two three")
    await exchange.finish("length" if len(exchange.body["messages"]) <= 2 else "stop", USAGE)


async def refuse_effort(exchange: Exchange) -> None:
    if "reasoning_effort" in exchange.body:
        await exchange.fail(400, "unsupported_parameter", "Own words: reasoning_effort")
    else:
        await exchange.answer("Yes.")
        await exchange.finish()


def answers(site: Site, conversation: str) -> list[int]:
    key = site.uuid(conversation)
    query = "select id from conversations_message where conversation_id = ? and role = 'assistant' order by id"
    return [pk for (pk,) in site.rows(query, key)]


def requests(person: Person, message: int) -> list[dict]:
    page = person.http.get(f"/messages/{message}/details/").text
    return [json.loads(unescape(found)) for found in REQUEST.findall(page)]


@pytest.mark.parametrize("prefix", ["false", "true"])
def test_the_page_shows_each_request_as_the_endpoint_received_it(make_site, join, endpoint: Endpoint, prefix: str):
    endpoint.respond = cut_then_finish
    site = make_site(SYSTEM_PROMPT="Be “brief”.\u202e", MAX_OUTPUT_TOKENS=500, THINKING="on", PREFIX_COMPLETION=prefix)
    ada = join(site, "ada")
    conversation = ada.ask("First?\n<b>")
    ada.await_end(conversation)
    [first] = answers(site, conversation)
    ada.ask("Second?", conversation)
    ada.await_end(conversation)
    # The first answer is continued after it was part of the second request.
    ada.post(f"/messages/{first}/continue/")
    ada.await_end(conversation)
    first, second = answers(site, conversation)
    sent = [exchange.body for exchange in endpoint.exchanges]
    assert requests(ada, first) == [sent[0], sent[2]]
    assert requests(ada, second) == [sent[1]]
    page = ada.http.get(f"/messages/{second}/details/").text
    assert "A secret thought." not in page
    assert "The 6 words of reasoning behind the answers in this request were left out." in page
    assert "1,200, 1,024 of them cached by the endpoint" in page
    assert "\u202e" not in page


def test_a_request_is_shown_without_older_turns_and_refused_parameters(make_site, join, endpoint: Endpoint):
    site = make_site(CONTEXT_TOKENS=200, REASONING_EFFORT="high")
    ada = join(site, "ada")
    conversation = ada.ask("First? " + "word " * 50)
    ada.await_end(conversation)
    ada.ask("Second? " + "word " * 50, conversation)
    ada.await_end(conversation)
    assert len(endpoint.exchanges[1].body["messages"]) == 1
    assert requests(ada, answers(site, conversation)[1]) == [endpoint.exchanges[1].body]
    # The third request is refused, and sent again without what was refused.
    endpoint.respond = refuse_effort
    ada.ask("reasoning_effort", conversation)
    assert ada.await_end(conversation)[-1][0] == "complete"
    refused, accepted = (exchange.body for exchange in endpoint.exchanges[2:])
    assert refused == accepted | {"reasoning_effort": "high"}
    third = answers(site, conversation)[2]
    assert requests(ada, third) == [accepted]
    page = ada.http.get(f"/messages/{third}/details/").text
    assert "The endpoint refused the parameter <code>reasoning_effort</code>" in page
    assert "Own words" not in page


@pytest.mark.django_db
def test_estimated_tokens_are_shown_as_estimates(client: Client):
    generation = queued(person())
    counts = {"prompt_tokens": 1_234, "answer_tokens": 20, "tokens_estimated": True}
    Generation.objects.update(status=Status.STOPPED, finished_at=timezone.now(), **counts)
    client.force_login(generation.owner)
    page = client.get(f"/messages/{generation.message_id}/details/").content.decode()
    assert "<dd>about 1,234</dd>" in page
    assert "the endpoint reported no numbers" in page
    assert "about 20 tokens" in client.get(generation.conversation.get_absolute_url()).content.decode()


@pytest.mark.django_db
def test_details_and_copies_are_not_visible_to_other_users(client: Client):
    message = queued(person("ada")).message
    paths = [f"/messages/{message.pk}/{name}/" for name in ("details", "markdown", "text")]
    client.force_login(person("eve"))
    assert [client.get(path).status_code for path in paths] == [404] * 3
    client.force_login(message.conversation.owner)
    assert [client.get(path).status_code for path in paths] == [200] * 3


@pytest.mark.django_db
def test_the_page_says_when_a_request_was_not_sent_or_not_stored(client: Client):
    generation = queued(person())
    client.force_login(generation.owner)
    path = f"/messages/{generation.message_id}/details/"
    assert "The request was not sent." in client.get(path).text
    Generation.objects.update(started_at=generation.created_at)
    assert "which did not save it" in client.get(path).text


@pytest.mark.django_db
def test_only_staff_see_what_the_endpoint_said_of_its_failure(client: Client):
    generation = queued(person())
    said = "HTTP 400 bad: <b>Own words</b>"
    Generation.objects.update(status="failed", error="It failed.", finish_reason="error", endpoint_error=said)
    client.force_login(generation.owner)
    path = f"/messages/{generation.message_id}/details/"
    page = client.get(path).text
    assert "It failed." in page
    assert "<dt>Finish reason</dt><dd>error</dd>" in page
    assert "Own words" not in page
    User.objects.update(is_staff=True)
    assert "HTTP 400 bad: &lt;b&gt;Own words&lt;/b&gt;" in client.get(path).text


@pytest.mark.django_db
def test_an_answer_is_copied_as_markdown_or_text_with_and_without_reasoning(client: Client):
    generation = queued(person())
    Message.objects.filter(pk=generation.message_id).update(content="**Yes**\n\n- a\n- b", reasoning="So *it* is.")
    generation.status = "complete"
    generation.save()
    client.force_login(generation.owner)

    def copied(what: str) -> str:
        response = client.get(f"/messages/{generation.message_id}/{what}")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        return response.text

    assert copied("markdown/") == "**Yes**\n\n- a\n- b"
    assert copied("markdown/?reasoning=1") == "So *it* is.\n\n---\n\n**Yes**\n\n- a\n- b"
    assert copied("text/") == "Yes\n\n- a\n- b\n"
