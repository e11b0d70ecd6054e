"""Links by which owners let others read a part of a conversation."""

import base64
import hashlib
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from conversations.models.conversation import Conversation
from conversations.models.message import Message
from conversations.models.words import count_words

if TYPE_CHECKING:
    from conversations.models.user import User

REASON_CHARACTERS = 200
TOKEN_BYTES = 24


class Audience(models.TextChoices):
    MEMBERS = "members", "People who sign in here"
    PUBLIC = "public", "Everyone who has the link, without signing in"


class Pin(NamedTuple):
    """What a share shows of a message: numbers of characters, and the newest generation that it includes."""

    message: int
    content: int
    reasoning: int
    generation: int  # 0 for a question


class ShareQuerySet(models.QuerySet["Share"]):
    def visible_to(self, user: "User | int") -> "ShareQuerySet":
        """Keep those that this person has created. Only they manage them."""
        return self.filter(owner=user, conversation__deleted_at=None)

    def active(self) -> "ShareQuerySet":
        return self.filter(revoked_at=None, ended_at=None, expires_at__gt=timezone.now())

    def ended(self) -> "ShareQuerySet":
        return self.filter(~Q(revoked_at=None) | ~Q(ended_at=None) | Q(expires_at__lte=timezone.now()))

    def readable(self) -> "ShareQuerySet":
        """Keep those whose links work now: see docs/sharing.md."""
        if settings.SHARING == "off":
            return self.none()
        return self.active().filter(owner__is_active=True, conversation__deleted_at=None)

    def with_token(self, token: str) -> "ShareQuerySet":
        return self.filter(token_hash=hash_token(token))


class Share(models.Model):
    """A link to a part of a conversation. It copies nothing: `pins` names the messages, and how much of each it shows.

    Answers that are written later, edits and new titles do not change what it shows; what is deleted is gone from it.
    Whoever deletes reasoning therefore sets `with_reasoning` to False.
    Only a hash of the token is stored. The token is derived from the id and SECRET_KEY, so that the owner can see the
    link again, and whoever has only the database cannot.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without constraints in Django's sense: a version from before this table, side by side or after a rollback, can
    # delete users and conversations. The database deletes these rows with them (migration 0034).
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="shares", db_constraint=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="shares", db_constraint=False)
    token_hash = models.CharField(max_length=64, unique=True)
    audience = models.CharField(max_length=7, choices=Audience, db_default=models.Value(Audience.MEMBERS))
    with_reasoning = models.BooleanField(db_default=False)
    with_files = models.BooleanField(db_default=False)
    pins = models.JSONField()  # a list of `Pin`, in the order of the messages
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)  # by its owner
    ended_at = models.DateTimeField(null=True)  # by a reviewer, for this reason, which the owner sees
    end_reason = models.CharField(max_length=REASON_CHARACTERS, db_default="", blank=True)
    visits = models.PositiveBigIntegerField(db_default=0)

    objects = ShareQuerySet.as_manager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Share {self.pk}"

    @property
    def token(self) -> str:
        """Return the token of the link; "" if the site's SECRET_KEY has changed since."""
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        tokens = (make_token(self.pk, key) for key in keys)
        return next((token for token in tokens if hash_token(token) == self.token_hash), "")

    @property
    def needs_sign_in(self) -> bool:
        return self.audience != Audience.PUBLIC or settings.SHARING != "public"

    @property
    def is_active(self) -> bool:
        return self.revoked_at is None and self.ended_at is None and self.expires_at > timezone.now()

    @property
    def pinned(self) -> list[Pin]:
        return [Pin(*numbers) for numbers in self.pins]

    def count_visit(self) -> bool:
        """Count a visit; return False if the link has ended meanwhile."""
        return bool(Share.objects.readable().filter(pk=self.pk).update(visits=F("visits") + 1))

    def read(self, pins: Sequence[Pin]) -> list[Message]:
        """Return these messages as the share shows them, each with all that pages need; few queries.

        Messages that were deleted meanwhile are left out, and so is reasoning that was deleted.
        """
        by_id = {pin.message: pin for pin in pins}
        messages = self.conversation.read(self.conversation.tree(), list(by_id), reasoning=self.with_reasoning)
        for message in messages:
            pin = by_id[message.pk]
            message.content = message.content[: pin.content]
            # Texts only grow, so a shorter one is of a later thought: that of the pin was deleted.
            is_shared = self.with_reasoning and len(message.reasoning) >= pin.reasoning
            message.reasoning = message.reasoning[: pin.reasoning] if is_shared else ""
            message.reasoning_words = count_words(message.reasoning)
            message.generation_list = [each for each in message.generation_list if each.pk <= pin.generation]
            message.outline, message.rating, message.versions = None, None, [message.pk]
            message.files = message.files if self.with_files else ()
        return messages


class SharedCopy(models.Model):
    """Says when somebody copied what a link shows, whether or not they have deleted the copy, for a limit of a day."""

    # Without a constraint in Django's sense, like `Share.owner` (migration 0041).
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="shared_copies", db_constraint=False
    )
    made_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Shared copy {self.pk}"


def make_token(pk: uuid.UUID, key: str) -> str:
    """Return the token of the share with this id."""
    digest = salted_hmac("share", pk.hex, secret=key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).decode()


def hash_token(token: str) -> str:
    # Tokens are random, so no slow hash is needed.
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
