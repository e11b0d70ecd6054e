"""Create an administrator if the site has none. The password is generated, printed once and not stored."""

import secrets

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from conversations.models import User


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="admin")
        parser.add_argument("--email", default="")

    @transaction.atomic
    def handle(self, *args, username: str, email: str, **options) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        if settings.SIGNUP_DOMAIN and not email:
            raise CommandError("Give --email: with SIGNUP=domain:…, nobody can sign in without an email address.")
        password = secrets.token_urlsafe(12)
        user = User.objects.create_superuser(username, email, password)
        if email:
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
        self.stdout.write(f"Administrator: {username}   password: {password}   (shown only once)")
