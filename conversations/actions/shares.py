"""Links to conversations: create and revoke one, and copy what one shows into a conversation of the reader's own."""

from datetime import timedelta
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations import limits
from conversations.actions.refusals import Refused
from conversations.actions.rows import lock_user
from conversations.events import Topic, publish
from conversations.models import (
    Attachment,
    Audience,
    Conversation,
    FileState,
    LegalHold,
    Message,
    Share,
    SharedCopy,
    Source,
    StoredFile,
    User,
)
from conversations.models.conversation import title_from
from conversations.models.share import Pin, hash_token, make_token

ACTIVE_SHARES = 50  # of one person
ENDED_SHARES = 100  # that are kept of one person, besides those under a legal hold
SHARED_MESSAGES = 1_000
COPIES_PER_DAY = 50  # that one person makes in 24 hours, those included that they delete
DAYS = (1, 7, 30, 90, 365)  # until a link expires
BATCH = 50  # messages that are copied at a time


def create_share(
    *, conversation: Conversation, audience: str, days: int, with_reasoning: bool, with_files: bool
) -> Share:
    """Create a link to the messages that the conversation shows now. Raises `Refused`.

    A legal hold allows it: nothing is deleted or overwritten.
    """
    owner_id = conversation.owner_id
    if settings.SHARING == "off" or (audience == Audience.PUBLIC and settings.SHARING != "public"):
        raise Refused("This site does not allow this kind of link. Reload the page, then choose another.", conversation)
    with transaction.atomic():
        lock_user(owner_id)
        # Also those of conversations whose deletion can be undone.
        if Share.objects.filter(owner=owner_id).active().count() >= ACTIVE_SHARES:
            raise Refused(f"You have {ACTIVE_SHARES} links that work. Revoke one, then try again.", conversation)
        ended = Share.objects.visible_to(owner_id).ended().order_by("-created_at")[ENDED_SHARES:]
        old = dict(ended.values_list("pk", "conversation_id"))
        # In the order in which retention locks them. Placing a legal hold waits for this: see `LegalHold`.
        ids = {conversation.pk, *old.values()}
        locked = Conversation.objects.select_for_update().filter(pk__in=ids).order_by("pk").in_bulk()
        if conversation.pk not in locked:
            raise Conversation.DoesNotExist
        pins = _pins(locked[conversation.pk])
        now, pk = timezone.now(), uuid4()
        share = Share.objects.create(
            pk=pk,
            owner_id=owner_id,
            conversation=conversation,
            token_hash=hash_token(make_token(pk, settings.SECRET_KEY)),
            audience=audience,
            with_reasoning=with_reasoning,
            with_files=with_files,
            pins=pins,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        for old_pk, about in old.items():
            if not LegalHold.objects.covering(about, owner_id).exists():
                Share.objects.filter(pk=old_pk).delete()
    return share


def revoke_share(*, share: Share) -> None:
    """Revoke a link; do nothing if it has ended already. A legal hold allows it: the row and the messages stay."""
    Share.objects.active().filter(pk=share.pk).update(revoked_at=timezone.now())


def copy_share(*, user: User, share: Share) -> Conversation:
    """Create a conversation of the reader's own with what a link shows; return it. Raises `Refused`.

    It is marked as imported, and so are its messages: its answers have no generations. Raises `Share.DoesNotExist` if
    the link has just ended.
    """
    with transaction.atomic():
        lock_user(user.pk)
        share = Share.objects.readable().select_related("conversation").get(pk=share.pk)
        now = timezone.now()
        made = SharedCopy.objects.filter(owner=user)
        made.filter(made_at__lte=now - timedelta(days=1)).delete()
        if made.count() >= COPIES_PER_DAY:
            raise Refused(f"You have made {COPIES_PER_DAY} copies in the last 24 hours. Try again tomorrow.")
        copy = Conversation.objects.create(
            owner=user, imported_at=now, imported_from=Source.SHARED, source_id=str(share.pk)
        )
        pins, last = share.pinned, None
        for start in range(0, len(pins), BATCH):
            for message in share.read(pins[start : start + BATCH]):
                last = _copy_message(message, copy, last)
                if message.parent_id is None or not copy.title:
                    copy.title = title_from(message.content)
            if sentence := limits.full(user.pk, "copy it again"):
                raise Refused(sentence)
        if last is None:
            raise Share.DoesNotExist
        copy.leaf = last
        copy.save(update_fields=["title", "leaf"])
        SharedCopy.objects.create(owner=user, made_at=now)
        publish(Topic.LIST_CHANGED, user.pk, copy.pk)
    return copy


def _pins(conversation: Conversation) -> list[Pin]:
    """Return what a link to this conversation shows: the branch that it shows now. Raises `Refused`."""
    tree = conversation.tree()
    path = tree.path_to(conversation.leaf_id)
    if not path:
        raise Refused("This conversation has no messages to share. Ask a question first.", conversation)
    if len(path) > SHARED_MESSAGES:
        too_long = f"This conversation is too long: a link can show {SHARED_MESSAGES:,} messages. Export it instead."
        raise Refused(too_long, conversation)
    pins = []
    for start in range(0, len(path), BATCH):
        for message in conversation.read(tree, path[start : start + BATCH], reasoning=True):
            if message.is_live:
                raise Refused(
                    "An answer is still being written. Share the conversation when it has ended.", conversation
                )
            newest = message.generation.pk if message.generation else 0
            pins.append(Pin(message.pk, len(message.content), len(message.reasoning), newest))
    return pins


def _copy_message(message: Message, copy: Conversation, parent: Message | None) -> Message:
    copied = Message.objects.create(
        conversation=copy,
        parent=parent,
        role=message.role,
        content=message.content,
        reasoning=message.reasoning,
        reasoning_words=message.reasoning_words,
        imported=message.imported or {"generations": []},
    )
    for position, attachment in enumerate(message.files):
        if stored := _share_file(copy.owner_id, attachment.stored_id):
            Attachment.objects.create(
                owner_id=copy.owner_id, message=copied, stored=stored, name=attachment.name, position=position
            )
    return copied


def _share_file(owner_id: int, pk: int) -> StoredFile | None:
    """Return a row of this person's for the content of a stored file, without another file; None if it is gone."""
    # Locked, so that it is not deleted before there is another row that needs its file.
    stored = StoredFile.objects.select_for_update().filter(pk=pk, state=FileState.STORED).first()
    if stored is None:
        return None
    same = StoredFile.objects.select_for_update().defer("text")
    if own := same.filter(owner=owner_id, sha256=stored.sha256, state=FileState.STORED).first():
        return own
    stored.shared_key = stored.written_key
    stored.pk, stored.key, stored.owner_id, stored.released = None, uuid4(), owner_id, False
    stored.save(force_insert=True)
    return stored
