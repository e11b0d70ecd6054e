"""Rows for tests, created by the site's own actions."""

from conversations import actions
from conversations.generation import commit
from conversations.models import Conversation, Generation, Message, User, Worker


def person(name: str = "ada") -> User:
    return User.objects.create_user(name, f"{name}@example.org", "pw")


def queued(user: User, content: str = "Why?", conversation: Conversation | None = None) -> Generation:
    return actions.send_message(user=user, content=content, conversation=conversation)


def claimed(user: User, worker: Worker | None = None) -> tuple[Worker, commit.Claim]:
    """Return a worker and its claim of a new generation."""
    worker = worker or Worker.objects.create()
    claim = commit.claim(worker.pk, queued(user).pk)
    assert claim is not None
    return worker, claim


def shown_messages(conversation: Conversation) -> list[Message]:
    """Return the messages from the first prompt to the leaf."""
    tree = conversation.tree()
    return conversation.read(tree, tree.path_to(conversation.leaf_id))
