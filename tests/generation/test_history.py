"""What a generation reads before it asks: what fits of its conversation, and images."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.files.base import ContentFile, File
from django.core.files.storage import InMemoryStorage, default_storage

from conversations import storage as storage_of_files
from conversations.generation import commit, history
from conversations.generation.committer import Committer
from conversations.generation.history import IMAGE_SECONDS, IMAGE_THREADS, read_images, read_prompt
from conversations.generation.runner import Run
from conversations.inference.endpoint import OpenModel, open_models
from conversations.inference.files import data_url
from conversations.inference.prompt import Prompt, build_prompt
from conversations.models import (
    Attachment,
    Conversation,
    FileState,
    Generation,
    Message,
    Role,
    Status,
    StoredFile,
    Worker,
)
from conversations.threads import run_in_thread
from tests.endpoint import Endpoint as Server
from tests.factories import attached, person, queued
from tests.models import model, registry

pytestmark = pytest.mark.django_db(transaction=True)
PICTURE = b"a picture"


class HangingStorage(InMemoryStorage):
    """A storage that opens no file until the test allows it. `opening` is released by each that waits for that."""

    allowed: threading.Event
    opening: threading.Semaphore

    def _open(self, name: str, mode: str = "rb") -> File:
        self.opening.release()
        assert self.allowed.wait(60)
        return super()._open(name, mode)


@pytest.fixture
def storage(settings) -> Iterator[type[HangingStorage]]:
    HangingStorage.allowed, HangingStorage.opening = threading.Event(), threading.Semaphore(0)
    backend = {"BACKEND": f"{__name__}.HangingStorage"}
    settings.STORAGES = {**settings.STORAGES, "default": backend}
    yield HangingStorage
    HangingStorage.allowed.set()


@pytest.fixture
async def opened(endpoint: Server, settings) -> AsyncIterator[OpenModel]:
    settings.MODELS = registry(model(endpoint.base_url, images=True))
    models = await open_models()
    yield models.by_id["m"]
    await models.close()


def claimed_with_image(worker: Worker, name: str) -> commit.Claim:
    """Return the claim of an answer to a question with an image."""
    generation = queued(person(name), "What is it?")
    facts = {"size": 1, "bytes": 1 + len(PICTURE), "picture_type": "image/png", "state": FileState.STORED}
    stored = StoredFile.objects.create(owner=generation.owner, sha256=name, **facts)
    default_storage.save(stored.picture_name, ContentFile(PICTURE))
    prompt = generation.message.prompt
    Attachment.objects.create(owner=generation.owner, stored=stored, message=prompt, name="dot.png")
    claim = commit.claim(worker.pk, generation.pk)
    assert claim
    return claim


async def test_a_storage_that_hangs_does_not_stop_the_heartbeat(
    storage: type[HangingStorage], opened: OpenModel, endpoint: Server, settings
):
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.STREAM_THREADS))
    worker = await Worker.objects.acreate(reads_files=True)
    committer = Committer({})
    committer.worker_id = worker.pk
    names = [f"ada{number}" for number in range(settings.STREAM_THREADS)]
    claims = [await run_in_thread(claimed_with_image, worker, name) for name in names]
    answering = [asyncio.create_task(Run(claim, lambda: worker.pk, opened).run()) for claim in claims]
    assert await in_another_thread(lambda: all(storage.opening.acquire(timeout=10) for _ in range(IMAGE_THREADS)))
    async with asyncio.timeout(10):
        await committer.commit()
    assert (await Worker.objects.aget()).beat == worker.beat + 1
    assert not any(task.done() for task in answering)
    storage.allowed.set()
    await asyncio.gather(*answering)
    assert {each.status async for each in Generation.objects.all()} == {Status.COMPLETE}
    pictures = [exchange.body["messages"][-1]["content"][0]["image_url"]["url"] for exchange in endpoint.exchanges]
    assert pictures == [data_url(PICTURE, "image/png")] * len(names)


async def test_an_answer_does_not_wait_for_images_without_end(
    monkeypatch: pytest.MonkeyPatch, storage: type[HangingStorage], opened: OpenModel, endpoint: Server
):
    monkeypatch.setattr(history, "IMAGE_SECONDS", 1)
    worker = await Worker.objects.acreate(reads_files=True)
    claim = await run_in_thread(claimed_with_image, worker, "ada")
    async with asyncio.timeout(10):
        await Run(claim, lambda: worker.pk, opened).run()
    generation = await Generation.objects.aget()
    assert (generation.status, endpoint.exchanges) == (Status.FAILED, [])
    assert "the site's storage is not available" in generation.error
    assert storage.opening.acquire(blocking=False)


async def test_each_image_of_a_prompt_has_its_own_time(monkeypatch: pytest.MonkeyPatch):
    loop, late = asyncio.get_running_loop(), 0.0
    now = loop.time

    def read(_: StoredFile) -> bytes:
        nonlocal late
        late += 0.8 * IMAGE_SECONDS
        return PICTURE

    monkeypatch.setattr(loop, "time", lambda: now() + late)
    monkeypatch.setattr(storage_of_files, "read_picture", read)
    stored = StoredFile(picture_type="image/png")
    parts = [{"type": "image_url", "image_url": {"url": name}} for name in "ab"]
    await read_images(Prompt([{"role": "user", "content": parts}], None, 0, images=dict.fromkeys("ab", stored)))
    assert [part["image_url"]["url"] for part in parts] == [data_url(PICTURE, "image/png")] * 2


@pytest.fixture
def long_conversation(settings) -> Generation:
    """The generation of an answer to the last question of a conversation with long and empty answers and a file."""
    settings.SYSTEM_PROMPT = "Be brief."
    generation = queued(person(), "Q1 é")
    for number, answer in enumerate(["short", "", "ü" * 3_000, "", "x" * 900, "\N{ROCKET}" * 200], 2):
        Message.objects.filter(pk=generation.message_id).update(content=answer)
        Generation.objects.update(status=Status.COMPLETE)
        generation = queued(generation.owner, f"Q{number} " + "word " * 50 * number, generation.conversation)
        if number == 4:
            attached(generation.message.prompt, "secret " * 300)
    return generation


@pytest.mark.parametrize("is_continuation", [False, True])
@pytest.mark.parametrize("room", [0, 100, 400, 1_100, 2_000, 4_500, 6_000, 100_000])
def test_what_is_loaded_is_what_fits(room: int, is_continuation: bool, long_conversation: Generation):
    generation, facts = long_conversation, {"context_tokens": room + 400, "max_output_tokens": 400}
    if is_continuation:
        Message.objects.filter(pk=generation.message_id).update(content="A cut answer")
        Generation.objects.filter(pk=generation.pk).update(joined_at=11)
    whole = list(generation.conversation.messages.order_by("pk"))[: None if is_continuation else -1]
    sizes = {"context_tokens": room + 400, "output_tokens": 400, "system": "Be brief."}
    expected = build_prompt(whole, **sizes, attached=Attachment.objects.of_messages([each.pk for each in whole]))
    claim = commit.claim(Worker.objects.create(reads_files=True).pk, generation.pk)
    assert claim
    _, prompt, last = read_prompt(claim, model(**facts))
    assert prompt == expected
    assert last == whole[-1]


def test_text_that_is_not_sent_is_not_loaded():
    generation, texts = queued(person()), 40
    Generation.objects.update(status=Status.COMPLETE)
    for _ in range(texts):
        question = Message(conversation=generation.conversation, parent=generation.message, role=Role.USER)
        question.content = "\N{ROCKET}" + "word " * 40_000
        question.save()
        answer = Message.objects.create(conversation=question.conversation, parent=question, role=Role.ASSISTANT)
        generation.message = answer
    Conversation.objects.update(leaf=generation.message)
    last = queued(generation.owner, "And now?", generation.conversation)
    claim = commit.claim(Worker.objects.create(reads_files=True).pk, last.pk)
    assert claim
    tracemalloc.start()
    try:
        _, prompt, _ = read_prompt(claim, model(context_tokens=8_000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [message["content"] for message in prompt.messages] == ["And now?"]
    assert peak < 10 * len(question.content) < texts * len(question.content)


async def in_another_thread(function: Callable[[], Any]) -> Any:
    """Call a function in a thread that is none of the loop's."""
    with ThreadPoolExecutor(1) as threads:
        return await asyncio.get_running_loop().run_in_executor(threads, function)
