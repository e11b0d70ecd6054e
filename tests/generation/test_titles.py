"""Titles after the first answer: what is asked and stored, what keeps it from happening, and what it costs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps import apps
from django.db.models import Sum

from conversations import actions
from conversations.generation import titles
from conversations.generation.commit import Claim, Result, claim, finish
from conversations.generation.titles import Titles, write_title
from conversations.inference.chunks import Usage
from conversations.inference.endpoint import OpenModels, open_models
from conversations.models import Conversation, DailyUsage, LegalHold, Status, User, Worker
from conversations.models.conversation import TitleSource
from conversations.models.usage import balance
from conversations.threads import run_in_thread
from tests.endpoint import Endpoint, Exchange
from tests.factories import person, queued
from tests.models import model, registry
from tests.site import WAIT, Person, Site
from tests.test_sidebar import await_frame, query_of

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION = "Which is greater, 9.11 or 9.8?"
USED = Usage(10, None, 5)
OF_TITLE = {"prompt_tokens": 90, "completion_tokens": 6}


def saying(*texts: str, reasoning: str = "", usage: Any = OF_TITLE) -> Callable[[Exchange], Any]:
    async def answer(exchange: Exchange) -> None:
        if reasoning:
            await exchange.reason(reasoning)
        for text in texts:
            await exchange.answer(text)
        await exchange.finish(usage=usage)

    return answer


@pytest.fixture
async def models(endpoint: Endpoint, settings) -> AsyncIterator[OpenModels]:
    settings.MODELS = registry(model(endpoint.base_url, thinking="switchable"))
    opened = await open_models()
    yield opened
    await opened.close()


def answered(user: User, conversation: Conversation | None = None, status: Status = Status.COMPLETE) -> Claim:
    """Return the claim of a generation that has ended."""
    worker = Worker.objects.create()
    claimed = claim(worker.pk, queued(user, QUESTION, conversation).pk)
    assert claimed is not None
    assert finish(worker.pk, claimed, Result(status, "", "9.8, of course.", usage=USED), {})
    return claimed


def titled(claimed: Claim) -> tuple[str, str]:
    conversation = Conversation.objects.get(pk=claimed.conversation_id)
    return conversation.title, conversation.title_source


def used(model_id: str) -> int | None:
    rows = DailyUsage.objects.filter(model=model_id)
    return rows.aggregate(total=Sum("input_tokens") + Sum("output_tokens") + Sum("reasoning_tokens"))["total"]


async def write(models: OpenModels, claimed: Claim, model_id: str = "") -> tuple[str, str]:
    await write_title(claimed, models.find(model_id).model, models)
    return await run_in_thread(titled, claimed)


async def test_a_title_is_asked_for_without_thinking_and_counted(models: OpenModels, endpoint: Endpoint):
    endpoint.respond = saying("“Comparing ", "decimals”\n")
    claimed = await run_in_thread(lambda: answered(person()))
    assert await write(models, claimed) == ("Comparing decimals", TitleSource.GENERATED)
    [exchange] = endpoint.exchanges
    assert exchange.body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert exchange.body["max_tokens"] == 60
    assert QUESTION in exchange.body["messages"][-1]["content"]
    assert "9.8, of course." in exchange.body["messages"][-1]["content"]
    assert await run_in_thread(used, "m") == 10 + 5 + 90 + 6


async def test_tokens_are_counted_for_the_model_that_wrote_the_title(models: OpenModels, endpoint: Endpoint, settings):
    settings.MODELS = registry(*settings.MODELS.values(), model(endpoint.base_url, "small", thinking="never"))
    endpoint.respond = saying("Decimals", usage=None)
    claimed = await run_in_thread(lambda: answered(person()))
    both = await open_models()
    assert (await write(both, claimed, "small"))[0] == "Decimals"
    await both.close()
    assert await run_in_thread(used, "m") == 15
    assert await run_in_thread(used, "small") > 90  # estimated


@pytest.mark.parametrize("title", ["", "…", "\u202e\x00"])
async def test_an_empty_title_changes_nothing(models: OpenModels, endpoint: Endpoint, title: str):
    endpoint.respond = saying(title or "\n")
    claimed = await run_in_thread(lambda: answered(person()))
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)


async def test_what_a_model_says_after_it_has_thought_is_no_title(models: OpenModels, endpoint: Endpoint):
    endpoint.respond = saying("Decimals", reasoning="Hm.")
    claimed = await run_in_thread(lambda: answered(person()))
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)
    assert await run_in_thread(used, "m") == 15 + 96  # it counts all the same
    endpoint.respond = saying("<think>Hm", ".</think>Decimals")
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)


@pytest.mark.parametrize("status", [500, 429, 400])
async def test_a_failure_is_logged_and_not_tried_again(
    models: OpenModels, endpoint: Endpoint, caplog: pytest.LogCaptureFixture, status: int
):
    async def fail(exchange: Exchange) -> None:
        await exchange.fail(status, "oh_no", "Something is wrong.")

    endpoint.respond = fail
    claimed = await run_in_thread(lambda: answered(person()))
    with caplog.at_level(logging.INFO):
        assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)
    assert len(endpoint.exchanges) == 1
    assert [record.levelname for record in caplog.records if "no title for" in record.message] == ["INFO"]
    assert QUESTION not in caplog.text
    assert await run_in_thread(used, "m") == 15


async def test_a_defect_of_the_site_is_logged_as_an_error(
    models: OpenModels, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    claimed = await run_in_thread(lambda: answered(person()))
    monkeypatch.setattr(titles, "_prepare", Mock(side_effect=RuntimeError))
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)
    [record] = [record for record in caplog.records if "no title for" in record.message]
    assert (record.levelname, record.exc_info[0]) == ("ERROR", RuntimeError)


async def test_thinking_is_never_left_on_where_the_endpoint_refuses_to_switch_it_off(
    models: OpenModels, endpoint: Endpoint
):
    async def refuse(exchange: Exchange) -> None:
        if "chat_template_kwargs" in exchange.body:
            await exchange.fail(400, "unsupported", "Unknown parameter: chat_template_kwargs")
        else:
            await saying("Decimals")(exchange)

    endpoint.respond = refuse
    claimed = await run_in_thread(lambda: answered(person()))
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)
    assert len(endpoint.exchanges) == 1


async def test_a_slow_endpoint_is_not_waited_for(
    models: OpenModels, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    async def hang(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.gate("never")

    monkeypatch.setattr(titles, "SECONDS", 0.2)
    endpoint.respond = hang
    claimed = await run_in_thread(lambda: answered(person()))
    assert await write(models, claimed) == (QUESTION, TitleSource.AUTOMATIC)
    [exchange] = endpoint.exchanges
    assert exchange.closed_by_client.wait(WAIT)


def renamed(claimed: Claim) -> None:
    actions.rename(conversation=Conversation.objects.get(pk=claimed.conversation_id), title="Mine")


def renamed_by_an_earlier_version(claimed: Claim) -> None:
    Conversation.objects.update(title="Mine")


def held(claimed: Claim) -> None:
    LegalHold.objects.create(conversation_id=claimed.conversation_id, reason="Case 7")


def held_with_its_owner(claimed: Claim) -> None:
    LegalHold.objects.create(user_id=claimed.owner_id, reason="Case 7")


def deactivated(claimed: Claim) -> None:
    User.objects.update(is_active=False)


def deleted(claimed: Claim) -> None:
    actions.delete(conversation=Conversation.objects.get(pk=claimed.conversation_id))


@pytest.mark.parametrize(
    "change", [renamed, renamed_by_an_earlier_version, held, held_with_its_owner, deactivated, deleted]
)
async def test_nothing_is_asked_where_no_title_may_be_written(models: OpenModels, endpoint: Endpoint, change):
    claimed = await run_in_thread(lambda: answered(person()))
    await run_in_thread(change, claimed)
    await write_title(claimed, models.find("").model, models)
    assert endpoint.exchanges == []


@pytest.mark.parametrize("change", [renamed, renamed_by_an_earlier_version, held, held_with_its_owner, deleted])
async def test_what_happens_while_a_title_is_asked_for_wins(models: OpenModels, endpoint: Endpoint, change):
    async def respond(exchange: Exchange) -> None:
        await exchange.gate("go on")
        await saying("Theirs")(exchange)

    endpoint.respond = respond
    claimed = await run_in_thread(lambda: answered(person()))
    writing = asyncio.create_task(write_title(claimed, models.find("").model, models))
    await run_in_thread(endpoint.await_reached, "go on")
    await run_in_thread(change, claimed)
    endpoint.open("go on")
    await writing
    found = await run_in_thread(lambda: list(Conversation.objects.values_list("title", flat=True)))
    assert found in ([], ["Mine"], [QUESTION])


async def test_only_the_first_answer_gives_a_title(models: OpenModels, endpoint: Endpoint):
    def ask_twice() -> Claim:
        ada = person()
        first = answered(ada)
        return answered(ada, Conversation.objects.get(pk=first.conversation_id))

    assert (await write(models, await run_in_thread(ask_twice)))[1] == TitleSource.AUTOMATIC
    assert endpoint.exchanges == []


async def test_an_answer_that_failed_gives_no_title_and_the_next_one_does(models: OpenModels, endpoint: Endpoint):
    endpoint.respond = saying("Decimals")
    ada = await run_in_thread(person)
    failed = await run_in_thread(lambda: answered(ada, status=Status.FAILED))
    assert (await write(models, failed))[1] == TitleSource.AUTOMATIC
    again = await run_in_thread(
        lambda: answered(ada, Conversation.objects.get(pk=failed.conversation_id), Status.LENGTH)
    )
    assert (await write(models, again))[1] == TitleSource.GENERATED
    assert len(endpoint.exchanges) == 1


async def test_no_title_is_written_when_too_few_tokens_are_left(models: OpenModels, endpoint: Endpoint, settings):
    endpoint.respond = saying("Decimals")
    ada = await run_in_thread(person)
    claimed = await run_in_thread(lambda: answered(ada))
    settings.USER_DAILY_TOKENS = 100
    assert (await write(models, claimed))[1] == TitleSource.AUTOMATIC
    assert endpoint.exchanges == []
    assert await run_in_thread(balance, ada) == (15, 0)
    settings.USER_DAILY_TOKENS = 1_000
    assert (await write(models, claimed))[1] == TitleSource.GENERATED


async def test_titles_that_are_being_written_are_given_up_for_a_shutdown(models: OpenModels, endpoint: Endpoint):
    async def hang(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.gate("never")

    endpoint.respond = hang
    claimed = await run_in_thread(lambda: answered(person()))
    writing = Titles(models)
    writing.begin(claimed, models.find("").model)
    await run_in_thread(endpoint.await_reached, "never")
    await writing.cancel()
    assert endpoint.exchanges[0].closed_by_client.wait(WAIT)
    assert (await run_in_thread(titled, claimed))[1] == TitleSource.AUTOMATIC


def test_an_open_page_is_sent_the_title_after_the_answer(
    make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint
):
    async def respond(exchange: Exchange) -> None:
        if len(endpoint.exchanges) == 1:
            await exchange.answer("9.8.")
            await exchange.finish()
        else:
            await exchange.gate("go on")
            await saying("<b>Decimals</b>")(exchange)

    endpoint.respond = respond
    at = f'[endpoints.e]\nbase_url = "{endpoint.base_url}"\n'
    toml = at + '[[models]]\nid = "m"\nendpoint = "e"\nthinking = "switchable"'
    none = {"OPENAI_BASE_URL": "", "OPENAI_MODEL": "", "OPENAI_API_KEY": ""}
    site = make_site(MODELS=toml, TITLES="on", **none)
    ada = join(site)
    conversation = ada.ask(QUESTION)
    with ada.socket(conversation, query_of(ada, conversation)) as socket:
        await_frame(socket, "9.8.")
        ada.await_end(conversation)  # which does not wait for the title
        endpoint.open("go on")
        frame = await_frame(socket, "&lt;b&gt;Decimals&lt;/b&gt;")
    assert 'id="title"' in frame
    assert "&lt;b&gt;Decimals&lt;/b&gt;</h1>" in ada.http.get(conversation).text


def test_titles_that_people_gave_before_are_theirs():
    ada = person()
    for question in ("Why? " * 100, "How?"):
        queued(ada, question)
    Conversation.objects.filter(title="How?").update(title="Mine")
    import_module("conversations.migrations.0031_title_source").note_titles_of_people(apps, None)
    sources = dict(Conversation.objects.values_list("title", "title_source"))
    assert sources.pop("Mine") == TitleSource.PERSON
    assert list(sources.values()) == [TitleSource.AUTOMATIC]
