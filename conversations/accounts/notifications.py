"""Emails about changes of an account that allauth does not report itself."""

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from allauth.account.signals import email_added
from django.dispatch import receiver
from django.http import HttpRequest

from conversations.models import User


@receiver(email_added, dispatch_uid="notifications")
def report_new_address(request: HttpRequest, user: User, email_address: EmailAddress, **_kwargs) -> None:
    get_adapter(request).send_notification_mail("account/email/email_added", user, {"added": email_address.email})
