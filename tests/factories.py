"""Rows for tests, created by the site's own actions."""

import hashlib
from datetime import timedelta

from django.core.files.base import ContentFile
from django.utils import timezone
from django.utils.crypto import get_random_string

from conversations import actions, storage
from conversations.generation import commit
from conversations.models import (
    ApiToken,
    Attachment,
    Conversation,
    FileState,
    Generation,
    Message,
    Scope,
    StoredFile,
    User,
    Worker,
)


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


def attached(message: Message, text: str, name: str = "notes.txt") -> Attachment:
    """Return a text file that is attached to a question."""
    attachment = unsent(message.conversation.owner, text, name)
    Attachment.objects.filter(pk=attachment.pk).update(message=message)
    attachment.message = message
    return attachment


def unsent(owner: User, text: str = "The secret is 42.", name: str = "notes.txt") -> Attachment:
    """Return a text file that is stored and not sent yet, without having been read in another process."""
    data = text.encode()
    facts = {"kind": "text", "media_type": "text/plain", "text": text, "text_bytes": len(data)}
    facts |= {"size": len(data), "bytes": 2 * len(data), "state": FileState.STORED}
    digest = hashlib.sha256(data).hexdigest()
    stored, is_new = StoredFile.objects.get_or_create(owner=owner, sha256=digest, defaults=facts)
    if is_new:
        storage.write(stored, ContentFile(data))
    return Attachment.objects.create(owner=owner, stored=stored, name=name)


def shown_messages(conversation: Conversation) -> list[Message]:
    """Return the messages from the first prompt to the leaf."""
    tree = conversation.tree()
    return conversation.read(tree, tree.path_to(conversation.leaf_id))


def api_token(owner: User, *scopes: str, **columns: object) -> tuple[ApiToken, str]:
    """Return a token's row, and the token; with all scopes unless some are given."""
    secret = f"ponder_{get_random_string(43)}"
    facts = {"name": "Script", "scopes": " ".join(scopes or Scope.values), "owner": owner}
    facts |= {"expires_at": timezone.now() + timedelta(days=30)}
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return ApiToken.objects.create(**(facts | {"digest": digest} | columns)), secret
