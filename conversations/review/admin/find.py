from django import forms
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from conversations.models import Conversation, Rating, Status
from conversations.models.permissions import EXPORT, LIST, READ, REASONING, full
from conversations.review import export as exports
from conversations.review.admin import access
from conversations.review.models import Case, Verdict
from conversations.review.selection import select

PAGE = 50


class SelectionForm(forms.Form):
    """Which conversations: every field narrows the choice."""

    owner = forms.CharField(required=False, label="Username")
    group = forms.ModelChoiceField(Group.objects.order_by("name"), required=False)
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))
    model = forms.CharField(required=False)
    outcome = forms.ChoiceField(required=False, choices=[("", "Any"), *Status.choices])
    verdict = forms.ChoiceField(required=False, choices=[("", "Any"), *Verdict.choices])
    feedback = forms.ChoiceField(required=False, choices=[("", "Any"), *Rating.choices])
    tokens = forms.IntegerField(required=False, min_value=0, label="Minimum tokens")
    seconds = forms.IntegerField(required=False, min_value=0, max_value=10**6, label="Minimum seconds")

    @property
    def criteria(self) -> dict[str, str]:
        """Return what was asked for, as it was typed."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


@access.may(LIST)
@require_safe
def find(request: HttpRequest) -> HttpResponse:
    """List conversations by what is known of them without reading, a page at a time."""
    form = SelectionForm(request.GET)
    request.case = Case.objects.open_of(request.user).first()
    found = select(request.user, form.cleaned_data) if form.is_valid() else Conversation.objects.none()
    rows = list(found.below(request.GET.get("before", "")).select_related("owner")[: PAGE + 1])
    older = urlencode({**form.criteria, "before": rows[PAGE - 1].cursor}) if len(rows) > PAGE else ""
    context = access.context(
        request,
        "Find",
        form=form,
        found=rows[:PAGE],
        older=older,
        query=urlencode(form.criteria),
        may_read=request.user.has_perm(full(READ)),
        may_export=request.user.has_perms([full(READ), full(EXPORT)]),
        may_reason=request.user.has_perm(full(REASONING)),
    )
    return render(request, "review/admin/find.html", context)


@require_POST
@access.may(READ)
@access.may(EXPORT)
def export(request: HttpRequest) -> HttpResponse:
    """Send what the query of the address selects as a ZIP; the posted `form` is jsonl or csv."""
    form = SelectionForm(request.GET)
    kind = request.POST.get("form")
    if not form.is_valid() or kind not in ("jsonl", "csv"):
        return HttpResponseBadRequest("Choose which conversations to export, as jsonl or csv.")
    case = Case.objects.open_of(request.user).first()
    if case is None:
        here = f"{reverse('admin:review_find')}?{urlencode(form.criteria)}"
        return redirect(f"{reverse('admin:review_reason')}?{urlencode({'next': here})}")
    reasoning = request.user.has_perm(full(REASONING)) and "reasoning" in request.POST
    pieces = exports.archive(
        actor=access.actor(request),
        case=case,
        ids=list(select(request.user, form.cleaned_data).values_list("pk", flat=True)),
        criteria=form.criteria,
        form=kind,
        reasoning=reasoning,
    )
    name = f"conversations-{timezone.now():%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type="application/zip", headers=headers)
