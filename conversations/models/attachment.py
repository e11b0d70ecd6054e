"""Files that people attach to their questions. The files themselves are in the storage: see `conversations.storage`."""

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connections, models
from django.db.models import F, Q, Value
from django.db.models.functions import Concat, Substr
from django.utils import timezone

from conversations.models.legal_hold import LegalHold
from conversations.models.words import contains_words

if TYPE_CHECKING:
    from conversations.models.conversation import Conversation
    from conversations.models.user import User

NAME_CHARACTERS = 200
# What a search looks at.
SEARCHED_FILES = 200
SEARCHED_CHARACTERS = 100_000  # of a text
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
    `StoredText`. Rows of several people can share one file: that is deleted with the last of them.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="stored_files", db_constraint=False
    )
    key = models.UUIDField(default=uuid.uuid4, unique=True)
    shared_key = models.UUIDField(null=True)  # the `key` under which another row has written the file; None: its own
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
            ),
            models.Index(fields=["shared_key"], condition=Q(shared_key__isnull=False), name="file_shared"),
        ]

    def __str__(self) -> str:
        return f"Stored file {self.pk}"

    @property
    def written_key(self) -> uuid.UUID:
        """Return the key under which the storage has the file."""
        return self.shared_key or self.key

    @property
    def file_name(self) -> str:
        """Return the name in the storage, which says nothing about the content."""
        return f"files/{self.written_key}"

    @property
    def picture_name(self) -> str:
        return f"pictures/{self.written_key}"

    @property
    def picture_bytes(self) -> int:
        return self.bytes - self.size - self.text_bytes

    @property
    def is_needed_by_others(self) -> bool:
        """Return whether other rows share the file and are not being deleted."""
        same = StoredFile.objects.filter(Q(key=self.written_key) | Q(shared_key=self.written_key))
        return same.exclude(pk=self.pk).exclude(state=FileState.DELETING).exists()


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def visible_to(self, user: "User | int") -> "AttachmentQuerySet":
        """Keep what this person has attached. Nobody else may open it on the site."""
        return self.filter(owner=user, message__conversation__deleted_at=None, composer__deleted_at=None)

    def unsent(self) -> "AttachmentQuerySet":
        return self.filter(message=None)

    def in_composers(self) -> "AttachmentQuerySet":
        """Keep what waits in any composer. What an import that was killed has left is in none, and expires."""
        return self.unsent().filter(Q(composer=None) | Q(composer__owner=F("owner")))

    def in_composer(self, conversation: "Conversation | None") -> "AttachmentQuerySet":
        """Keep what waits in the composer of a conversation or, with None, of the page for a new one."""
        return self.unsent().filter(composer=conversation)

    def unheld(self) -> "AttachmentQuerySet":
        """Exclude what belongs to people under a legal hold."""
        holds = LegalHold.objects.in_force().exclude(user=None)
        return self.exclude(owner__in=holds.values("user"))

    def with_files(self) -> "AttachmentQuerySet":
        """Load the stored files too, without their text, in the order in which they were attached."""
        return self.select_related("stored").defer("stored__text").order_by("position", "created_at")

    def found(self, text: str, number: int, before: int | None = None) -> list["Attachment"]:
        """Return what was sent and contains every word of `text` in its name or text, ignoring case, newest first.

        Of the newest `number` questions with any, of those before the message with the id `before` if given. There is
        no index: only a person's newest `SEARCHED_FILES` are searched, each as `searched`; at most three queries.
        """
        words = text.split()
        sent = self.filter(message__isnull=False).order_by("-message", "position")
        newest = list(sent.values_list("pk", flat=True)[:SEARCHED_FILES]) if words else []
        if not newest:
            return []
        beginning = Substr("stored__text", 1, SEARCHED_CHARACTERS)
        searched = Concat("name", Value("\n"), beginning, output_field=models.TextField())
        found = sent.filter(pk__in=newest).annotate(searched=searched)
        matches = found.filter(*contains_words("searched", words, connections[self.db].vendor))
        pairs = [pair for pair in matches.values_list("message", "pk") if not before or pair[0] < before]
        messages = list(dict.fromkeys(message for message, _ in pairs))[:number]
        shown = found.filter(pk__in=[pk for message, pk in pairs if message in messages])
        return list(shown.select_related("message__conversation"))

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
    # Until it is sent: the conversation whose composer shows it; None for the page for a new one. Without a constraint
    # too; what an earlier version leaves behind expires.
    composer = models.ForeignKey(
        "Conversation",
        models.CASCADE,
        null=True,
        related_name="waiting_files",
        db_constraint=False,
        db_index=False,
    )
    stored = models.ForeignKey(StoredFile, models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=NAME_CHARACTERS)
    position = models.PositiveSmallIntegerField(db_default=0)  # among those of a message
    created_at = models.DateTimeField(default=timezone.now)

    searched: str  # the name, a line break, and the beginning of the text; set by `AttachmentQuerySet.found`

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["created_at"], condition=Q(message=None), name="attachment_unsent"),
            models.Index(fields=["composer"], condition=Q(composer__isnull=False), name="attachment_in_composer"),
        ]

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
