"""Pages about review for the people whose conversations can be reviewed."""

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from conversations.forms import PositionForm
from conversations.models import Conversation
from conversations.models.instructions import KEPT_VERSIONS
from conversations.pagination import take_page
from conversations.request import SignedInRequest
from conversations.review.models import MAX_DELAY_DAYS, AuditEntry, Rule

REVIEWS_PER_PAGE = 50


@login_required
@require_safe
def index(request: SignedInRequest) -> HttpResponse:
    """List reviews of this person's conversations, newest first; `?before=` is the number of an audit entry."""
    entries = AuditEntry.objects.visible_to_owner(request.user.pk)
    form = PositionForm(request.GET)
    form.is_valid()
    if before := form.cleaned_data.get("before"):
        entries = entries.filter(number__lt=before)
    reviews, last = take_page(entries, REVIEWS_PER_PAGE)
    conversations = Conversation.objects.visible_to(request.user).in_bulk({entry.conversation_id for entry in reviews})
    context = {
        "reviews": [(entry, conversations.get(entry.conversation_id)) for entry in reviews],
        "older": last.number if last else None,
    }
    return render(request, "review/reviews.html", context)


@require_safe
def privacy(request: HttpRequest) -> HttpResponse:
    samples = Rule.objects.filter(active=True, words="", outcome="", percent__gt=0).values_list("percent", flat=True)
    context = {"reasons": settings.REVIEW_REASONS, "max_delay_days": MAX_DELAY_DAYS, "samples": samples}
    context["kept_versions"] = KEPT_VERSIONS
    return render(request, "review/privacy.html", context)
