from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from conversations.models.permissions import READ
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest
from conversations.review.models import MAX_DELAY_DAYS, Case


class DelayForm(forms.Form):
    days = forms.IntegerField(min_value=1, max_value=MAX_DELAY_DAYS, label="Days")
    why = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), max_length=2000, label="Reason for the delay")


@access.require_permission(READ)
def index(request: ReviewRequest) -> HttpResponse:
    """List delays that are requested or approved; by POST, request one for the open case.

    Limited reviewers see and approve only those of reviewers whose groups are among their own.
    """
    case, in_scope = request.case, Case.objects.within_scope_of(request.user)
    form = DelayForm(request.POST or None)
    if request.method == "POST" and case and form.is_valid():
        cases.request_notice_delay(actor=access.actor(request), case=case, **form.cleaned_data)
        return redirect("admin:review_notice_delays")
    context = access.context(
        request,
        "Delayed notices",
        form=form if case and case.hold_days is None else None,
        requested=in_scope.awaiting_approval().select_related("reviewer").order_by("pk"),
        approved=in_scope.with_delayed_notices().select_related("reviewer", "hold_approved_by").order_by("hold_until"),
    )
    return render(request, "review/admin/notice_delays.html", context)


@access.require_permission(READ)
@require_POST
def approve(request: ReviewRequest, pk: int) -> HttpResponse:
    case = get_object_or_404(Case.objects.within_scope_of(request.user), pk=pk)
    if not cases.approve_notice_delay(actor=access.actor(request), case=case):
        raise PermissionDenied
    messages.success(request, "Delay approved.")
    return redirect("admin:review_notice_delays")
