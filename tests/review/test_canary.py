"""Words planted in a conversation appear in the administration exactly where a permission allows, and nowhere else.

Every address of the administration is crawled as everybody; lookups, searches, orders and autocompletion are probed
with the planted words, and must answer as they do to words that are nowhere.
"""

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations.models import Conversation, Message
from conversations.review.models import AuditEntry
from tests.factories import person
from tests.review.people import ROLES, planted, somebody

pytestmark = pytest.mark.django_db
WORDS = {kind: f"canary{kind}zq" for kind in ("title", "prompt", "answer", "version", "reasoning")}
NOWHERE = "canarynowherezq"
# Lookups that would tell of a word if they were followed, and the words they would tell of.
PROBES = {
    "q": tuple(WORDS),
    "title": ("title",),
    "title__startswith": ("title",),
    "leaf__content__contains": ("answer",),
    "messages__content__contains": ("prompt", "version"),
    "messages__reasoning__startswith": ("reasoning",),
    "messages__parent__content__contains": ("prompt",),
    "generations__message__reasoning__contains": ("reasoning",),
    "conversation__title__startswith": ("title",),
    "conversations__title__startswith": ("title",),
    "conversations__messages__content__contains": ("answer",),
    "owner__conversations__title__contains": ("title",),
    "user__conversations__messages__reasoning__contains": ("reasoning",),
    "content__startswith": ("answer",),
    "reasoning__startswith": ("reasoning",),
    "note__startswith": ("prompt",),
    "details__contains": ("prompt",),
}
HREF = re.compile(r'(?:href|action|src|data-url)="([^"]+)"')
CHANGING = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"')


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


def signed_in(role: str) -> Client:
    """Return a client of this role, with a reason stated, if it is let to state one."""
    client = Client(raise_request_exception=False)  # pages that tell of an error are pages
    if user := somebody(role):
        client.force_login(user)
        client.post("/admin/conversations/conversation/reason/", {"reason": "Safety", "note": "Ticket 7"})
    return client


def text(response: HttpResponse) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return f"{response.status_code} {response.headers.get('Location', '')}\n{body.decode()}"


def addresses() -> Iterator[str]:
    """Yield every address the administration has, for every row, and for rows that are not there."""
    rows = {
        model: [str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:3]]
        for model in apps.get_models()
    }
    conversations = [str(pk) for pk in Conversation.objects.values_list("pk", flat=True)]
    prefix = next(p for p in get_resolver().url_patterns if getattr(p, "app_name", "") == "admin")
    for route in routes(prefix.url_patterns, "/admin/"):
        if "<uuid:pk>" in route:
            yield from (route.replace("<uuid:pk>", pk) for pk in [*conversations, "7" * 32])
        elif route.startswith("/admin/r/"):
            kinds = rows[apps.get_model("contenttypes", "ContentType")]
            yield from (f"/admin/r/{kind}/{pk}/" for kind in kinds for pk in [*conversations, "1"])
        elif "<path:object_id>" in route or "<id>" in route:
            label, name = route.split("/")[2:4]
            pks = rows[apps.get_model(label, name)]
            yield from (re.sub("<[^>]+>", pk, route) for pk in [*pks, "0"])
        else:
            yield route


def routes(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[str]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        elif not str(pattern.pattern).startswith("^(?P<"):
            yield route.replace("(?P<url>.*)$", "nowhere/")


def crawl(client: Client) -> dict[str, str]:
    """Return what every address answers, and every address of the administration that those answers name.

    Of addresses that differ in the values of their query alone one is asked, except where the values name messages.
    """
    answers: dict[str, str] = {}
    asked = set()
    waiting = [*addresses(), *(f"/admin/{label}/" for label in ("auth", "conversations", "account", "nowhere"))]
    messages = Message.objects.values_list("pk", flat=True)
    waiting += [f"{answer}?message={pk}" for answer in transcripts() for pk in messages]
    while waiting:
        address = waiting.pop()
        path, _, query = address.partition("?")
        kind = address if "transcript" in path else (path, *re.findall(r"(?:^|&)([^=]+)", query))
        if kind in asked or "logout" in path:
            continue
        asked.add(kind)
        answers[address] = text(client.get(address))
        found = (urljoin(address, href.replace("&amp;", "&")).split("#")[0] for href in HREF.findall(answers[address]))
        waiting += [link for link in found if link.startswith("/admin/")]
        assert len(answers) < 1000, "the crawl does not end"
    return answers


def transcripts() -> list[str]:
    return [
        f"/admin/conversations/conversation/{pk}/transcript/"
        for pk in Conversation.objects.values_list("pk", flat=True)
    ]


@pytest.mark.parametrize("role", ROLES)
def test_each_word_appears_exactly_where_its_permission_allows(conversation: Conversation, role: str):
    answers = crawl(signed_in(role))
    seen = {kind for kind, word in WORDS.items() for answer in answers.values() if word in answer}
    assert seen == ROLES[role][1]
    assert len(answers) > 40  # it did crawl
    showing = [address for address, answer in answers.items() if any(word in answer for word in WORDS.values())]
    assert all("/transcript/" in address for address in showing)
    assert AuditEntry.objects.filter(act="opened", conversation_id=conversation.pk).count() >= len(showing)
    with_thought = [address for address, answer in answers.items() if WORDS["reasoning"] in answer]
    assert AuditEntry.objects.filter(act="reasoning").count() == len(with_thought)


def registered() -> list[type[Model]]:
    return [model for model in apps.get_models() if admin.site.is_registered(model)]


@pytest.mark.parametrize("role", ROLES)
def test_no_lookup_tells_whether_a_word_is_there(conversation: Conversation, role: str):
    client = signed_in(role)
    lists = [f"/admin/{model._meta.label_lower.replace('.', '/')}/" for model in registered()]
    # Permission is checked before any parameter is read: who is refused a list is refused it whatever they ask for.
    for address in [address for address in lists if client.get(address).status_code == 200]:
        for probe, kinds in PROBES.items():

            def answer(word: str, address: str = f"{address}?{probe}=") -> str:
                return CHANGING.sub("", text(client.get(address + word[:-2])).replace(word[:-2], "…"))

            nowhere = answer(NOWHERE)
            for kind in kinds:
                assert answer(WORDS[kind]) == nowhere, f"{address}?{probe}={WORDS[kind]}"


@pytest.mark.parametrize("role", ROLES)
def test_a_search_finds_each_word_for_those_alone_who_may_read_it(conversation: Conversation, role: str):
    client = signed_in(role)

    def search(word: str, reasoning: str) -> str:
        address = f"/admin/conversations/conversation/search/?q={word}{reasoning}"
        return CHANGING.sub("", text(client.get(address)).replace(word, "…"))

    allowed = ROLES[role][1]
    for kind, word in WORDS.items():
        for reasoning in ("", "&reasoning=on"):
            where = {"reasoning"} if reasoning and "reasoning" in allowed else {"prompt", "answer", "version"}
            found = search(word, reasoning) != search(NOWHERE, reasoning)
            assert found == (kind in allowed & where), f"{kind} {reasoning}"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.filterwarnings("ignore:Pagination may yield inconsistent results")  # allauth's own list has no order
def test_no_autocompletion_tells_of_a_word(conversation: Conversation, role: str):
    client = signed_in(role)
    fields = [
        (model._meta, field.name)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and admin.site.is_registered(field.related_model)
    ]
    assert fields
    for meta, name in fields:
        query = f"app_label={meta.app_label}&model_name={meta.model_name}&field_name={name}"

        def complete(word: str, query: str = query) -> str:
            return text(client.get(f"/admin/autocomplete/?{query}&term={word[:-2]}")).replace(word[:-2], "…")

        nowhere = complete(NOWHERE)
        assert not any(word in nowhere for word in WORDS.values())
        for word in WORDS.values() if nowhere.startswith("200") else ():
            assert complete(word) == nowhere


def test_the_probes_would_find_the_words(conversation: Conversation):
    """The positive control: asked directly, the database tells of every word."""
    found = Conversation.objects.filter(title__startswith=WORDS["title"], messages__content__contains=WORDS["prompt"])
    assert found.exists()
    assert Message.objects.filter(reasoning__startswith=WORDS["reasoning"]).exists()
