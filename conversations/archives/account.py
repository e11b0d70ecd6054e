"""What an archive has besides conversations: the account, without its secrets."""

from datetime import datetime
from typing import Any, Final

from allauth.account.models import EmailAddress
from django.utils import timezone

from conversations.accounts import sessions
from conversations.models import (
    ApiToken,
    Attachment,
    DailyUsage,
    Feedback,
    Folder,
    Instructions,
    SavedPrompt,
    Share,
    User,
)

FORMAT: Final = "ponder-account"
VERSION: Final = 1
PREFERENCES = ("theme", "reasoning", "single_keys", "time_zone", "model", "depth")
USAGE = ("day", "model", "input_tokens", "reasoning_tokens", "output_tokens")
FEEDBACK = ("conversation_id", "message_id", "rating", "comment", "shared", "created_at")
SHARES = (
    "conversation_id",
    "audience",
    "with_reasoning",
    "with_files",
    "created_at",
    "expires_at",
    "revoked_at",
    "visits",
)
TOKENS = ("name", "scopes", "created_at", "expires_at", "used_at", "revoked_at")


def account_data(user: User, *, reasoning: bool) -> dict[str, Any]:
    """Return the account as JSON values and datetimes. `reasoning` says whether the archive contains the reasoning."""
    emails = EmailAddress.objects.filter(user=user).order_by("pk")
    versions = Instructions.objects.of(user).order_by("pk")
    given = Feedback.objects.filter(conversation__owner=user, conversation__deleted_at=None).order_by("pk")
    links = Share.objects.visible_to(user).order_by("created_at")
    tokens = ApiToken.objects.visible_to(user).order_by("created_at")
    return {
        "format": FORMAT,
        "version": VERSION,
        "exported_at": timezone.now(),
        "reasoning_included": reasoning,
        "username": user.username,
        "name": user.get_full_name(),
        "emails": [{"email": each.email, "verified": each.verified, "primary": each.primary} for each in emails],
        "joined_at": user.date_joined,
        "last_sign_in_at": user.last_login,
        "preferences": {name: getattr(user, name) for name in PREFERENCES},
        "instructions": [
            {"content": each.content, "created_at": each.created_at, "applies": each.pk == user.instructions_id}
            for each in versions
        ],
        "usage": [dict(zip(USAGE, row, strict=True)) for row in _usage(user)],
        "sessions": [
            {"device": each.device, "started_at": each.started_at, "used_at": each.used_at}
            for each in sessions.sign_ins(user)
        ],
        "feedback": [dict(zip(FEEDBACK, map(_plain, row), strict=True)) for row in given.values_list(*FEEDBACK)],
        "shared_links": [dict(zip(SHARES, map(_plain, row), strict=True)) for row in links.values_list(*SHARES)],
        "api_tokens": [dict(zip(TOKENS, map(_plain, row), strict=True)) for row in tokens.values_list(*TOKENS)],
        "folders": list(Folder.objects.visible_to(user).order_by("pk").values_list("name", flat=True)),
        "saved_prompts": list(SavedPrompt.objects.visible_to(user).order_by("pk").values("name", "text")),
        "unsent_files": [
            {"name": each.name, "size": each.stored.size, "sha256": each.stored.sha256}
            for each in Attachment.objects.visible_to(user).unsent().with_files()
        ],
    }


def _usage(user: User) -> list[tuple[Any, ...]]:
    return list(DailyUsage.objects.filter(user=user).order_by("day", "model").values_list(*USAGE))


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str | int | datetime) else str(value)
