"""A person's search through what they asked and were answered."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.forms import SearchForm
from conversations.models import Message
from conversations.rendering.snippets import snippet

PAGE = 20


@login_required
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """List the messages that hold all words asked for, newest first."""
    form = SearchForm(request.GET or None)
    found, older = [], ""
    if form.is_valid():
        query, before = form.cleaned_data["q"], form.cleaned_data["before"]
        messages = Message.objects.visible_to(request.user).matching(query)
        if before:
            messages = messages.filter(pk__lt=before)
        ids = list(messages.order_by("-pk").values_list("pk", flat=True)[: PAGE + 1])
        rows = list(
            Message.objects.filter(pk__in=ids).select_related("conversation").defer("reasoning").order_by("-pk")
        )
        found = [(row, snippet(row.content, query)) for row in rows[:PAGE]]
        if len(rows) > PAGE:
            older = urlencode({"q": query, "before": rows[PAGE - 1].pk})
    return render(request, "conversations/search.html", {"form": form, "found": found, "older": older})
