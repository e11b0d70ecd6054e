"""Search in one's own conversations: its page, and what the command palette finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from django.contrib.auth.decorators import login_required
from django.db.models import BigIntegerField
from django.db.models.functions import Coalesce
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from conversations.forms import SearchForm
from conversations.models import Attachment, Conversation, Message, Role, User
from conversations.models.message import IDEOGRAPH, TRIGRAM_CHARACTERS
from conversations.rendering import outlines, timeline
from conversations.rendering.snippets import BEFORE, Snippet, position, snippet
from conversations.request import SignedInRequest
from conversations.views.pages import conversation_list

RESULTS_PER_PAGE = 20
# In the palette.
RECENT = 6
TITLES = 5
MESSAGES = 6
FILES = 3
LINE_BEFORE = 30  # characters before a match, which is shown in one line


@dataclass(frozen=True, slots=True)
class Result:
    """A text that contains all words that were searched for.

    `key` orders results of all kinds: the id of the message or, of a title, of the last message on the conversation's
    page.
    """

    key: int
    place: str
    conversation: Conversation
    url: str
    moment: datetime
    snippet: Snippet
    file_name: str = ""  # of the file whose text the snippet is from


@login_required
@require_safe
def search(request: SignedInRequest) -> HttpResponse:
    """List titles, questions, files, answers and reasoning of this person that contain all words, newest first."""
    form = SearchForm(request.GET or None)
    results: list[Result] = []
    older = ""
    if form.is_valid():
        query, before = form.cleaned_data["q"], form.cleaned_data["before"]
        # Each finds one more than a page needs. A title comes before the message with the same key.
        found = [
            *_titles(request.user, query, RESULTS_PER_PAGE + 1, before),
            *_messages(request.user, query, RESULTS_PER_PAGE + 1, before),
            *_files(request.user, query, RESULTS_PER_PAGE + 1, before),
        ]
        found.sort(key=lambda result: result.key, reverse=True)
        keys = list(dict.fromkeys(result.key for result in found))  # a page ends between two keys
        results = [result for result in found if result.key in keys[:RESULTS_PER_PAGE]]
        if len(keys) > RESULTS_PER_PAGE:
            older = urlencode({"q": query, "before": keys[RESULTS_PER_PAGE - 1]})
    context = conversation_list(request.user) | {"form": form, "results": results, "older": older}
    return render(request, "conversations/search.html", context)


@login_required
@require_safe
def palette(request: SignedInRequest) -> HttpResponse:
    """Return what the command palette shows of a person's conversations: the first of the list, or those with `?q=`."""
    query = request.GET.get("q", "").strip()
    if not query:
        recent = Conversation.objects.visible_to(request.user).listed()[:RECENT]
        return render(request, "conversations/_palette_found.html", {"recent": recent})
    form = SearchForm({"q": query})
    if not form.is_valid():
        return render(request, "conversations/_palette_found.html", {"status": form.errors["q"][0]})
    titles = _titles(request.user, query, TITLES)
    texts: list[Result] = []
    # While somebody types: a few letters are in most messages, for which indexes are of no use.
    is_short = not IDEOGRAPH.search(query) and max(map(len, query.split())) < TRIGRAM_CHARACTERS
    if not is_short:
        texts = list(_messages(request.user, query, MESSAGES, lead=LINE_BEFORE))[:MESSAGES]
        texts += list(_files(request.user, query, FILES, lead=LINE_BEFORE))[:FILES]
    number = len(titles) + len(texts)
    status = f"{number} result{'' if number == 1 else 's'}" if number else "No results in your conversations."
    if is_short:
        status = f"Type {TRIGRAM_CHARACTERS} letters to search in messages."
    context = {"titles": titles, "texts": texts, "status": status, "all": urlencode({"q": query})}
    return render(request, "conversations/_palette_found.html", context)


def _titles(user: User, query: str, number: int, before: int | None = None) -> list[Result]:
    key = Coalesce("leaf_id", 0, output_field=BigIntegerField())
    found = Conversation.objects.visible_to(user).titled(query).alias(key=key)
    if before:
        found = found.filter(key__lt=before)
    return [
        Result(
            key=conversation.leaf_id or 0,
            place="Title",
            conversation=conversation,
            url=conversation.get_absolute_url(),
            moment=conversation.updated_at,
            snippet=snippet(conversation.title, query),
        )
        for conversation in found.order_by("-key")[:number]
    ]


def _messages(
    user: User, query: str, number: int, before: int | None = None, *, lead: int = BEFORE
) -> Iterator[Result]:
    """Yield the results in the newest `number` messages with any: up to two for each.

    Snippets start up to `lead` characters before the first match.
    """
    for message in Message.objects.visible_to(user).found_anywhere(query, number, before):
        conversation = message.conversation
        if message.in_content:
            parameters = urlencode({"message": str(message.pk), "find": query})
            yield Result(
                key=message.pk,
                place="Question" if message.role == Role.USER else "Answer",
                conversation=conversation,
                url=f"{conversation.get_absolute_url()}?{parameters}#message-{message.pk}",
                moment=message.created_at,
                snippet=snippet(message.beginning, query, lead),
            )
        if message.in_reasoning:
            yield Result(
                key=message.pk,
                place="Reasoning",
                conversation=conversation,
                url=f"{reverse('reasoning', args=[message.pk])}?{urlencode({'q': query})}#{_step(message, query)}",
                moment=message.created_at,
                snippet=snippet(message.thought, query, lead),
            )


def _files(user: User, query: str, number: int, before: int | None = None, *, lead: int = BEFORE) -> Iterator[Result]:
    """Yield the files that were found at the newest `number` questions with any."""
    for attachment in Attachment.objects.visible_to(user).found(query, number, before):
        message = cast(Message, attachment.message)
        name, _, text = attachment.searched.partition("\n")
        in_text = position(text, query) is not None
        yield Result(
            key=message.pk,
            place="File",
            conversation=message.conversation,
            url=message.get_absolute_url(),
            moment=message.created_at,
            snippet=snippet(text if in_text else name, query, lead),
            file_name=name if in_text else "",
        )


def _step(message: Message, query: str) -> str:
    """Return the id of the element to show on the page of the reasoning."""
    # The reasoning of early versions would have to be loaded to count its words.
    outline = None if message.reasoning_words is None else outlines.load(message)
    found_at = position(message.thought, query)
    if outline is None or found_at is None:
        return "thought"
    return timeline.step_id(message.pk, outline.number_at(found_at))
