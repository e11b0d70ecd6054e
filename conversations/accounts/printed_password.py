"""The password that `manage.py first_administrator` prints: it works for a day, and only to choose another."""

from datetime import timedelta

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone

from conversations.models import User

VALIDITY = timedelta(days=1)


def replace(request: HttpRequest, user: User) -> HttpResponse | None:
    """Return the page where a user who signed in with a printed password must choose another; else None.

    A site that is not public, such as one on a laptop, accepts the printed password.
    """
    if not settings.IS_PUBLIC or not user.password_expires_at:
        return None
    if user.password_expires_at < timezone.now():
        messages.error(request, "This password has expired. Run manage.py first_administrator to get another.")
        return redirect("account_login")
    messages.info(request, "Choose a password of your own, then sign in with it.")
    key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
    return redirect(get_adapter(request).get_reset_password_from_key_url(key))
