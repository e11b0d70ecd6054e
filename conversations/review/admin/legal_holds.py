from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from conversations.models import LegalHold
from conversations.review import audit
from conversations.review.admin.access import AllowedLookupsAdmin, actor
from conversations.review.models import AuditAction


@admin.register(LegalHold)
class LegalHoldAdmin(AllowedLookupsAdmin):
    """Legal holds. Placing and lifting one is recorded in the audit trail."""

    list_display = ("id", "user", "conversation", "reason", "made_at", "lifted_at")
    list_select_related = ("user",)
    fields = ("user", "conversation", "reason", "lifted_at")
    raw_id_fields = ("user", "conversation")
    ordering = ("-pk",)

    def has_delete_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return False  # lifted holds stay in the list

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        action = AuditAction.HOLD_LIFTED if obj.lifted_at else AuditAction.HOLD_PLACED
        audit.record(actor(request), action, hold=obj.pk, on=str(obj.user_id or obj.conversation_id), why=obj.reason)
