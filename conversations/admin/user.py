from typing import Any

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest

from conversations.control import doorbell
from conversations.models import User

# One sign-in for the whole site: allauth's limits and second factors hold here too.
admin.site.login = secure_admin_login(admin.site.login)
admin.site.site_header = admin.site.site_title = "Administration"
admin.site.index_title = "What is kept"


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Django's own, and word to open sockets: a deactivated person's close."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        doorbell.ring("accounts", obj.pk)
