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
from conversations.review.filters import MAX_SORTED, filter_conversations, sort, summaries
from conversations.review.models import Verdict

PAGE = 50  # conversations
MAX_COUNTED = 10_000  # conversations: to count all that are found would cost more than to list them


class FilterForm(forms.Form):
    """Criteria that conversations must meet, all of them."""

    owner = forms.CharField(required=False, label="Username")
    group = forms.ModelChoiceField(Group.objects.order_by("name"), required=False, empty_label="Any")
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


class OrderForm(forms.Form):
    """The order of the list, and the page of it in every order but the first, which has cursors."""

    sort = forms.ChoiceField(
        required=False,
        choices=[
            ("", "Last updated"),
            ("created", "Created"),
            ("questions", "Most questions"),
            ("tokens", "Most tokens"),
        ],
        label="Sort by",
    )
    page = forms.IntegerField(required=False, min_value=1, max_value=MAX_SORTED // PAGE)


@access.require_permission(LIST)
@require_safe
def find(request: ReviewRequest) -> HttpResponse:
    """List conversations by their metadata, the last updated first or in another order."""
    form, order = FilterForm(request.GET), OrderForm(request.GET)
    found = filter_conversations(request.user, form.cleaned_data) if form.is_valid() else Conversation.objects.none()
    by, number = (order.cleaned_data["sort"], order.cleaned_data["page"] or 1) if order.is_valid() else ("", 1)
    rows = sort(found, by)[(number - 1) * PAGE :] if by else found.older_than(request.GET.get("before", ""))
    page, last = take_page(rows.select_related("owner"), PAGE)
    older = ({"sort": by, "page": number + 1} if by else {"before": last.cursor}) if last else {}
    count = found[: MAX_COUNTED + 1].count()
    context = access.context(
        request,
        "Conversations",
        form=form,
        order=order,
        found=summaries(page),
        count=count,
        most=MAX_COUNTED,
        sorted_part=MAX_SORTED if by and count > MAX_SORTED else None,
        older=urlencode({**form.criteria, **older}) if older else "",
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
