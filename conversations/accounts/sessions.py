"""What follows from sign-outs and new passwords: open sockets check their session again."""

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.accounts import throttle
from conversations.events import Topic, publish
from conversations.models import User


@receiver(user_logged_out, dispatch_uid="sockets")
def publish_sign_out(request: HttpRequest | None, user: User | None, **_kwargs) -> None:
    if request and user:
        request.session.flush()  # Django does it after this signal, and sockets would still find the session
        publish(Topic.ACCOUNT_CHANGED, user.pk)


@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def publish_new_password(user: User, **_kwargs) -> None:
    publish(Topic.ACCOUNT_CHANGED, user.pk)


@receiver(password_reset, dispatch_uid="throttle")
def remember_browser(request: HttpRequest, user: User, **_kwargs) -> None:
    throttle.remember_reset(request, user.username)
