"""Remove all second factors and recovery codes of somebody who has lost them, and sign them out everywhere.

Their API tokens are revoked. First verify that the request comes from the account's owner; they are notified by email.
At their next sign-in the password is enough; on a public site, people who administer or review must then set up a new
factor.
"""

import logging

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from conversations.accounts import api_tokens, sessions
from conversations.models import User

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username")

    def handle(self, *args, username: str, **options) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no account with the username {username}.")
        with transaction.atomic():
            deleted, _ = Authenticator.objects.filter(user=user).delete()
            if not deleted:
                raise CommandError(f"{username} has no second factor.")
            sessions.end_all(user)
            api_tokens.revoke_all(user, "manage.py reset_factors")
        logger.warning("the second factors of user %s were removed by manage.py reset_factors", user.pk)
        self.stdout.write(f"{username} has no second factor any more, and is signed out everywhere.")
        address = EmailAddress.objects.get_primary_email(user) or user.email
        if address:
            get_adapter().send_mail("account/email/factors_reset", address, {})
        else:
            self.stdout.write("The account has no email address, so nobody was told.")
