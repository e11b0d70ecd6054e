from urllib.parse import urlsplit

from django.shortcuts import get_object_or_404

from conversations.models import Conversation, Message, Role
from conversations.request import SignedInRequest


def get_answer(request: SignedInRequest, pk: int) -> Message:
    """Return one of this person's answers, with its conversation and prompt. Raises Http404 for anything else."""
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    return get_object_or_404(answers.select_related("conversation", "parent"), pk=pk)


def is_open(request: SignedInRequest, conversation: Conversation) -> bool:
    """Return whether htmx sends this request from the conversation's own page."""
    return path_of(request) == conversation.get_absolute_url()


def path_of(request: SignedInRequest) -> str:
    """Return the path of the page from which htmx sends this request; "" if it does not say."""
    try:
        return urlsplit(request.htmx.current_url or "").path
    except ValueError:
        return ""
