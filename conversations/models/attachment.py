"""Files that people attach to their questions. The files themselves are in the storage: see `conversations.storage`."""

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from conversations.models.legal_hold import LegalHold

if TYPE_CHECKING:
    from conversations.models.user import User

NAME_CHARACTERS = 200
# DeepSeek's documentation counts 0.3 tokens for an English character (one byte in UTF-8) and 0.6 for a Chinese one
# (three bytes): three bytes a token is a safe estimate for both.
BYTES_PER_TOKEN = 3
TOKENS_PER_FILE = 60  # of the lines around its text
# OpenAI counts up to 1,105 tokens for an image, Anthropic up to 1,600:
# https://platform.openai.com/docs/guides/images-vision, https://docs.anthropic.com/en/docs/build-with-claude/vision
IMAGE_TOKENS = 1_600


class FileState(models.TextChoices):
    """Whether the storage has a file: not yet or not entirely, entirely, or not for much longer."""

    WRITING = "writing"
    STORED = "stored"
    DELETING = "deleting"


class StoredFile(models.Model):
    """A file in the storage. All attachments of one person with the same content share it.

    A row exists before the file and until after it, so that no file is left behind by a process that dies. The last
    attachment may be deleted by whatever deletes messages; triggers then set `released`, by which `file_cleanup` finds
    the row (migration 0032). `bytes` is what all of it takes, with picture and text, and counts as the owner's
    `StoredText`.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="stored_files", db_constraint=False
    )
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    state = models.CharField(max_length=8, choices=FileState, db_default=models.Value(FileState.WRITING))
    released = models.BooleanField(db_default=False)
    changed_at = models.DateTimeField(default=timezone.now)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()  # of the file, in bytes
    bytes = models.BigIntegerField()
    kind = models.CharField(max_length=12, db_default="", blank=True)
    media_type = models.CharField(max_length=100, db_default="", blank=True)
    # Of an image, decoded and encoded again: what pages show and models get. Empty for anything else.
    picture_type = models.CharField(max_length=20, db_default="", blank=True)
    width = models.PositiveIntegerField(db_default=0)
    height = models.PositiveIntegerField(db_default=0)
    text_bytes = models.BigIntegerField(db_default=0)
    notice = models.TextField(db_default="", blank=True)  # what of the file the text leaves out
    text = models.TextField(db_default="", blank=True)  # long: queries defer it

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "sha256"], condition=Q(state=FileState.STORED), name="one_stored_file_of_a_content"
            )
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(released=True) | ~Q(state=FileState.STORED), name="file_to_clean_up"
            )
        ]

    def __str__(self) -> str:
        return f"Stored file {self.pk}"

    @property
    def file_name(self) -> str:
        """Return the name in the storage, which says nothing about the content."""
        return f"files/{self.key}"

    @property
    def picture_name(self) -> str:
        return f"pictures/{self.key}"


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, user: "User | int") -> "AttachmentQuerySet":
        """Keep what this person has attached. Nobody else may open it on the site."""
        return self.filter(owner=user)

    def unsent(self) -> "AttachmentQuerySet":
        return self.filter(message=None)

    def unheld(self) -> "AttachmentQuerySet":
        """Exclude what belongs to people under a legal hold."""
        holds = LegalHold.objects.in_force().exclude(user=None)
        return self.exclude(owner__in=holds.values("user"))

    def with_files(self) -> "AttachmentQuerySet":
        """Load the stored files too, without their text, in the order in which they were attached."""
        return self.select_related("stored").defer("stored__text").order_by("position", "created_at")

    def of_messages(self, messages: Any) -> dict[int, list["Attachment"]]:
        """Return the attachments of these messages, by message id; one query."""
        found: dict[int, list[Attachment]] = {}
        for attachment in self.filter(message__in=messages).with_files():
            found.setdefault(attachment.message_id or 0, []).append(attachment)
        return found


class Attachment(models.Model):
    """A file that somebody has attached to a question, or to one that is not sent yet."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Without constraints in Django's sense: a version from before this table, side by side or after a rollback, can
    # delete users and messages. The database deletes these rows with them (migration 0032).
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="attachments", db_constraint=False)
    message = models.ForeignKey("Message", models.CASCADE, null=True, related_name="attachments", db_constraint=False)
    stored = models.ForeignKey(StoredFile, models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=NAME_CHARACTERS)
    position = models.PositiveSmallIntegerField(db_default=0)  # among those of a message
    created_at = models.DateTimeField(default=timezone.now)

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["created_at"], condition=Q(message=None), name="attachment_unsent")]

    def __str__(self) -> str:
        # The name is content, which must not appear in logs and in the administration.
        return f"Attachment {self.pk}"

    @property
    def is_image(self) -> bool:
        return bool(self.stored.picture_type)

    @property
    def tokens(self) -> int:
        """Return about how many tokens it has in a question."""
        return IMAGE_TOKENS if self.is_image else self.stored.text_bytes // BYTES_PER_TOKEN + TOKENS_PER_FILE
