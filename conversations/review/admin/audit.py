from django.contrib import admin
from django.http import HttpRequest

from conversations.models.permissions import READ, full
from conversations.review.admin.access import AllowListed
from conversations.review.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(AllowListed, admin.ModelAdmin):
    """The audit trail, to read. Notes and search words may quote what was said: they are for whoever may read that."""

    list_display = ("number", "at", "act", "actor_name", "role", "reason", "owner_id", "conversation_id", "address")
    list_filter = ("act",)
    allowed_lookups = ("act__exact",)
    search_fields = ("=actor_name",)
    search_help_text = "Search by a reviewer's username."
    ordering = ("-number",)
    sortable_by = ()
    show_full_result_count = False
    actions = None

    def get_fields(self, request: HttpRequest, obj: AuditEntry | None = None) -> list[str]:
        hidden = () if request.user.has_perm(full(READ)) else ("note", "details")
        return [field.name for field in self.opts.concrete_fields if field.name not in hidden]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: AuditEntry | None = None) -> bool:
        return False
