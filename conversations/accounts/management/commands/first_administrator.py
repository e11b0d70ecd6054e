"""Create an administrator if the site has none. The password is generated, printed once and not stored.

On a public site it works for a day, and only to choose another. If nobody has, running this again prints a new one.
With LOCAL_ACCOUNTS=false nobody signs in with a password: give the username of someone who has already signed in.
"""

import secrets

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from conversations.accounts.printed_password import VALIDITY
from conversations.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--email", default="")

    @transaction.atomic
    def handle(self, *args, username: str, email: str, **options) -> None:
        superusers = User.objects.filter(is_superuser=True)
        expired = Q(password_expires_at__lt=timezone.now()) if settings.IS_PUBLIC else Q(pk__in=[])
        if superusers.exclude(expired).exists():
            return
        if not settings.LOCAL_ACCOUNTS:
            self._promote(username)
            return
        password = secrets.token_urlsafe(16)
        if user := superusers.first():
            username = user.username
            user.set_password(password)
            user.save()
        else:
            user = User.objects.create_superuser(username, email, password)
            if email:
                EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        # Not before the password is saved, which clears it.
        User.objects.filter(pk=user.pk).update(password_expires_at=timezone.now() + VALIDITY)
        self.stdout.write(f"Administrator: {username}   password: {password}   (shown only once)")

    def _promote(self, username: str) -> None:
        if not User.objects.filter(username=username).update(is_staff=True, is_superuser=True):
            raise CommandError(
                f"Nobody named {username} has signed in. With LOCAL_ACCOUNTS=false, sign in once, then give your "
                "username with --username."
            )
        self.stdout.write(f"Administrator: {username}")
