"""Open sockets follow what happens to an account: signing out or a new password makes them check their session."""

from allauth.account.signals import password_changed, password_reset, password_set
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.events import Topic, publish
from conversations.models import User


@receiver(user_logged_out, dispatch_uid="sockets")
def end_session(request: HttpRequest | None, user: User | None, **_kwargs) -> None:
    if request and user:
        request.session.flush()  # Django does so only after this signal, when sockets would already have looked
        publish(Topic.ACCOUNT_CHANGED, user.pk)


@receiver((password_changed, password_reset, password_set), dispatch_uid="sockets")
def password_replaced(user: User, **_kwargs) -> None:
    publish(Topic.ACCOUNT_CHANGED, user.pk)
