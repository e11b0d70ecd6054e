"""Content appears in the administration exactly where a permission allows it.

Conversations contain unique words. Every URL of the administration is requested in every role; lookups, searches,
orderings and autocompletion must respond to those words as they do to words that are nowhere.
"""

import logging
import re
import threading
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations import actions
from conversations.archives import builder, request_archive
from conversations.models import (
    ApiToken,
    Archive,
    ArchiveState,
    Attachment,
    Conversation,
    Folder,
    Message,
    SavedPrompt,
    Share,
)
from conversations.review.models import AuditEntry
from tests.factories import api_token, person
from tests.review.factories import LABEL, ROLES, make_conversation, make_user

pytestmark = pytest.mark.django_db
WORDS = {
    kind: f"canary{kind}zq"
    for kind in (
        "title",
        "prompt",
        "answer",
        "version",
        "reasoning",
        "instructions",
        "everywhere",
        "file",
        "name",
        "token",
        "deleted",  # of a conversation that its owner can restore
        "folder",
        "saved",
    )
}
NOWHERE = "canarynowherezq"
# Lookups that would reveal words if they were followed, and which words.
LOOKUPS = {
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
    "instructions__content__startswith": ("instructions", "everywhere"),
    "instruction_versions__content__contains": ("instructions", "everywhere"),
    "owner__instructions__content__contains": ("everywhere",),
    "content__startswith": ("answer", "instructions", "everywhere"),
    "reasoning__startswith": ("reasoning",),
    "attachments__name__startswith": ("name",),
    "messages__attachments__stored__text__contains": ("file",),
    "stored__text__startswith": ("file",),
    "shares__conversation__title__startswith": ("title",),
    "shares__end_reason__startswith": ("prompt",),
    "api_tokens__name__startswith": ("token",),
    "api_tokens__digest__startswith": ("token",),
    "owner__api_tokens__digest__startswith": ("token",),
    "folder__name__startswith": ("folder",),
    "folders__name__startswith": ("folder",),
    "owner__folders__name__startswith": ("folder",),
    "saved_prompts__text__startswith": ("saved",),
    "owner__saved_prompts__name__startswith": ("saved",),
    "note__startswith": ("prompt",),
    "details__contains": ("prompt",),
}
# Roles that can open lists, and one that cannot. Those with fewer permissions of the same kind add nothing here.
LOOKUP_ROLES = ("user", "superuser", "list-only", "reader with reasoning", "exporter", "scoped reviewer")
HREF = re.compile(r'(?:href|action|src|data-url)="([^"]+)"')
VARIABLE = re.compile(r'name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"')


@pytest.fixture
def conversation() -> Conversation:
    conversation = make_conversation(person("owner"), **WORDS)
    actions.create_share(conversation=conversation, audience="members", days=30, with_reasoning=True, with_files=True)
    folder = actions.create_folder(user=conversation.owner, name=WORDS["folder"])
    actions.move(user=conversation.owner, ids=[conversation.pk], folder=folder)
    actions.save_prompt(user=conversation.owner, name=WORDS["saved"], text=WORDS["saved"])
    words = dict.fromkeys(WORDS, WORDS["deleted"]) | {"everywhere": WORDS["everywhere"]}
    actions.delete(conversation=make_conversation(conversation.owner, **words))
    request_archive(user=conversation.owner, reasoning=True)
    builder.do_round(threading.Event())
    assert Archive.objects.get().state == ArchiveState.READY
    api_token(conversation.owner, name=WORDS["token"], digest=WORDS["token"].ljust(64, "0"))
    return conversation


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1)  # the tracebacks of refusals cost as much as the requests


def signed_in(role: str) -> Client:
    """Return a client for this role, with an open case if the role allows one."""
    client = Client(raise_request_exception=False)  # error pages are pages too
    if user := make_user(role):
        client.force_login(user)
        client.post("/admin/conversations/conversation/reason/", {"reason": "Safety", "note": "Ticket 7"})
    return client


def text(response: HttpResponse) -> str:
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return f"{response.status_code} {response.headers.get('Location', '')}\n{body.decode()}"


def urls() -> Iterator[str]:
    """Yield every URL of the administration, for existing and for missing rows."""
    rows = {
        model: [str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:3]]
        for model in apps.get_models()
    }
    conversations = [str(pk) for pk in Conversation.with_deleted.values_list("pk", flat=True)]
    prefix = next(p for p in get_resolver().url_patterns if getattr(p, "app_name", "") == "admin")
    for route in routes(prefix.url_patterns, "/admin/"):
        if "<uuid:file>" in route:
            files = [*Attachment.objects.values_list("pk", flat=True), "7" * 32]
            yield from (
                route.replace("<uuid:pk>", pk).replace("<uuid:file>", str(file))
                for pk in [*conversations, "7" * 32]
                for file in files
            )
        elif "<uuid:share>" in route:
            shares = [*Share.objects.values_list("pk", flat=True), "7" * 32]
            yield from (
                route.replace("<uuid:pk>", pk).replace("<uuid:share>", str(share))
                for pk in [*conversations, "7" * 32]
                for share in shares
            )
        elif "<uuid:pk>" in route:
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
    """Return the responses of all URLs of the administration, and of those they link to.

    Of URLs that differ only in the values of their query, one is requested, except where the values are messages.
    """
    responses: dict[str, str] = {}
    requested = set()
    waiting = [*urls(), *(f"/admin/{label}/" for label in ("auth", "conversations", "account", "nowhere"))]
    messages = Message.objects.values_list("pk", flat=True)
    waiting += [f"{transcript}?message={pk}" for transcript in transcripts() for pk in messages]
    while waiting:
        url = waiting.pop()
        path, _, query = url.partition("?")
        kind = url if "transcript" in path else (path, *re.findall(r"(?:^|&)([^=]+)", query))
        if kind in requested or "logout" in path:
            continue
        requested.add(kind)
        responses[url] = text(client.get(url))
        links = (urljoin(url, href.replace("&amp;", "&")).split("#")[0] for href in HREF.findall(responses[url]))
        waiting += [link for link in links if link.startswith("/admin/")]
        assert len(responses) < 1000, "the crawl does not end"
    return responses


def transcripts() -> list[str]:
    return [
        f"/admin/conversations/conversation/{pk}/transcript/"
        for pk in Conversation.with_deleted.values_list("pk", flat=True)
    ]


@pytest.mark.parametrize("role", ROLES)
def test_each_word_appears_exactly_where_a_permission_allows_it(conversation: Conversation, role: str):
    responses = crawl(signed_in(role))
    seen = {kind for kind, word in WORDS.items() for response in responses.values() if word in response}
    assert seen == ROLES[role][1]
    share = Share.objects.get()
    assert not any(secret in response for response in responses.values() for secret in (share.token, share.token_hash))
    # That there is a link is part of the transcript; who has it sees all that it shows.
    assert any('class="end-share"' in response for response in responses.values()) == ("answer" in seen)
    assert len(responses) > 40
    with_content = [url for url, response in responses.items() if any(word in response for word in WORDS.values())]
    assert all("/transcript/" in url for url in with_content)
    of_content = AuditEntry.objects.filter(act__in=("opened", "file"), conversation_id=conversation.pk)
    assert of_content.count() >= len(with_content)
    files = [url for url, response in responses.items() if "/files/" in url and response.startswith("200")]
    assert AuditEntry.objects.filter(act="file").count() >= len(files)
    assert bool(files) == ("file" in seen)
    with_reasoning = [url for url, response in responses.items() if WORDS["reasoning"] in response]
    assert AuditEntry.objects.filter(act="reasoning").count() == len(with_reasoning)
    with_outline = [url for url, response in responses.items() if LABEL in response]
    assert set(with_outline) <= set(with_reasoning)
    assert bool(with_outline) == bool(with_reasoning)


def registered() -> list[type[Model]]:
    return [model for model in apps.get_models() if admin.site.is_registered(model)]


@pytest.mark.parametrize("role", LOOKUP_ROLES)
def test_no_lookup_reveals_whether_a_word_exists(conversation: Conversation, role: str):
    client = signed_in(role)
    lists = [f"/admin/{model._meta.label_lower.replace('.', '/')}/" for model in registered()]
    # Permissions are checked before the query string: a list that is refused is refused whatever the query.
    for url in [url for url in lists if client.get(url).status_code == 200]:
        for lookup, kinds in LOOKUPS.items():

            def response(word: str, url: str = f"{url}?{lookup}=") -> str:
                return VARIABLE.sub("", text(client.get(url + word[:-2])).replace(word[:-2], "…"))

            nowhere = response(NOWHERE)
            for kind in kinds:
                assert response(WORDS[kind]) == nowhere, f"{url}?{lookup}={WORDS[kind]}"


@pytest.mark.parametrize("role", ROLES)
def test_search_finds_only_words_that_the_role_may_read(conversation: Conversation, role: str):
    client = signed_in(role)

    def search(word: str, reasoning: str) -> str:
        url = f"/admin/conversations/conversation/search/?q={word}{reasoning}"
        return VARIABLE.sub("", text(client.get(url)).replace(word, "…"))

    allowed = ROLES[role][1]
    for reasoning in ("", "&reasoning=on"):
        searched = {"reasoning"} if reasoning and "reasoning" in allowed else {"prompt", "answer", "version"}
        nowhere = search(NOWHERE, reasoning)
        for kind, word in WORDS.items():
            is_found = search(word, reasoning) != nowhere
            assert is_found == (kind in allowed & searched), f"{kind} {reasoning}"


@pytest.mark.parametrize("role", LOOKUP_ROLES)
@pytest.mark.filterwarnings("ignore:Pagination may yield inconsistent results")  # allauth's own list has no order
def test_no_autocompletion_reveals_a_word(conversation: Conversation, role: str):
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


def test_the_words_can_be_found_in_the_database(conversation: Conversation):
    """A positive control for the other tests."""
    found = Conversation.objects.filter(title__startswith=WORDS["title"], messages__content__contains=WORDS["prompt"])
    assert found.exists()
    assert Message.objects.filter(reasoning__startswith=WORDS["reasoning"]).exists()
    assert Folder.objects.filter(name__startswith=WORDS["folder"], conversations=found.get()).exists()
    assert SavedPrompt.objects.filter(text__startswith=WORDS["saved"], name__startswith=WORDS["saved"]).exists()
    assert ApiToken.objects.filter(name=WORDS["token"], digest__startswith=WORDS["token"]).exists()
    deleted = Conversation.with_deleted.exclude(deleted_at=None).get()
    assert deleted.messages.filter(content=WORDS["deleted"], reasoning=WORDS["deleted"]).exists()


def test_the_token_of_a_link_can_be_found_on_its_owners_page(conversation: Conversation):
    """A positive control, too."""
    client = Client()
    client.force_login(conversation.owner)
    assert Share.objects.get().token in text(client.get("/shares/"))
