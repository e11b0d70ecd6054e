from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.models import Message, Role
from conversations.models.permissions import READ, REASONING, full
from conversations.pagination import take_page
from conversations.rendering.plain_text import to_plain_text
from conversations.rendering.snippets import snippet
from conversations.review import cases
from conversations.review.admin import access
from conversations.review.admin.access import CaseRequest

RESULTS_PER_PAGE = 20


class SearchForm(forms.Form):
    q = forms.CharField(
        max_length=200, label="Search for", widget=forms.TextInput(attrs={"dir": "auto", "type": "search"})
    )
    reasoning = forms.BooleanField(required=False, label="Search reasoning instead of questions and answers")
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)


@access.require_permission(READ)
@access.require_case
@require_safe
def search(request: CaseRequest) -> HttpResponse:
    """List messages that contain all words, newest first, after the search and its results have been recorded."""
    form = SearchForm(request.GET or None)
    if not request.user.has_perm(full(REASONING)):
        del form.fields["reasoning"]
    results, older = [], ""
    if form.is_valid():
        query, reasoning = form.cleaned_data["q"], form.cleaned_data.get("reasoning", False)
        messages = Message.objects.reviewable_by(request.user).matching(query, reasoning=reasoning)
        if before := form.cleaned_data["before"]:
            messages = messages.filter(pk__lt=before)
        # Ids first: to join the owners to every match would cost as much as the search.
        ids = messages.newest_ids(RESULTS_PER_PAGE + 1, before)
        found = Message.objects.filter(pk__in=ids).select_related("conversation__owner").order_by("-pk")
        page, last = take_page(found, RESULTS_PER_PAGE)
        cases.record_search(
            actor=access.actor(request), case=request.case, query=query, reasoning=reasoning, messages=page
        )
        results = [(message, snippet(_plain_text(message, reasoning=reasoning), query)) for message in page]
        if last:
            older = urlencode({"q": query, "before": last.pk, **({"reasoning": "on"} if reasoning else {})})
    context = access.context(request, "Search", form=form, results=results, older=older)
    return render(request, "review/admin/search.html", context)


def _plain_text(message: Message, *, reasoning: bool) -> str:
    """Return the text that was searched, without its markup; questions are shown as they were typed."""
    if message.role == Role.USER:
        return message.content
    return to_plain_text(message.reasoning if reasoning else message.content)
