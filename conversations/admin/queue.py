from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from conversations.admin import access
from conversations.models import Case, Item, Rule, Verdict
from conversations.models.permissions import READ
from conversations.review import queue

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
        model = Item
        fields = ("verdict", "note")
        widgets = {"note": forms.Textarea(attrs={"rows": 3})}


@access.may(READ)
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List what waits, oldest first; the rules look first what came since."""
    queue.fill()
    items = Item.objects.reviewable_by(request.user).unresolved().select_related("conversation__owner", "taken_by")
    request.case = Case.objects.open_of(request.user).first()
    free = set(Item.objects.free().filter(pk__in=[item.pk for item in items[:PAGE]]).values_list("pk", flat=True))
    context = access.context(request, "Queue", items=items.order_by("pk")[:PAGE], free=free)
    return render(request, "admin/review/queue.html", context)


@access.may(READ)
@require_POST
def take(request: HttpRequest, pk: int) -> HttpResponse:
    item = get_object_or_404(Item.objects.reviewable_by(request.user), pk=pk)
    if queue.take(who=access.who(request), item=item) is None:
        messages.warning(request, "Somebody else works on that one.")
        return redirect("admin:review_queue")
    return _open(item)


@access.may(READ)
@require_POST
def step(request: HttpRequest, pk: int, way: str) -> HttpResponse:
    """Leave an item as it is and take the next one, or the one before."""
    item = queue.take_next(who=access.who(request), after=pk, backwards=way == "previous")
    if item is None:
        messages.info(request, "There is nothing more that way.")
        return redirect("admin:review_queue")
    return _open(item)


@access.may(READ)
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """Resolve the item one has taken, and take the next."""
    item = get_object_or_404(Item.objects.reviewable_by(request.user), pk=pk)
    form = VerdictForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose a verdict; a note has at most 2,000 characters.")
        return _open(item)
    if not queue.resolve(who=access.who(request), item=item, **form.cleaned_data):
        messages.error(request, "Your time with it ran out, and nothing was kept. Take it again if it is still open.")
        return redirect("admin:review_queue")
    messages.success(request, f"Item {pk} is resolved.")
    return step(request, pk, "next")


def mine(request: HttpRequest, conversation: object) -> QuerySet:
    """Return the item about this conversation that the reviewer has taken, if there is one."""
    return Item.objects.taken_by(request.user).filter(conversation=conversation).select_related("message__feedback")


def _open(item: Item) -> HttpResponse:
    address = reverse("admin:review_transcript", args=[item.conversation_id])
    return redirect(f"{address}?message={item.message_id}#message-{item.message_id}")
