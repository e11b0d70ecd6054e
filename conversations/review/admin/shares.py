"""Links to a conversation, for reviewers: they see what each shows and to whom, and can end it. Never its address."""

import uuid

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from conversations.models import Conversation, Share
from conversations.models.permissions import READ
from conversations.models.share import REASON_CHARACTERS, ShareQuerySet
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.admin.access import CaseRequest


class EndForm(forms.Form):
    reason = forms.CharField(max_length=REASON_CHARACTERS, label="Reason, which the owner sees")


def shares_of(conversation: Conversation) -> ShareQuerySet:
    return Share.objects.filter(conversation=conversation).defer("pins", "token_hash").order_by("-created_at")


@access.require_permission(READ)
@access.require_case
@require_POST
def end(request: CaseRequest, pk: uuid.UUID, share: uuid.UUID) -> HttpResponse:
    """End a link for a reason."""
    conversation = get_object_or_404(Conversation.objects.reviewable_by(request.user), pk=pk)
    found = get_object_or_404(shares_of(conversation).select_related("conversation"), pk=share)
    form = EndForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"The link was not ended. Enter a reason of 1 to {REASON_CHARACTERS} characters.")
    elif cases.end_share(
        actor=access.actor(request), case=request.case, share=found, reason=form.cleaned_data["reason"]
    ):
        messages.success(request, "The link has been ended.")
    else:
        messages.error(request, "This link has already ended.")
    return redirect("admin:review_transcript", pk)
