"""Conversations with known words, and a user for each role that might read them."""

from datetime import timedelta

from django.contrib.auth.models import Group, Permission
from django.utils import timezone

from conversations.actions import save_instructions
from conversations.models import Conversation, Generation, Message, Status, User
from conversations.models.permissions import EXPORT, LIST, READ, REASONING
from conversations.rendering import outlines
from tests.factories import attached, person, queued

WORDS = {"title": "The title", "prompt": "Why?", "answer": "Because.", "version": "So.", "reasoning": "Let me think."}
WORDS |= {"instructions": "Answer in verse.", "everywhere": "Be brief.", "file": "A text.", "name": "notes"}
# Of the outline, as if it were of an earlier text: whoever may not read the reasoning must not see it.
LABEL = "The label of a step"
CONTENT = WORDS.keys() - {"reasoning"}
# The permissions of each role, and which of the words it may see.
ROLES = {
    "anonymous": ((), set()),
    "user": ((), set()),
    "superuser": ((), set()),
    "list-only": ((LIST,), set()),
    "reader": ((LIST, READ), CONTENT),
    "reader with reasoning": ((LIST, READ, REASONING), CONTENT | {"reasoning"}),
    "reasoning without reading": ((LIST, REASONING), set()),
    "exporter": ((LIST, READ, EXPORT), CONTENT),
    "exporter without reading": ((LIST, EXPORT), set()),
    "scoped reviewer": ((LIST, READ, REASONING, EXPORT), set()),
}


def make_user(role: str) -> User | None:
    """Return a user with this role; None for "anonymous"."""
    codenames, _ = ROLES[role]
    if role == "anonymous":
        return None
    user = person(role.replace(" ", "-"))
    user.is_staff = role != "user"
    user.is_superuser = role == "superuser"
    user.review_limited = role == "scoped reviewer"
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    if user.review_limited:
        user.review_groups.add(Group.objects.create(name="Another group"))
    return user


def make_conversation(owner: User, **words: str) -> Conversation:
    """Return a conversation whose answer has two versions; `words` replace those of `WORDS`.

    It has instructions, and its owner has others for all conversations; both were sent with the answer.
    """
    words = WORDS | words
    save_instructions(user=owner, content=words["everywhere"])
    generation = queued(owner, words["prompt"])
    save_instructions(user=owner, conversation=generation.conversation, content=words["instructions"])
    own = generation.conversation.instruction_versions.get()
    Generation.objects.filter(pk=generation.pk).update(conversation_instructions=own)
    conversation, answer = generation.conversation, generation.message
    attached(answer.prompt, words["file"], f"{words['name']}.txt")
    Conversation.objects.filter(pk=conversation.pk).update(title=words["title"])
    other = Message.objects.create(
        conversation=conversation, parent=answer.parent, role="assistant", content=words["version"]
    )
    for message in (answer, other):
        Generation.objects.filter(message=message).update(status=Status.COMPLETE)
    Message.objects.filter(pk=answer.pk).update(content=words["answer"], reasoning=words["reasoning"])
    if words["reasoning"]:
        outline = outlines.build(words["reasoning"])
        steps = [step._replace(label=LABEL) for step in outline.steps]
        Message.objects.filter(pk=answer.pk).update(outline=outlines.stored(outline._replace(steps=steps)))
    conversation.refresh_from_db()
    return conversation


def answered(owner: User, seconds: float, status: str = Status.COMPLETE, **fields: object) -> Generation:
    """Return a generation that started an hour ago and took so many seconds, the first half until it reasoned."""
    generation = queued(owner, "canarypromptzq")
    start = timezone.now() - timedelta(hours=1)
    values = {"created_at": start, "started_at": start, "first_thought_at": start + timedelta(seconds=seconds / 2)}
    values |= {"finished_at": start + timedelta(seconds=seconds), "status": status, "model": "test-model"} | fields
    Generation.objects.filter(pk=generation.pk).update(**values)
    generation.refresh_from_db()
    return generation
