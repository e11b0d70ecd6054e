from django import forms
from django.contrib.auth.models import Group
from django.http import HttpResponse, HttpResponseBadRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from conversations.models import Conversation, Rating, Status
from conversations.models.permissions import EXPORT, LIST, READ, REASONING, full
from conversations.pagination import take_page
from conversations.review.admin import access
from conversations.review.admin.access import ReviewRequest
from conversations.review.export import stream_zip
from conversations.review.filters import filter_conversations
from conversations.review.models import Verdict

CONVERSATIONS_PER_PAGE = 50


class FilterForm(forms.Form):
    """Criteria that conversations must meet, all of them."""

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
        """Return the criteria as they were typed."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


@access.require_permission(LIST)
@require_safe
def find(request: ReviewRequest) -> HttpResponse:
    """List conversations by their metadata, newest first."""
    form = FilterForm(request.GET)
    found = filter_conversations(request.user, form.cleaned_data) if form.is_valid() else Conversation.objects.none()
    older = found.older_than(request.GET.get("before", "")).select_related("owner")
    page, last = take_page(older, CONVERSATIONS_PER_PAGE)
    context = access.context(
        request,
        "Find",
        form=form,
        found=page,
        older=urlencode({**form.criteria, "before": last.cursor}) if last else "",
        query=urlencode(form.criteria),
        may_read=request.user.has_perm(full(READ)),
        may_export=request.user.has_perms([full(READ), full(EXPORT)]),
        may_read_reasoning=request.user.has_perm(full(REASONING)),
    )
    return render(request, "review/admin/find.html", context)


@access.require_permission(READ, EXPORT)
@require_POST
def export(request: ReviewRequest) -> HttpResponseBase:
    """Send the conversations that the address's query finds as a ZIP; the posted `form` is "jsonl" or "csv"."""
    form = FilterForm(request.GET)
    file_format = request.POST.get("form")
    if not form.is_valid() or file_format not in ("jsonl", "csv"):
        return HttpResponseBadRequest("Choose which conversations to export, as jsonl or csv.")
    if request.case is None:
        return access.ask_for_reason(f"{reverse('admin:review_find')}?{urlencode(form.criteria)}")
    parts = stream_zip(
        actor=access.actor(request),
        case=request.case,
        ids=list(filter_conversations(request.user, form.cleaned_data).values_list("pk", flat=True)),
        criteria=form.criteria,
        file_format=file_format,
        reasoning=request.user.has_perm(full(REASONING)) and "reasoning" in request.POST,
    )
    name = f"conversations-{timezone.now():%Y%m%d-%H%M%S}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(parts, content_type="application/zip", headers=headers)
