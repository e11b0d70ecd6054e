from django.shortcuts import get_object_or_404

from conversations.models import Message, Role
from conversations.request import SignedInRequest


def get_answer(request: SignedInRequest, pk: int) -> Message:
    """Return one of this person's answers, with its conversation and prompt. Raises Http404 for anything else."""
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    return get_object_or_404(answers.select_related("conversation", "parent"), pk=pk)
