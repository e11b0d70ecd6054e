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
from conversations.review import grants
from conversations.review.admin.access import AllowListed, actor

# One sign-in for the whole site: allauth's limits and second factors hold here too.
admin.site.login = secure_admin_login(admin.site.login)
admin.site.site_header = admin.site.site_title = "Administration"
admin.site.index_title = "Site administration"
admin.site.unregister(Group)  # Django's, made when its module was imported above
# allauth's: tenants are named by the settings alone, and to tie an account to somebody else's is to hand it over.
admin.site.unregister([social.SocialApp, social.SocialAccount, social.SocialToken])


@admin.register(User)
class UserAdmin(AllowListed, DjangoUserAdmin):
    """Django's own, and word to open sockets: a deactivated person's close. Who may review is written down."""

    fieldsets = (*DjangoUserAdmin.fieldsets, ("Review", {"fields": ("review_limited", "review_groups")}))
    filter_horizontal = (*DjangoUserAdmin.filter_horizontal, "review_groups")
    allowed_lookups = ("is_staff__exact", "is_superuser__exact", "is_active__exact", "groups__id__exact")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        publish(Topic.ACCOUNT_CHANGED, obj.pk)
        if "review_limited" in form.changed_data:
            with grants.on_behalf_of(actor(request)):
                grants.limit_changed(person=obj)

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with grants.on_behalf_of(actor(request)):
            super().save_related(request, form, formsets, change)


@admin.register(Group)
class GroupAdmin(AllowListed, DjangoGroupAdmin):
    """Django's own; which groups may review is written down."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        with grants.on_behalf_of(actor(request)):
            super().save_related(request, form, formsets, change)
