from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from conversations.models.permissions import READ
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.models import Case


class ReasonForm(forms.Form):
    """Why a reviewer looks: the owner is shown the reason, the note is for the audit trail."""

    reason = forms.ChoiceField(
        choices=[(reason.strip(), reason.strip()) for reason in settings.REVIEW_REASONS],
        widget=forms.RadioSelect,
        help_text="The owners of the conversations you read will see this.",
    )
    note = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2000,
        required=False,
        help_text="For example a ticket number, who asked, or what you are looking for. Only shown in the audit trail.",
    )


@access.may(READ)
def ask(request: HttpRequest) -> HttpResponse:
    """Ask why; by POST begin a case and go on to where the reviewer wanted to go."""
    form = ReasonForm(request.POST or None)
    wanted = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(wanted, allowed_hosts=None):
        wanted = reverse("admin:conversations_conversation_changelist")
    if request.method == "POST" and form.is_valid():
        cases.begin(actor=access.actor(request), **form.cleaned_data)
        return redirect(wanted)
    context = access.context(request, "Reason for access", form=form, next=wanted)
    return render(request, "review/admin/reason.html", context)


@require_POST
@access.may(READ)
def end(request: HttpRequest) -> HttpResponse:
    if case := Case.objects.open_of(request.user).first():
        cases.end(case=case)
    return redirect("admin:index")
