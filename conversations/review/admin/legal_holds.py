from typing import Any, cast

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from conversations.models import Conversation, LegalHold, User
from conversations.review import audit
from conversations.review.admin.access import AllowedLookupsAdmin, actor
from conversations.review.models import AuditAction


@admin.register(LegalHold)
class LegalHoldAdmin(AllowedLookupsAdmin):
    """Legal holds, for limited reviewers those within their groups. Every change is recorded in the audit trail."""

    list_display = ("id", "user", "conversation", "reason", "made_at", "lifted_at")
    list_select_related = ("user",)
    fields = ("user", "conversation", "reason", "lifted_at")
    raw_id_fields = ("user", "conversation")
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[LegalHold]:
        users, conversations = _subjects(request)
        return super().get_queryset(request).filter(Q(user__in=users) | Q(conversation__in=conversations))

    def get_readonly_fields(self, request: HttpRequest, obj: LegalHold | None = None) -> tuple[str, ...]:
        # To hold something else is another hold: the record of this one must stay true.
        return ("user", "conversation") if obj else ("lifted_at",)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs) -> Any:
        users, conversations = _subjects(request)
        kwargs["queryset"] = users if db_field.name == "user" else conversations
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_delete_permission(self, request: HttpRequest, obj: LegalHold | None = None) -> bool:
        return False  # lifted holds stay in the list

    def save_model(self, request: HttpRequest, obj: LegalHold, form: Any, change: bool) -> None:
        # Wait for deletions that have not seen this hold. First the user: in the order in which accounts are deleted.
        users = User.objects.select_for_update(no_key=True).filter(pk__in=[obj.user_id]).values_list("pk")
        covered = Conversation.with_deleted.filter(Q(pk=obj.conversation_id) | Q(owner=obj.user_id))
        locked = [*users, *covered.select_for_update().order_by("pk").values_list("pk")]
        if not locked:
            raise PermissionDenied  # what the form has found was deleted meanwhile
        super().save_model(request, obj, form, change)
        action = AuditAction.HOLD_LIFTED if obj.lifted_at else AuditAction.HOLD_PLACED
        if change and "lifted_at" not in form.changed_data:
            action = AuditAction.HOLD_CHANGED
        audit.record(actor(request), action, hold=obj.pk, on=str(obj.user_id or obj.conversation_id), why=obj.reason)


def _subjects(request: HttpRequest) -> tuple[QuerySet[User], QuerySet[Conversation]]:
    """Return the users and conversations that this person may hold: a limited reviewer those within the groups."""
    person = cast(User, request.user)
    users = User.objects.all()
    if person.review_limited:
        users = users.filter(Exists(person.review_groups.filter(user=OuterRef("pk"))))
    # A conversation can be held as long as its deletion can be undone: it is then shown again.
    return users, Conversation.with_deleted.reviewable_by(person)
