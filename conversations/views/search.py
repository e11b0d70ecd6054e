from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.forms import SearchForm
from conversations.models import Message
from conversations.pagination import take_page
from conversations.rendering.snippets import snippet
from conversations.request import SignedInRequest

RESULTS_PER_PAGE = 20


@login_required
@require_safe
def search(request: SignedInRequest) -> HttpResponse:
    """List this person's questions and answers that contain all words, newest first."""
    form = SearchForm(request.GET or None)
    results, older = [], ""
    if form.is_valid():
        query, before = form.cleaned_data["q"], form.cleaned_data["before"]
        messages = Message.objects.visible_to(request.user).matching(query)
        if before:
            messages = messages.filter(pk__lt=before)
        # Ids first: to join the conversations to every match would cost as much as the search.
        ids = list(messages.order_by("-pk").values_list("pk", flat=True)[: RESULTS_PER_PAGE + 1])
        found = (
            Message.objects.filter(pk__in=ids)
            .select_related("conversation")
            .defer("reasoning", "outline")
            .order_by("-pk")
        )
        page, last = take_page(found, RESULTS_PER_PAGE)
        results = [(message, snippet(message.content, query)) for message in page]
        older = urlencode({"q": query, "before": last.pk}) if last else ""
    return render(request, "conversations/search.html", {"form": form, "results": results, "older": older})
