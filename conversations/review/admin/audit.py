from django.contrib import admin
from django.http import HttpRequest

from conversations.models.permissions import READ, full
from conversations.review.admin.access import ReadOnlyAdmin
from conversations.review.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit trail. Notes and search terms may quote content: only people who may read it see them."""

    list_display = ("number", "at", "act", "actor_name", "role", "reason", "owner_id", "conversation_id", "address")
    list_filter = ("act",)
    allowed_lookups = ("act__exact",)
    search_fields = ("=actor_name",)
    search_help_text = "Search by a reviewer's username."
    ordering = ("-number",)
    sortable_by = ()
    show_full_result_count = False
    actions = None

    def get_fields(self, request: HttpRequest, obj: AuditEntry | None = None) -> tuple[str, ...]:
        hidden = () if request.user.has_perm(full(READ)) else ("note", "details")
        return tuple(field.name for field in self.opts.concrete_fields if field.name not in hidden)
