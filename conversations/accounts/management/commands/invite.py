"""Print an invitation link. It lets the holder of the email address create one account within a week."""

from urllib.parse import urlencode

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.urls import reverse

from conversations.accounts.invitations import INVITATION, invitation_token


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args, email: str, **options) -> None:
        if settings.SIGNUP != "invite":
            raise CommandError(f"SIGNUP is {settings.SIGNUP}. Set it to invite to use invitations.")
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email} is not a valid email address.") from error
        origin = next(iter(settings.CSRF_TRUSTED_ORIGINS), f"http://localhost:{settings.PORT}")
        self.stdout.write(f"{origin}{reverse('account_signup')}?{urlencode({INVITATION: invitation_token(email)})}")
