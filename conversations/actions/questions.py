"""Questions and answers: ask, edit, answer again, continue, stop, cancel, choose a version."""

import uuid
from collections.abc import Callable, Collection, Sequence

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from conversations import limits
from conversations.actions.attachments import check_files, copy_files, send_files
from conversations.actions.queueing import choose_for, queue, queue_answer
from conversations.actions.refusals import Refused, by_limit
from conversations.actions.rows import delete_row, lock, lock_unless_held
from conversations.events import Topic, publish
from conversations.inference.allowance import release_unused
from conversations.inference.choice import AS_BEFORE, Choice
from conversations.models import Attachment, Conversation, Generation, Message, Role, Status, User
from conversations.models.conversation import title_from


def send_message(
    *,
    user: User,
    content: str,
    key: uuid.UUID | None = None,
    choice: Choice = AS_BEFORE,
    conversation: Conversation | None = None,
    files: Sequence[uuid.UUID] = (),
) -> Generation:
    """Create a prompt, an empty answer and a queued generation; return the generation.

    `files` are ids of attachments that were not sent yet.

    Also create the conversation if it is not given. Using a `key` again returns the generation created with it. Raises
    `Refused`, also by a limit or a `choice` that is not offered, like all actions that queue a generation.
    """

    def write() -> Generation:
        nonlocal conversation
        if sentence := limits.would_reach(user.pk, content):
            raise by_limit(sentence)
        if conversation is None:
            conversation = Conversation.objects.create(owner=user, title=title_from(content))
        conversation = lock(conversation)
        prompt = Message.objects.create(
            conversation=conversation, parent_id=conversation.leaf_id, role=Role.USER, content=content
        )
        chosen = choose_for(user, choice, conversation)
        check_files(content, send_files(prompt, user, files), chosen)
        return queue_answer(conversation, prompt, key, chosen)

    return _once(user, key, write)


def edit(
    *,
    user: User,
    prompt: Message,
    content: str,
    key: uuid.UUID | None = None,
    choice: Choice = AS_BEFORE,
    files: Sequence[uuid.UUID] = (),
    without: Collection[uuid.UUID] = (),
) -> Generation:
    """Create another version of `prompt` and queue its answer; return the generation.

    It has the same files, except the attachments `without`, and then `files`, which were not sent yet. Live generations
    below the old version are stopped. The answer's model and depth are those of the old answer, unless others are
    chosen.
    """

    def write() -> Generation:
        conversation = lock(prompt.conversation)
        for generation in Generation.objects.live_below(prompt):
            _stop_for_another(generation)
        edited = Message.objects.create(
            conversation=conversation, parent_id=prompt.parent_id, role=Role.USER, content=content
        )
        before = Generation.objects.filter(message__parent=prompt).order_by("-pk")[:1]
        chosen = choose_for(user, choice, *before, conversation)
        kept = copy_files(prompt, edited, without)
        check_files(content, [*kept, *send_files(edited, user, files, len(kept))], chosen)
        return queue_answer(conversation, edited, key, chosen)

    return _once(user, key, write)


def regenerate(*, user: User, message: Message, key: uuid.UUID | None = None, choice: Choice = AS_BEFORE) -> Generation:
    """Queue another generation for an answer and return it; if the answer is live, return its generation.

    If the answer has text, the new text becomes another version. Its model and depth stay unless others are chosen.
    """

    def write() -> Generation:
        conversation = lock(message.conversation)
        # Read after locking, so that of a double click the second sees the first.
        return _regenerate(user, conversation, Message.objects.get(pk=message.pk), key, choice)

    return _once(user, key, write)


def continue_answer(*, user: User, message: Message, key: uuid.UUID | None = None) -> Generation:
    """Queue the continuation of an answer and return it; if the answer is live, return its generation.

    An answer without content is regenerated, and so is one that was imported.
    """

    def write() -> Generation:
        conversation = lock(message.conversation)
        current = Message.objects.get(pk=message.pk)
        if not current.content or current.is_live or current.is_imported:
            return _regenerate(user, conversation, current, key)
        if sentence := limits.too_long_to_continue(current):
            raise Refused(sentence, conversation)
        choice = choose_for(user, AS_BEFORE, *current.generation_list[-1:], conversation)
        same = current.generation.instructions if current.generation else {}
        return queue(conversation, current, key, choice, joined_at=len(current.content), **same)

    return _once(user, key, write)


def answer_now(*, user: User, generation: Generation, key: uuid.UUID | None = None) -> Generation:
    """Stop a generation that is thinking, and queue an answer without thinking; return the new generation.

    The reasoning is kept as another version. If the generation is queued or has answer text, return it unchanged.
    """

    def write() -> Generation:
        conversation = lock(generation.conversation)
        current = Generation.objects.select_related("message__parent").get(pk=generation.pk)
        message, prompt = current.message, current.message.prompt
        if current.status in (Status.QUEUED, Status.ANSWERING) or message.content:
            return current
        if earlier := Generation.objects.live().filter(message__parent=prompt, without_thinking=True).first():
            return earlier
        if current.is_live:
            _stop_for_another(current)
        choice = choose_for(user, AS_BEFORE, current, conversation)
        answer = queue_answer(conversation, prompt, key, choice, without_thinking=True, **current.instructions)
        if current.is_live:
            _reparent(conversation, message, answer.message)
        return answer

    return _once(user, key, write)


def cancel(*, generation: Generation) -> tuple[str, list[Attachment]] | None:
    """Delete a queued generation, with its answer and prompt unless they have other text; None if it has started.

    Return the prompt's text and files if the prompt was deleted, otherwise "" and none; the files can be sent again.
    Later prompts are attached to what came before. An empty conversation is deleted. Raises `Held`.
    """
    with transaction.atomic():
        conversation = lock_unless_held(generation.conversation, "You cannot remove this question, only stop it")
        # Locked, so that no worker can claim it from here on.
        queued = Generation.objects.select_for_update().filter(pk=generation.pk, status=Status.QUEUED).first()
        if queued is None:
            return None
        queued.delete()
        publish(Topic.CONVERSATION_CHANGED, conversation.pk)
        publish(Topic.LIST_CHANGED, conversation.owner_id, conversation.pk)
        answer = Message.objects.select_related("parent").get(pk=generation.message_id)
        if answer.generation is not None:
            return "", []
        prompt = answer.prompt
        other = prompt.children.exclude(pk=answer.pk).last()
        before = other.pk if other else prompt.parent_id
        answer.children.update(parent=before)
        was_shown = conversation.leaf_id == answer.pk
        if not other:  # they can be sent with another question
            unsent = {"message": None, "composer": conversation, "created_at": timezone.now()}
            files = list(Attachment.objects.filter(message=prompt).with_files())
            Attachment.objects.filter(message=prompt).update(**unsent)
        (answer if other else prompt).delete()
        if not conversation.messages.exists():
            conversation.waiting_files.update(composer=None)
            delete_row(conversation)
        elif was_shown:
            Conversation.objects.filter(pk=conversation.pk).update(leaf=conversation.tree().newest_leaf(before))
        return ("", []) if other else (prompt.content, files)


def select(*, message: Message) -> None:
    """Show the branch through `message`, down to its newest leaf."""
    leaf = message.conversation.tree().newest_leaf(message.pk)
    Conversation.objects.filter(pk=message.conversation_id).update(leaf=leaf)
    publish(Topic.CONVERSATION_CHANGED, message.conversation_id)


def stop(*, generation: Generation) -> None:
    """Stop a generation: at once if it is queued, otherwise by a request to its worker."""
    is_queued = Q(status=Status.QUEUED)
    try:
        # One statement, so that a generation that is claimed or requeued meanwhile is stopped too.
        Generation.objects.live().filter(pk=generation.pk).update(
            stop_requested=True,
            status=Case(When(is_queued, then=Value(Status.STOPPED)), default=F("status")),
            finished_at=Case(When(is_queued, then=Value(timezone.now())), default=F("finished_at")),
        )
    finally:
        # A worker in reach stops even if this could not be written.
        publish(Topic.STOP_REQUESTED, generation.pk)
    publish(Topic.LIST_CHANGED, generation.owner_id, generation.conversation_id)
    publish(Topic.CONVERSATION_CHANGED, generation.conversation_id)


def _once(user: User, key: uuid.UUID | None, write: Callable[[], Generation]) -> Generation:
    """Run `write` in a transaction. If this user has used `key` before, return the generation created with it."""
    try:
        with transaction.atomic():
            return write()
    except (IntegrityError, Refused):
        # The unique constraint finds used keys without a query, also between concurrent requests.
        # Also in a conversation that was deleted: its page then says so.
        earlier = Generation.objects.filter(owner=user, key=key) if key else Generation.objects.none()
        if generation := earlier.first():
            return generation
        raise


def _regenerate(
    user: User, conversation: Conversation, message: Message, key: uuid.UUID | None, asked: Choice = AS_BEFORE
) -> Generation:
    generation = message.generation
    if generation is not None and generation.is_live:
        return generation
    choice = choose_for(user, asked, *message.generation_list[-1:], conversation)
    if generation is None or choice.model != generation.model:
        files = Attachment.objects.of_messages([message.parent_id]).get(message.parent_id or 0, ())
        check_files(message.prompt.content, files, choice)
    if message.content or message.reasoning or message.is_imported:
        return queue_answer(conversation, message.prompt, key, choice)
    without_thinking = generation is not None and generation.without_thinking and not asked.depth
    return queue(conversation, message, key, choice, without_thinking=without_thinking)


def _stop_for_another(generation: Generation) -> None:
    """Stop a generation that its owner replaces: the new one can have the tokens that it has reserved and not used."""
    stop(generation=generation)
    if generation.reserved_tokens is not None:
        release_unused(generation)


def _reparent(conversation: Conversation, old: Message, new: Message) -> None:
    """Move the prompts below the answer `old` to the answer `new`, and their generations behind its own."""
    queued = list(Generation.objects.live_below(old).filter(status=Status.QUEUED).order_by("pk").select_for_update())
    old.children.update(parent=new)
    conversation.leaf_id = conversation.tree().newest_leaf(new.pk)
    conversation.save(update_fields=["leaf"])
    # A conversation's queue is ordered by primary key, so these rows are inserted again.
    for generation in queued:
        generation.delete()
        generation.save(force_insert=True)
        publish(Topic.GENERATION_QUEUED, generation.pk)
