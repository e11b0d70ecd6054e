"""Feedback of owners on answers."""

from django.db import transaction
from django.utils import timezone

from conversations.actions.rows import lock, lock_unless_held
from conversations.models import Feedback, Message, Rating


def give_feedback(*, message: Message, rating: str, comment: str, shared: bool) -> Feedback:
    """Save the owner's feedback on an answer, replacing earlier feedback. Reports are always shared with reviewers.

    `review.queue.fill` adds shared feedback to the review queue. Raises `Held` if there is earlier feedback.
    """
    with transaction.atomic():
        given = _lock_feedback(message) or Feedback(message=message, conversation=message.conversation)
        given.rating, given.comment, given.shared = rating, comment, shared or rating == Rating.REPORT
        given.created_at = timezone.now()
        given.save()
    return given


def rate(*, message: Message, rating: str) -> Feedback | None:
    """Save a rating, keeping the rest of the feedback; delete the feedback if it already has this rating.

    Raises `Held` if there is earlier feedback.
    """
    with transaction.atomic():
        given = _lock_feedback(message)
        if given is None:
            return give_feedback(message=message, rating=rating, comment="", shared=False)
        if given.rating != rating:
            return give_feedback(message=message, rating=rating, comment=given.comment, shared=given.shared)
        given.delete()
        return None


def _lock_feedback(message: Message) -> Feedback | None:
    """Lock the conversation, and return the feedback on `message`, if any. Raises `Held` if there is any."""
    conversation = lock(message.conversation)
    if given := Feedback.objects.filter(message=message).first():
        lock_unless_held(conversation, "You cannot change your feedback yet")
    return given
