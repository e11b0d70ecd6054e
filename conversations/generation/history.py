"""Read what a generation sends to the endpoint."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from conversations import storage
from conversations.generation.commit import Claim
from conversations.inference.allowance import Bytes
from conversations.inference.errors import FileUnavailable
from conversations.inference.files import data_url, image_parts, tokens_of_files
from conversations.inference.instructions import stored_system, system_pieces, system_text
from conversations.inference.prompt import NO_FILES, Prompt, Size, build_prompt, choose_start, prompt_room
from conversations.inference.registry import Model
from conversations.models import Attachment, Conversation, Generation, Instructions, Message, StoredFile
from conversations.models.prepared import prepared

IMAGE_SECONDS = 30.0  # until the next image of a prompt is read
# Not the threads of commits and heartbeats, which would wait for a storage that hangs. They do not use the database.
IMAGE_THREADS = 4
_image_threads = ThreadPoolExecutor(IMAGE_THREADS, thread_name_prefix="images")


def read_prompt(claimed: Claim, model: Model) -> tuple[Generation, Prompt, Message]:
    """Return the generation, its prompt for `model`, and the last message of that.

    That is a question, or the answer to continue. `read_images` completes the prompt. Raises `Generation.DoesNotExist`
    if it was deleted after the claim.
    """
    found = _generation(claimed.generation_id)
    if not found:
        raise Generation.DoesNotExist
    [generation] = found
    conversation = Conversation(claimed.conversation_id)
    tree = conversation.tree()
    path = tree.path_to(generation.message_id)[: None if generation.is_continuation else -1]
    ids = [pk for pk in generation.instructions.values() if pk]
    system = system_pieces(settings.SYSTEM_PROMPT, _instructions(ids) if ids else ())
    limits = {"context_tokens": model.context_tokens, "output_tokens": model.profile.max_output_tokens}
    # Only what is sent is loaded: a conversation can have hundreds of times as much.
    rows = _without_text(path)
    with_files = [pk for pk, *_, has_files in rows if has_files]
    attached = Attachment.objects.of_messages(with_files) if with_files else NO_FILES
    sizes = {pk: Size(role, size, tokens_of_files(attached, pk)) for pk, role, size, _ in rows}
    path = [pk for pk in path if pk in sizes]  # without messages that were deleted meanwhile
    start, _ = choose_start([sizes[pk] for pk in path], system_text(system), prompt_room(**limits))
    by_id = {message.pk: message for message in _without_reasoning(path[start:])}
    history = [by_id[pk] for pk in path[start:] if pk in by_id]
    if not history:
        raise Generation.DoesNotExist
    if generation.is_continuation:
        history[-1:] = conversation.read(tree, path[-1:])
    prompt = build_prompt(
        history, system=system_text(system), **limits, attached=attached, takes_images=model.profile.images
    )
    if start:  # earlier turns were not even loaded
        prompt = replace(prompt, context_start=prompt.context_start or history[0])
    return generation, replace(prompt, system=stored_system(system)) if ids else prompt, history[-1]


async def read_images(prompt: Prompt) -> None:
    """Put the images into the messages of a prompt, one after the other. Raises `FileUnavailable`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(IMAGE_SECONDS) as deadline:
            for part in image_parts(prompt.messages):
                stored = prompt.images[part["image_url"]["url"]]
                part["image_url"]["url"] = await loop.run_in_executor(_image_threads, _data_url, stored)
                deadline.reschedule(loop.time() + IMAGE_SECONDS)
    except storage.StorageError as error:
        raise FileUnavailable(str(error)) from error
    except TimeoutError as error:
        raise FileUnavailable(f"an image was not read within {IMAGE_SECONDS:.0f} s") from error


def _data_url(stored: StoredFile) -> str:
    return data_url(storage.read_picture(stored), stored.picture_type)


@prepared
def _generation(pk: Any) -> QuerySet[Any]:
    return Generation.objects.filter(pk=pk)


@prepared
def _instructions(ids: Any) -> QuerySet[Any]:
    return Instructions.objects.filter(pk__in=ids)


@prepared
def _without_text(messages: Any) -> QuerySet[Any]:
    found = Message.objects.filter(pk__in=messages).with_has_files()
    return found.values_list("pk", "role", Bytes("content"), "has_files")


@prepared
def _without_reasoning(messages: Any) -> QuerySet[Any]:
    return Message.objects.filter(pk__in=messages).defer("reasoning", "outline")
