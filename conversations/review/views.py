"""What a person is told about review: when their conversations were read, and what can be."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from conversations.models import Conversation
from conversations.review.models import HOLD_DAYS, AuditEntry, Rule

PAGE = 50


@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List what was read of this person's conversations, newest first; with `before`, what was before that number."""
    rows = AuditEntry.objects.visible_to_owner(request.user.pk)
    if (before := request.GET.get("before", "")).isdecimal():
        rows = rows.filter(number__lt=before)
    found = list(rows[: PAGE + 1])
    reviews = found[:PAGE]
    kept = Conversation.objects.visible_to(request.user).in_bulk({review.conversation_id for review in reviews})
    for review in reviews:
        review.conversation = kept.get(review.conversation_id)
    older = reviews[-1].number if len(found) > PAGE else None
    return render(request, "review/reviews.html", {"reviews": reviews, "older": older})


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    samples = Rule.objects.filter(active=True, words="", outcome="", percent__gt=0).values_list("percent", flat=True)
    context = {"reasons": settings.REVIEW_REASONS, "hold_days": HOLD_DAYS, "samples": samples}
    return render(request, "review/privacy.html", context)
