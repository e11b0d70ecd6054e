"""Conversations with words to be looked for, and everybody who might look."""

from django.contrib.auth.models import Group, Permission

from conversations.models import Conversation, Generation, Message, Status, User
from conversations.models.permissions import EXPORT, LIST, READ, REASONING
from tests.factories import person, queued

# What each role was granted, and which of the planted words it may come to see.
ROLES = {
    "anonymous": ((), set()),
    "user": ((), set()),
    "superuser": ((), set()),
    "list-only": ((LIST,), set()),
    "reader": ((LIST, READ), {"title", "prompt", "answer", "version"}),
    "reader with reasoning": ((LIST, READ, REASONING), {"title", "prompt", "answer", "version", "reasoning"}),
    "reasoning without reading": ((LIST, REASONING), set()),
    "exporter": ((LIST, READ, EXPORT), {"title", "prompt", "answer", "version"}),
    "exporter without reading": ((LIST, EXPORT), set()),
    "scoped reviewer": ((LIST, READ, REASONING, EXPORT), set()),
}


def somebody(role: str) -> User | None:
    """Return a person of this role; None for nobody."""
    granted, _ = ROLES[role]
    if role == "anonymous":
        return None
    user = person(role.replace(" ", "-"))
    user.is_staff = role != "user"
    user.is_superuser = role == "superuser"
    user.review_limited = role == "scoped reviewer"
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=granted))
    if user.review_limited:
        user.review_groups.add(Group.objects.create(name="Another group"))
    return user


def planted(owner: User, **words: str) -> Conversation:
    """Return a conversation of `owner` with an answer in two versions; `words` say what stands where."""
    generation = queued(owner, words["prompt"])
    conversation, answer = generation.conversation, generation.message
    Conversation.objects.filter(pk=conversation.pk).update(title=words["title"])
    other = Message.objects.create(
        conversation=conversation, parent=answer.parent, role="assistant", content=words["version"]
    )
    for message in (answer, other):
        Generation.objects.filter(message=message).update(status=Status.COMPLETE)
    Message.objects.filter(pk=answer.pk).update(content=words["answer"], reasoning=words["reasoning"])
    conversation.refresh_from_db()
    return conversation
