"""Log lines about signing in. What was entered as the username is never logged: it may be a password."""

import logging

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser

from chatsite.logs import bind_log_context, pseudonym
from conversations.models import User

logger = logging.getLogger(__name__)


def signed_in(adapter: DefaultAccountAdapter, user: AbstractBaseUser, means: str) -> None:
    """Log a successful sign-in; `means` says with what."""
    _bind(adapter, user.pk)
    logger.info("signed in with %s: user %s from %s", means, pseudonym(user.pk), _address(adapter))


def refused(adapter: DefaultAccountAdapter, username: str, reason: str) -> None:
    """Log a failed sign-in, with the pseudonym of the account if there is one."""
    user_id = User.objects.filter(username__iexact=username).values_list("pk", flat=True).first()
    _bind(adapter, user_id)
    account = f"user {pseudonym(user_id)}" if user_id else "no such user"
    logger.warning("sign-in refused, %s: %s from %s", reason, account, _address(adapter))


def _bind(adapter: DefaultAccountAdapter, user_id: int | None) -> None:
    """Add address and user to the line as fields too, for `LOG_FORMAT=json`."""
    bind_log_context(address=_address(adapter))
    if user_id:
        bind_log_context(user=pseudonym(user_id))


def _address(adapter: DefaultAccountAdapter) -> str:
    return adapter.get_client_ip(adapter.request)
