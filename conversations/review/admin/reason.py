from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from conversations.models.permissions import READ
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest


class ReasonForm(forms.Form):
    """The reason for a case, which owners see, and a note, which only the audit trail shows."""

    reason = forms.ChoiceField(
        choices=[(reason, reason) for reason in settings.REVIEW_REASONS],
        widget=forms.RadioSelect,
        help_text="The owners of the conversations you read will see this.",
    )
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2000,
        required=False,
        help_text="For example a ticket number, who asked, or what you are looking for. Only shown in the audit trail.",
    )


@access.require_permission(READ)
def ask(request: ReviewRequest) -> HttpResponse:
    """Show the form; by POST, open a case and redirect to `next`."""
    form = ReasonForm(request.POST or None)
    next_url = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(next_url, allowed_hosts=None):
        next_url = reverse("admin:index")
    if request.method == "POST" and form.is_valid():
        cases.open_case(actor=access.actor(request), **form.cleaned_data)
        return redirect(next_url)
    context = access.context(request, "Reason for access", form=form, next=next_url)
    return render(request, "review/admin/reason.html", context)


@access.require_permission(READ)
@require_POST
def close_case(request: ReviewRequest) -> HttpResponse:
    if request.case:
        cases.close_case(case=request.case)
    return redirect("admin:index")
