from django import forms
from django.contrib import admin, messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from conversations.models import Conversation, User
from conversations.models.permissions import READ
from conversations.review import queue
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest
from conversations.review.models import QueueItem, Rule, Verdict

ITEMS_PER_PAGE = 100
DRAFTS = "review_drafts"  # of verdicts that were not saved, by the id of their item, in the session
MAX_DRAFTS = 20
MAX_DRAFT = 4_000  # characters of a note


@admin.register(Rule)
class RuleAdmin(access.AllowedLookupsAdmin):
    """Rules that add conversations to the queue. What a rule found is shown in the queue only."""

    list_display = ("name", "outcome", "percent", "active")
    fields = ("name", "words", "outcome", "percent", "active")
    ordering = ("name",)


class VerdictForm(forms.ModelForm):
    verdict = forms.ChoiceField(choices=Verdict.choices, widget=forms.RadioSelect)

    class Meta:
        model = QueueItem
        fields = ("verdict", "note")
        labels = {"note": "Note (optional)"}
        widgets = {"note": forms.Textarea(attrs={"rows": 3, "dir": "auto"})}


@access.require_permission(READ)
@require_safe
def index(request: ReviewRequest) -> HttpResponse:
    """List the oldest unresolved items, after an update of the queue."""
    queue.refresh()
    items = QueueItem.objects.reviewable_by(request.user).unresolved().select_related("conversation__owner", "taken_by")
    page = list(items.order_by("pk")[:ITEMS_PER_PAGE])
    unassigned = QueueItem.objects.unassigned().filter(pk__in=[item.pk for item in page])
    context = access.context(request, "Queue", items=page, unassigned=set(unassigned.values_list("pk", flat=True)))
    return render(request, "review/admin/queue.html", context)


@access.require_permission(READ)
@require_POST
def claim(request: ReviewRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(QueueItem.objects.reviewable_by(request.user), pk=pk)
    if queue.claim(actor=access.actor(request), item=item) is None:
        messages.warning(request, "Another reviewer has claimed that item.")
        return redirect("admin:review_queue")
    return _redirect_to(item)


@access.require_permission(READ)
@require_POST
def step(request: ReviewRequest, pk: int, direction: str) -> HttpResponse:
    """Release the claimed item and claim the next one after the item `pk`, or the previous one.

    What was entered for the verdict is kept for the form.
    """
    _keep_draft(request, pk)
    return _claim_next(request, pk, backwards=direction == "previous")


@access.require_permission(READ)
@require_POST
def resolve(request: ReviewRequest, pk: int) -> HttpResponse:
    """Resolve the claimed item, and claim the next one. A verdict that is not saved is kept for the form."""
    items = QueueItem.objects.reviewable_by(request.user).select_related("conversation")
    item = get_object_or_404(items, pk=pk)
    form = VerdictForm(request.POST)
    _keep_draft(request, pk)
    if form.is_valid() and queue.resolve(actor=access.actor(request), item=item, **form.cleaned_data):
        del request.session[DRAFTS][str(pk)]
        messages.success(request, "Verdict saved.")
        return _claim_next(request, pk, from_start=True)
    if form.is_valid():
        messages.error(request, f"Your claim expired, so the verdict was not saved. Claim item {pk} again to save it.")
        return redirect("admin:review_queue")
    messages.error(request, "Choose a verdict. A note can have up to 2,000 characters.")
    return _redirect_to(item)


def verdict_form(request: ReviewRequest, item: QueueItem) -> VerdictForm:
    """Return the form for the verdict on an item, with what this reviewer has entered before."""
    return VerdictForm(initial=request.session.get(DRAFTS, {}).get(str(item.pk)))


def _keep_draft(request: ReviewRequest, pk: int) -> None:
    entered = {name: request.POST.get(name, "")[:MAX_DRAFT] for name in VerdictForm.base_fields}
    drafts = {item: draft for item, draft in request.session.get(DRAFTS, {}).items() if item != str(pk)}
    if any(entered.values()):
        drafts[str(pk)] = entered
    request.session[DRAFTS] = dict(list(drafts.items())[-MAX_DRAFTS:])


def claimed_item(reviewer: User, conversation: Conversation) -> QueueItem | None:
    """Return the item about this conversation that the reviewer has claimed, if any."""
    claimed = QueueItem.objects.claimed_by(reviewer).filter(conversation=conversation)
    return claimed.select_related("message__feedback").first()


def _claim_next(
    request: ReviewRequest, after: int, *, backwards: bool = False, from_start: bool = False
) -> HttpResponse:
    """Claim the next item after `after`, or the previous one; without one, the first of all if `from_start`."""
    item = queue.claim_next(actor=access.actor(request), after=after, backwards=backwards)
    if item is None and from_start:
        item = queue.claim_next(actor=access.actor(request))
    if item is None:
        messages.info(request, f"There are no {'earlier' if backwards else 'more'} items.")
        return redirect("admin:review_queue")
    return _redirect_to(item)


def _redirect_to(item: QueueItem) -> HttpResponse:
    url = reverse("admin:review_transcript", args=[item.conversation_id])
    return redirect(f"{url}?message={item.message_id}#message-{item.message_id}")
