"""Count for a new account what the same person has used today with one that was deleted."""

from allauth.account.signals import user_signed_up
from django.dispatch import receiver

from conversations.models import User
from conversations.models.usage import take_over


@receiver(user_signed_up, dispatch_uid="usage")
def count_usage_of_deleted_account(user: User, **_kwargs) -> None:
    take_over(user)
