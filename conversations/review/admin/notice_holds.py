from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from conversations.models.permissions import READ
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.models import HOLD_DAYS, Case


class HoldForm(forms.Form):
    """How long, and why, the people concerned by a case are to be told later."""

    days = forms.IntegerField(min_value=1, max_value=HOLD_DAYS, label="Days")
    why = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), max_length=2000, label="Reason for the delay")


@access.may(READ)
def index(request: HttpRequest) -> HttpResponse:
    """Show the holds that await an answer; ask for one for the case one works on."""
    case = request.case = Case.objects.open_of(request.user).first()
    form = HoldForm(request.POST or None)
    if request.method == "POST" and case and form.is_valid():
        cases.ask_to_hold(actor=access.actor(request), case=case, **form.cleaned_data)
        return redirect("admin:review_holds")
    context = access.context(
        request,
        "Delayed notices",
        form=form if case and case.hold_days is None else None,
        waiting=Case.objects.awaiting_approval().select_related("reviewer").order_by("pk"),
        held=Case.objects.held_back().select_related("reviewer", "hold_approved_by").order_by("hold_until"),
    )
    return render(request, "review/admin/holds.html", context)


@require_POST
@access.may(READ)
def agree(request: HttpRequest, pk: int) -> HttpResponse:
    case = get_object_or_404(Case, pk=pk)
    if not cases.agree_to_hold(actor=access.actor(request), case=case):
        raise PermissionDenied
    messages.success(request, "Delay approved.")
    return redirect("admin:review_holds")
