from collections.abc import Iterable
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.socialaccount import admin as social
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from conversations.events import Topic, publish
from conversations.models import User
from conversations.review import permission_changes
from conversations.review.admin.access import AllowedLookupsAdmin, actor

# As allauth documents it: its sign-in page, with its rate limits, is the only one.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = admin.site.site_title = "Administration"
admin.site.index_title = "Site administration"
admin.site.unregister(Group)  # registered by the import of Django's admin above
# Only the settings configure a tenant, and linking a Microsoft account to a user would hand over the user's account.
admin.site.unregister([social.SocialApp, social.SocialAccount, social.SocialToken])


@admin.register(User)
class UserAdmin(AllowedLookupsAdmin, DjangoUserAdmin):
    """Django's own, with an event that closes the sockets of deactivated users. Records who can review."""

    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), ("Review", {"fields": ("review_limited", "review_groups")}))
    filter_horizontal = (*DjangoUserAdmin.filter_horizontal, "review_groups")
    allowed_lookups = ("is_staff__exact", "is_superuser__exact", "is_active__exact", "groups__id__exact")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        publish(Topic.ACCOUNT_CHANGED, obj.pk)
        if "review_limited" in form.changed_data:
            with permission_changes.made_by(actor(request)):
                permission_changes.record_scope_change(user=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with permission_changes.made_by(actor(request)):
            super().save_related(request, form, formsets, change)


@admin.register(Group)
class GroupAdmin(AllowedLookupsAdmin, DjangoGroupAdmin):
    """Django's own. Records which groups can review."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with permission_changes.made_by(actor(request)):
            super().save_related(request, form, formsets, change)
