from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.models import Message
from conversations.models.permissions import READ, REASONING, full
from conversations.rendering.snippets import snippet
from conversations.review import cases
from conversations.review.admin import access

PAGE = 20


class SearchForm(forms.Form):
    q = forms.CharField(
        max_length=200, label="Search for", widget=forms.TextInput(attrs={"dir": "auto", "type": "search"})
    )
    reasoning = forms.BooleanField(required=False, label="Search reasoning instead of questions and answers")
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)


@access.may(READ)
@access.with_case
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """List messages that hold all words, newest first; the search and whose passages it shows are written down."""
    form = SearchForm(request.GET or None)
    if not request.user.has_perm(full(REASONING)):
        del form.fields["reasoning"]
    found, older = [], ""
    if form.is_valid():
        query, reasoning = form.cleaned_data["q"], form.cleaned_data.get("reasoning", False)
        messages = Message.objects.reviewable_by(request.user).matching(query, reasoning=reasoning)
        if before := form.cleaned_data["before"]:
            messages = messages.filter(pk__lt=before)
        # Ids first: joined to every hit, what is shown of twenty would cost as much as the search.
        ids = messages.newest_ids(PAGE + 1, before)
        rows = list(Message.objects.filter(pk__in=ids).select_related("conversation__owner").order_by("-pk"))
        cases.search(
            actor=access.actor(request), case=request.case, words=query, reasoning=reasoning, messages=rows[:PAGE]
        )
        found = [(row, snippet(row.reasoning if reasoning else row.content, query)) for row in rows[:PAGE]]
        if len(rows) > PAGE:
            asked = {"q": query, "before": rows[PAGE - 1].pk, **({"reasoning": "on"} if reasoning else {})}
            older = urlencode(asked)
    context = access.context(request, "Search", form=form, found=found, older=older)
    return render(request, "review/admin/search.html", context)
