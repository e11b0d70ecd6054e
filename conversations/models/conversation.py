import uuid
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import connections, models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Substr
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property

from conversations.models import permissions
from conversations.models.attachment import Attachment
from conversations.models.folder import Folder, group_of
from conversations.models.generation import Counts, Depth, Generation
from conversations.models.legal_hold import LegalHold
from conversations.models.message import PAGE_CHARACTERS, Message, MessageQuerySet
from conversations.models.prepared import prepared
from conversations.models.tree import Tree
from conversations.models.words import contains_words

if TYPE_CHECKING:
    from conversations.models.user import User

TITLE_CHARACTERS = 80
LIST_ORDER = ("-placement", "-updated_at", "-id")


class Placement(models.IntegerChoices):
    """Where a conversation is in its owner's list: above the others, or only on the page of archived ones."""

    ARCHIVED = 0
    LISTED = 1
    PINNED = 2


class TitleSource(models.TextChoices):
    """What a title is: the first question's words, made by a model, or given by its owner."""

    AUTOMATIC = "automatic"
    GENERATED = "generated"
    PERSON = "person"


class Source(models.TextChoices):
    """Where an imported conversation comes from."""

    PONDER = "ponder", "an export of this kind of site"
    CHATGPT = "chatgpt", "ChatGPT"
    OPEN_WEBUI = "open-webui", "Open WebUI"
    SHARED = "shared", "a shared link"


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def visible_to(self, user: "User | int") -> "ConversationQuerySet":
        """Keep what this person may open on the site: their own conversations."""
        return self.filter(owner=user)

    def reviewable_by(self, user: Any) -> "ConversationQuerySet":
        """Keep the conversations of people whom this reviewer may review. Permissions are checked separately."""
        if not user.review_limited:
            return self.all()
        return self.filter(Exists(user.review_groups.filter(user=OuterRef("owner"))))

    def live(self) -> "ConversationQuerySet":
        """Keep those in which an answer is queued or running."""
        return self.filter(Exists(Generation.objects.live().filter(conversation=OuterRef("pk"))))

    def deletable(self) -> "ConversationQuerySet":
        """Exclude live conversations and those under a legal hold, of their own or of their owner."""
        holds = LegalHold.objects.covering(OuterRef("pk"), OuterRef("owner"))
        return self.exclude(Exists(holds)).exclude(pk__in=Conversation.with_deleted.live())

    def listed(self) -> "ConversationQuerySet":
        """Exclude archived conversations; put pinned ones first, then the newest."""
        return self.filter(placement__gte=Placement.LISTED).order_by(*LIST_ORDER)

    def pinned(self) -> "ConversationQuerySet":
        return self.filter(placement=Placement.PINNED)

    def unpinned(self) -> "ConversationQuerySet":
        """Keep what is in the list and not pinned, newest first."""
        return self.filter(placement=Placement.LISTED).newest_first()

    def archived(self) -> "ConversationQuerySet":
        return self.filter(placement=Placement.ARCHIVED).newest_first()

    def with_liveness(self) -> "ConversationQuerySet":
        """Add `is_live`."""
        live = Generation.objects.live().filter(conversation=OuterRef("pk"))
        return self.annotate(is_live=Exists(live))

    def titled(self, text: str) -> "ConversationQuerySet":
        """Keep those whose title contains every word of `text`, ignoring case.

        Titles have no index: combine this with `visible_to`, so that only one person's titles are read.
        """
        contains = contains_words("title", text.split(), connections[self.db].vendor)
        return self.filter(*contains) if contains else self.none()

    def older_than(self, cursor: str) -> "ConversationQuerySet":
        """Keep what comes after a `Conversation.cursor`, newest first; everything if it is not valid."""
        if parsed := parse_cursor(cursor):
            updated_at, pk = parsed
            # The first condition alone can begin in the middle of an index.
            return self.filter(Q(updated_at__lt=updated_at) | Q(pk__lt=pk), updated_at__lte=updated_at)
        return self.all()

    def newest_first(self) -> "ConversationQuerySet":
        return self.order_by("-updated_at", "-id")


_Manager = models.Manager.from_queryset(ConversationQuerySet)


class ConversationManager(_Manager):
    """Leaves out conversations that their owner has deleted, and which can still be restored."""

    def get_queryset(self) -> Any:
        return super().get_queryset().filter(deleted_at=None)


class Conversation(models.Model):
    """A tree of messages. The page shows the branch that ends at `leaf`.

    `objects` leaves out those that their owner has deleted and can restore for a moment. References from other tables
    do not, so their querysets say `conversation__deleted_at=None`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=TITLE_CHARACTERS)
    # Never null, like `placement`.
    title_source = models.CharField(  # noqa: DJ001
        max_length=9, choices=TitleSource, db_default=models.Value(TitleSource.AUTOMATIC), null=True
    )
    leaf = models.ForeignKey("Message", models.SET_NULL, null=True, related_name="+")
    # The version that applies to the next question; None if there are none.
    instructions = models.ForeignKey(
        "Instructions", models.SET_NULL, null=True, related_name="applied_to", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(default=timezone.now)
    # Never null: see migration 0026.
    placement = models.SmallIntegerField(choices=Placement, db_default=models.Value(Placement.LISTED), null=True)
    # What its newest answer was asked with; None before migration 0029, by which they are nullable.
    model = models.CharField(max_length=200, null=True)  # noqa: DJ001
    depth = models.CharField(max_length=6, choices=Depth, null=True)  # noqa: DJ001
    # Of what was imported; None otherwise. The digest is of the source, the id there and the content: see `importing`.
    imported_at = models.DateTimeField(null=True)
    imported_from = models.CharField(max_length=10, choices=Source, null=True)  # noqa: DJ001
    source_id = models.CharField(max_length=200, null=True)  # noqa: DJ001
    source_digest = models.CharField(max_length=64, null=True)  # noqa: DJ001

    # Where its owner's list shows it, unless it is pinned or archived.
    folder = models.ForeignKey(Folder, models.SET_NULL, null=True, related_name="conversations", db_index=False)
    # When its owner deleted it. Soon after, `actions.purge` deletes it, unless it was restored.
    deleted_at = models.DateTimeField(null=True, editable=False)

    is_live: bool  # set by `ConversationQuerySet.with_liveness`: an answer is queued or running

    objects = ConversationManager()
    with_deleted = ConversationQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = list(permissions.REVIEW.items())
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "source_digest"], condition=Q(source_digest__isnull=False), name="imported_once"
            )
        ]
        indexes = [
            # For the list, its pages of older conversations, and the archived ones; `pinned` and `archived` are ranges.
            models.Index(fields=["owner", *LIST_ORDER], name="conversation_listed"),
            models.Index(fields=["-updated_at", "-id"], name="conversation_newest_of_all"),
            models.Index(
                fields=["instructions"], condition=Q(instructions__isnull=False), name="conversation_instructed"
            ),
            # The list without folders, and the list of each folder.
            models.Index(fields=["owner", *LIST_ORDER], condition=Q(folder=None), name="listed_in_no_folder"),
            models.Index(fields=["folder", *LIST_ORDER], condition=Q(folder__isnull=False), name="listed_in_folder"),
            models.Index(fields=["deleted_at"], condition=Q(deleted_at__isnull=False), name="conversation_deleted"),
        ]

    def __str__(self) -> str:
        # Titles are content, which must not appear in logs and in the administration's breadcrumbs.
        return f"Conversation {self.pk}"

    def get_absolute_url(self) -> str:
        return f"/conversations/{self.pk}/"  # `reverse` takes 20 times as long, and a page shows many

    @property
    def cursor(self) -> str:
        """Return the cursor of this conversation in a list, newest first, for `parse_cursor`."""
        return f"{self.updated_at.isoformat()}_{self.pk}"

    @property
    def is_archived(self) -> bool:
        return self.placement == Placement.ARCHIVED

    @property
    def order(self) -> str:
        """Return a key by which the list is sorted, descending: the placement, then the time."""
        return f"{self.placement:d} {self.updated_at.astimezone(UTC):%Y%m%dT%H%M%S.%f}"

    @property
    def group(self) -> str:
        """Return the heading that it is listed under, or `Folder.group`; days are in the current time zone."""
        if self.placement == Placement.PINNED:
            return "Pinned"
        if self.folder_id:
            return group_of(self.folder_id)
        day = timezone.localtime(self.updated_at).date()
        age = (timezone.localdate() - day).days
        if age <= 1:
            return "Yesterday" if age == 1 else "Today"
        if age <= 7:
            return "Previous 7 days"
        return "Previous 30 days" if age <= 30 else f"{day:%B %Y}"

    @cached_property
    def group_names(self) -> frozenset[str]:
        """The groups of its owner, without reading the owner."""
        return frozenset(Group.objects.filter(user=self.owner_id).values_list("name", flat=True))

    def tree(self) -> Tree:
        """Return the tree of this conversation's message ids; one query."""
        return Tree(_parents(self.pk))

    def read(
        self, tree: Tree, ids: list[int], *, reasoning: bool = False, whole: Collection[int] | None = None
    ) -> list[Message]:
        """Return these messages in this order, each with all that pages show of it; few queries.

        Reasoning is loaded if `reasoning`, for live messages, and where its words have not been counted. If `whole` is
        given, only `PAGE_CHARACTERS` of the content are loaded, and one more, except for these messages and live ones.
        Messages that were deleted meanwhile are left out.
        """
        # Generations are read before messages, so that the text of one that has ended is in its message.
        generations = defaultdict(list)
        for generation in _generations(self.pk, ids):
            generation.conversation = self
            generations[generation.message_id].append(generation)
        select = _messages if reasoning else _without_reasoning if whole is None else _beginnings
        by_id = {message.pk: message for message in select(self.pk, ids)}
        turns = tree.turns(by_id)
        for pk, message in by_id.items():
            message.conversation = self
            message.generation_list, message.versions, message.turn = generations[pk], tree.versions(pk), turns[pk]
            if select is _beginnings:
                message.content = message.beginning
        if with_files := [pk for pk, message in by_id.items() if message.has_files]:
            for pk, files in Attachment.objects.of_messages(with_files).items():
                by_id[pk].files = files
        needed = {pk for pk, m in by_id.items() if m.is_live} | by_id.keys() & (whole or ())
        missing = needed | {pk for pk, m in by_id.items() if m.generation and m.reasoning_words is None}
        for pk, text, content in _texts(self.pk, sorted(missing)) if missing else ():
            by_id[pk].reasoning = text
            if pk in needed:
                by_id[pk].content = content
        return [by_id[pk] for pk in ids if pk in by_id]


@prepared
def visible_conversation(user: Any, conversation: Any) -> models.QuerySet[Any]:
    """Return the conversation with this id in a list, which is empty if the user with the id `user` may not open it."""
    return Conversation.objects.visible_to(user).filter(pk=conversation)


@prepared
def _parents(conversation: Any) -> models.QuerySet[Any, Any]:
    return Message.objects.filter(conversation=conversation).order_by("pk").values_list("pk", "parent_id")


@prepared
def _generations(conversation: Any, messages: Any) -> models.QuerySet[Any]:
    return Generation.objects.filter(conversation=conversation, message__in=messages).defer("request").order_by("pk")


@prepared
def generation_statuses(conversation: Any, messages: Any) -> models.QuerySet[Any, Any]:
    """Return (message, generation, status, *`Counts`) for each generation of these messages, oldest first."""
    found = Generation.objects.filter(conversation=conversation, message__in=messages)
    return found.order_by("pk").values_list("message", "pk", "status", *Counts._fields)


@prepared
def _messages(conversation: Any, ids: Any) -> models.QuerySet[Any]:
    return _rated(conversation, ids)


@prepared
def _without_reasoning(conversation: Any, ids: Any) -> models.QuerySet[Any]:
    return _rated(conversation, ids).defer("reasoning")


def _rated(conversation: Any, ids: Any) -> MessageQuerySet:
    found = Message.objects.filter(conversation=conversation, pk__in=ids)
    rated = found.annotate(rating=F("feedback__rating"))  # type: ignore[no-redef]  # declared in Message
    return rated.with_has_files()


@prepared
def _beginnings(conversation: Any, ids: Any) -> models.QuerySet[Any]:
    beginning = Substr("content", 1, PAGE_CHARACTERS + 1)
    found = _rated(conversation, ids).defer("content", "reasoning")
    return found.annotate(beginning=beginning)  # type: ignore[no-redef]  # declared in Message


@prepared
def _texts(conversation: Any, ids: Any) -> models.QuerySet[Any, Any]:
    return Message.objects.filter(conversation=conversation, pk__in=ids).values_list("pk", "reasoning", "content")


def parse_cursor(cursor: str) -> tuple[datetime, uuid.UUID] | None:
    """Return `updated_at` and the id from a `Conversation.cursor`; None if it is not valid."""
    updated_at, _, pk = cursor.rpartition("_")
    try:
        moment, key = parse_moment(updated_at), uuid.UUID(pk)
    except ValueError:
        return None
    return (moment, key) if moment else None


def parse_moment(text: str) -> datetime | None:
    """Return a time with its zone, as UTC; None for anything else, and for what is outside of the years 1 to 9999."""
    try:
        moment = parse_datetime(text)
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def title_from(prompt: str) -> str:
    """Return the prompt's first words: at most `TITLE_CHARACTERS` characters, cut at a space if there is one."""
    line = " ".join(prompt[: TITLE_CHARACTERS * 10].split())
    if len(line) <= TITLE_CHARACTERS:
        return line
    head = line[: TITLE_CHARACTERS - 1]
    words, space, _ = head.rpartition(" ")
    # Chinese and Japanese have no spaces.
    return (words if space and len(words) > TITLE_CHARACTERS // 2 else head).rstrip(" ,;:.") + "…"
