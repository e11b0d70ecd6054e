from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from conversations.models.permissions import READ
from conversations.review import queue
from conversations.review.admin import access
from conversations.review.models import Case, QueueItem, Rule, Verdict

PAGE = 100


@admin.register(Rule)
class RuleAdmin(access.AllowListed, admin.ModelAdmin):
    """What brings conversations into the queue. What a rule found is shown there alone, to who may read it."""

    list_display = ("name", "outcome", "percent", "active")
    fields = ("name", "words", "outcome", "percent", "active")
    ordering = ("name",)


class VerdictForm(forms.ModelForm):
    verdict = forms.ChoiceField(choices=Verdict.choices, widget=forms.RadioSelect)

    class Meta:
        model = QueueItem
        fields = ("verdict", "note")
        widgets = {"note": forms.Textarea(attrs={"rows": 3})}


@access.may(READ)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List what waits, oldest first; the rules look first what came since."""
    queue.fill()
    items = QueueItem.objects.reviewable_by(request.user).unresolved().select_related("conversation__owner", "taken_by")
    request.case = Case.objects.open_of(request.user).first()
    shown = list(items.order_by("pk")[:PAGE])
    unassigned = QueueItem.objects.unassigned().filter(pk__in=[item.pk for item in shown])
    context = access.context(request, "Queue", items=shown, unassigned=set(unassigned.values_list("pk", flat=True)))
    return render(request, "review/admin/queue.html", context)


@access.may(READ)
@require_POST
def claim(request: HttpRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(QueueItem.objects.reviewable_by(request.user), pk=pk)
    if queue.claim(actor=access.actor(request), item=item) is None:
        messages.warning(request, "Another reviewer has claimed that item.")
        return redirect("admin:review_queue")
    return _open(item)


@access.may(READ)
@require_POST
def step(request: HttpRequest, pk: int, way: str) -> HttpResponse:
    """Leave an item as it is and take the next one, or the one before."""
    item = queue.claim_next(actor=access.actor(request), after=pk, backwards=way == "previous")
    if item is None:
        messages.info(request, "There are no more items.")
        return redirect("admin:review_queue")
    return _open(item)


@access.may(READ)
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve the item one has taken, and take the next."""
    item = get_object_or_404(QueueItem.objects.reviewable_by(request.user), pk=pk)
    form = VerdictForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a verdict. A note can have up to 2,000 characters.")
        return _open(item)
    if not queue.resolve(actor=access.actor(request), item=item, **form.cleaned_data):
        messages.error(request, "Your claim on this item expired, so the verdict was not saved. Claim it again.")
        return redirect("admin:review_queue")
    messages.success(request, f"Item {pk} resolved.")
    return step(request, pk, "next")


def mine(request: HttpRequest, conversation: object) -> QuerySet:
    """Return the item about this conversation that the reviewer has claimed, if there is one."""
    claimed = QueueItem.objects.claimed_by(request.user)
    return claimed.filter(conversation=conversation).select_related("message__feedback")


def _open(item: QueueItem) -> HttpResponse:
    address = reverse("admin:review_transcript", args=[item.conversation_id])
    return redirect(f"{address}?message={item.message_id}#message-{item.message_id}")
