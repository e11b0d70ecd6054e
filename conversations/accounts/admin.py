from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.admin import EmailAddressAdmin as AllauthEmailAddressAdmin
from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.mfa import admin as mfa
from allauth.socialaccount import admin as social
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.generic import RedirectView

from conversations.events import Topic, publish
from conversations.models import Conversation, User
from conversations.review import permission_changes, retention
from conversations.review.admin.access import AllowedLookupsAdmin, actor

# As allauth documents it: its sign-in page, with its rate limits, is the only one.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# Its page to change one's own password too, which tells the owner by email.
admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[method-assign, assignment]
admin.site.site_header = admin.site.site_title = "Administration"
admin.site.index_title = "Site administration"
admin.site.unregister(Group)  # registered by the import of Django's admin above
# Only the settings configure a tenant, and linking a Microsoft account to a user would hand over the user's account.
admin.site.unregister([social.SocialApp, social.SocialAccount, social.SocialToken])
# Whoever could edit a second factor could add their own: `manage.py reset_factors` removes them.
admin.site.unregister(mfa.Authenticator)


admin.site.unregister(EmailAddress)

# What decides about other people's data. Staff who may change users could otherwise grant these to themselves.
PRIVILEGES = ("is_staff", "is_superuser", "groups", "user_permissions", "review_limited", "review_groups")


class ChangedBySuperusers(admin.ModelAdmin):
    """An admin in which only superusers add, change and delete, whatever permissions others have."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser and super().has_delete_permission(request, obj)


@admin.register(User)
class UserAdmin(AllowedLookupsAdmin, DjangoUserAdmin):
    """Django's own, with an event that closes the sockets of deactivated users. Records who can review.

    Only superusers change `PRIVILEGES`, and the accounts of staff: whoever sets a password can sign in with it.
    """

    actions = None  # several users at once would be deleted without the checks below
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), ("Review", {"fields": ("review_limited", "review_groups")}))
    filter_horizontal = (*DjangoUserAdmin.filter_horizontal, "review_groups")
    allowed_lookups = ("is_staff__exact", "is_superuser__exact", "is_active__exact", "groups__id__exact")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_manage(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return _may_manage(request, obj) and super().has_delete_permission(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return () if request.user.is_superuser else PRIVILEGES

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set a password, and tell the owner of the account, without the address of the administrator."""
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            user = User.objects.get(pk=unquote(id))
            get_adapter(request).send_notification_mail("account/email/password_set_for", user, {"ip": ""})
        return response

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Delete a user as retention does; otherwise say why that is not possible now."""
        user = self.get_object(request, unquote(object_id))
        if user and self.has_delete_permission(request, user) and (reason := retention.why_not_deletable(user)):
            self.message_user(request, reason, messages.ERROR)
            return redirect("admin:conversations_user_change", user.pk)
        return super().delete_view(request, object_id, extra_context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[str], dict[str, int], set[str], list]:
        """Return what deleting these users deletes, as numbers: Django would list each message."""
        conversations = Conversation.with_deleted.filter(owner__in=objs).count()
        return [*map(str, objs)], {"users": len(objs), "conversations": conversations}, set(), []

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        if not retention.delete_account(actor=actor(request), user=obj):
            raise PermissionDenied  # what `delete_view` checked has just changed

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        publish(Topic.ACCOUNT_CHANGED, obj.pk)
        if "review_limited" in form.changed_data:
            with permission_changes.made_by(actor(request)):
                permission_changes.record_scope_change(user=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with permission_changes.made_by(actor(request)):
            super().save_related(request, form, formsets, change)


def _may_manage(request: HttpRequest, user: User | None) -> bool:
    return request.user.is_superuser or user is None or not (user.is_staff or user.is_superuser)


@admin.register(EmailAddress)
class EmailAddressAdmin(ChangedBySuperusers, AllauthEmailAddressAdmin):
    """allauth's own. A verified address resets the password of its account."""

    # allauth would let everyone run it who may see the list.
    @admin.action(permissions=["change"], description="Mark selected email addresses as verified")
    def make_verified(self, request: HttpRequest, queryset: QuerySet[EmailAddress]) -> None:
        super().make_verified(request, queryset)


@admin.register(Group)
class GroupAdmin(ChangedBySuperusers, AllowedLookupsAdmin, DjangoGroupAdmin):
    """Django's own. Records which groups can review."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with permission_changes.made_by(actor(request)):
            super().save_related(request, form, formsets, change)
