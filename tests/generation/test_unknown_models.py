"""Questions for models that a process does not know: they wait, and are claimed where the model is known."""

import logging
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.generation import unknown_models
from conversations.generation.commit import claim
from conversations.generation.live import Cursor, live_text
from conversations.generation.unknown_models import UnknownModels
from conversations.generation.worker import GenerationWorker
from conversations.models import Generation, Status, User, Worker
from conversations.models.generation import CLAIM_SECONDS
from conversations.threads import run_in_thread
from tests.factories import person, queued
from tests.models import model, registry, without_endpoint

pytestmark = pytest.mark.django_db
NOT_AVAILABLE = "The model new is not available at the moment, so this question waits. After about 15 minutes it ends"


def asked(model_id: str, name: str = "ada") -> Generation:
    """Queue a question for a model."""
    generation = queued(person(name))
    Generation.objects.filter(pk=generation.pk).update(model=model_id)
    return generation


def test_a_question_for_an_unknown_model_is_left_in_the_queue_until_a_worker_knows_the_model(settings):
    settings.MODELS = registry(model(model_id="old"))
    worker, generation = Worker.objects.create(), asked("new")
    assert not Generation.objects.claimable().exists()
    assert claim(worker.pk, generation.pk) is None
    generation.refresh_from_db()
    assert (generation.status, generation.attempt) == (Status.QUEUED, 0)
    settings.MODELS = registry(model(model_id="old"), model(model_id="new"))
    assert [found.pk for found in Generation.objects.claimable()] == [generation.pk]
    assert claim(worker.pk, generation.pk).model == "new"


def test_what_waits_for_unknown_models_takes_no_turn_of_its_owners(settings):
    settings.USER_CONCURRENCY, settings.MODELS = 2, registry(model(model_id="old"))
    ada = person()
    waiting = [queued(ada) for _ in range(3)]
    Generation.objects.update(model="new")
    known = queued(ada)
    assert [found.pk for found in Generation.objects.claimable()] == [known.pk]
    assert [found.pk for found in Generation.objects.unclaimable()] == [found.pk for found in waiting[:2]]


def test_a_later_question_of_the_conversation_waits_too(settings):
    settings.MODELS = registry(model(model_id="old"))
    generation = asked("new")
    later = queued(generation.owner, "And?", generation.conversation)
    assert not Generation.objects.claimable().exists()
    assert claim(Worker.objects.create().pk, later.pk) is None


@pytest.mark.django_db(transaction=True)
async def test_pages_say_that_a_question_waits_for_a_model_that_nobody_seems_to_know(async_client, settings):
    async def page() -> str:
        return (await async_client.get(generation.conversation.get_absolute_url())).text

    async def shown() -> tuple[str, bool]:
        """Return what an open page is sent after a sweep, and whether a fresh load says that the question waits."""
        await worker._sweep()
        [frame], _ = live.frames_since(Cursor())
        return frame, NOT_AVAILABLE in await page()

    settings.MODELS = registry(model(model_id="old"))
    worker, generation = GenerationWorker(without_endpoint()), await run_in_thread(lambda: asked("new"))
    await async_client.aforce_login(await User.objects.aget())
    live = live_text(generation.pk, generation.message_id)
    frame, is_said = await shown()
    assert (NOT_AVAILABLE in frame, is_said) == (False, False)  # another process may claim it soon
    await Generation.objects.aupdate(created_at=timezone.now() - timedelta(seconds=CLAIM_SECONDS + 1))
    frame, is_said = await shown()
    assert (NOT_AVAILABLE in frame, is_said) == (True, True)
    assert 'data-action="cancel"' in frame
    live.start(1)
    assert NOT_AVAILABLE not in live.frames_since(Cursor())[0][0]
    settings.MODELS = registry(model(model_id="new"))
    assert NOT_AVAILABLE not in await page()


@pytest.mark.django_db(transaction=True)
async def test_a_question_that_nobody_claims_ends_with_what_to_do(settings, monkeypatch, caplog):
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(unknown_models, "CHECK_SECONDS", 0)
    settings.MODELS = registry(model(model_id="old"))
    generation = await run_in_thread(lambda: asked("new"))
    unknown = UnknownModels()
    assert await unknown.check() == []
    assert "a question waits for the model 'new'" in caplog.text
    await generation.arefresh_from_db()
    assert generation.status == Status.QUEUED
    monkeypatch.setattr(unknown_models, "WAIT_SECONDS", 0)
    assert await unknown.check() == [(generation.owner_id, generation.conversation_id)]
    await generation.arefresh_from_db()
    assert (generation.status, generation.finished_at is None) == (Status.FAILED, False)
    sentence = "The model new is not available on this site any more. Your question has been saved."
    assert generation.error == f"{sentence} Try again with another model."


@pytest.mark.django_db(transaction=True)
async def test_without_any_model_questions_wait_until_one_is_connected(settings, monkeypatch):
    monkeypatch.setattr(unknown_models, "CHECK_SECONDS", 0)
    monkeypatch.setattr(unknown_models, "WAIT_SECONDS", 0)
    settings.MODELS = {}
    generation = await run_in_thread(lambda: asked("new"))
    assert await UnknownModels().check() == []
    await generation.arefresh_from_db()
    assert generation.status == Status.QUEUED
