"""The list of conversations: what it shows instead of content, its orders, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.models import Conversation, Feedback, Generation, Status, User
from conversations.review import filters
from conversations.review.admin import find
from tests.factories import person, queued
from tests.review.factories import make_conversation, make_user

pytestmark = pytest.mark.django_db
FIND = "/admin/conversations/conversation/find/"
CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.DOTALL)


def asked(owner: User, number: int = 1, **fields: object) -> Conversation:
    """Return a conversation with so many questions, and the same values in the generation of each answer."""
    conversation = None
    for _ in range(number):
        conversation = queued(owner, "canarypromptzq", conversation).conversation
    values = {"status": Status.COMPLETE, "model": "test-model", "answer_tokens": 10} | fields
    Generation.objects.filter(conversation=conversation).update(**values)
    return Conversation.objects.get(pk=conversation.pk)


def rows(page: str) -> list[list[str]]:
    """Return the cells of each row between the two dates, without markup."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [" ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in CELL.findall(row)[1:-1]]
        for row in body.split("</tr>")[:-1]
    ]


def test_a_row_shows_questions_outcome_model_tokens_and_feedback(client: Client):
    owner = person("owner")
    conversation = asked(owner, 2, prompt_tokens=1_000)
    first, last = conversation.messages.filter(role="assistant").order_by("pk")
    Generation.objects.filter(message=last).update(status=Status.FAILED, model="other-model", tokens_estimated=True)
    Feedback.objects.create(message=first, conversation=conversation, rating="report")
    Feedback.objects.create(message=last, conversation=conversation, rating="good")
    asked(person("nobody"))
    client.force_login(make_user("list-only"))
    page = client.get(f"{FIND}?owner=owner").text
    assert rows(page) == [["owner", "2", "Failed", "other-model", "about 2,020", "Good, Reported"]]
    assert "canary" not in page
    assert "1 conversation." in page
    assert str(conversation.pk) not in page  # without the permission to read there is no link
    client.force_login(make_user("reader"))
    assert f'{conversation.pk}/transcript/" aria-label="Read the conversation of owner, last' in client.get(FIND).text


def test_more_rows_need_no_more_queries(client: Client):
    client.force_login(make_user("reader"))

    def count_queries(query: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"{FIND}?{query}").status_code == 200
        return len(queries)

    asked(person("owner"))
    one = {by: count_queries(f"sort={by}") for by in ("", *filters.SORTS)}
    for n in range(5):
        answer = asked(person(f"owner{n}"), n + 1).leaf
        Feedback.objects.create(message=answer, conversation=answer.conversation, rating="bad")
    assert {by: count_queries(f"sort={by}") for by in one} == one


def test_lists_are_sorted_by_what_the_form_offers_only(client: Client):
    few = asked(person("few"), 1, answer_tokens=500)
    many = asked(person("many"), 3, answer_tokens=1)
    Conversation.objects.filter(pk=many.pk).update(
        created_at=few.created_at - timedelta(days=1), updated_at=few.updated_at - timedelta(days=1)
    )
    client.force_login(make_user("list-only"))

    def owners(by: str) -> list[str]:
        return [owner for owner, *_ in rows(client.get(f"{FIND}?sort={by}").text)]

    assert owners("") == owners("created") == owners("tokens") == ["few", "many"]
    assert owners("questions") == ["many", "few"]
    for by in ("title", "messages__reasoning", "-tokens", "owner__password"):
        assert owners(by) == ["few", "many"]


def test_pages_follow_each_other_in_every_order(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(find, "PAGE", 2)
    owner = person("owner")
    for n in range(5):
        asked(owner, n + 1)
    client.force_login(make_user("list-only"))
    for by in ("", "questions"):
        page, seen = client.get(f"{FIND}?owner=owner&sort={by}").text, []
        while True:
            seen += [int(questions) for _, questions, *_ in rows(page)]
            older = re.search(r'<a href="(\?[^"]*)">(?:Older|Next page)</a>', page)
            if older is None:
                break
            page = client.get(FIND + older[1].replace("&amp;", "&")).text
        assert seen == [5, 4, 3, 2, 1]


def test_of_many_conversations_a_part_is_sorted_and_counted(client: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(find, "MAX_COUNTED", 2)
    monkeypatch.setattr(find, "MAX_SORTED", 1)
    monkeypatch.setattr(filters, "MAX_SORTED", 1)
    old = asked(person("old"), 3)
    Conversation.objects.filter(pk=old.pk).update(updated_at=timezone.now() - timedelta(days=1))
    for n in range(2):
        asked(person(f"owner{n}"))
    client.force_login(make_user("exporter"))
    page = client.get(f"{FIND}?sort=questions").text
    assert "More than 2 conversations. Only the 1 that were updated last are sorted" in page
    assert [owner for owner, *_ in rows(page)] == ["owner1"]
    assert "Export more than 2 conversations" in page


def test_the_export_says_how_many_conversations_it_contains(client: Client):
    make_conversation(person("one"))
    make_conversation(person("two"))
    client.force_login(make_user("exporter"))
    page = client.get(FIND).text
    assert "<h2>Export all 2 conversations</h2>" in page
    assert "Export 2 conversations</button>" in page
    assert "Export 1 conversation</button>" in client.get(f"{FIND}?owner=one").text
    client.force_login(make_user("reader"))
    assert "Export" not in client.get(FIND).text


def test_the_administrations_list_of_conversations_is_this_one(client: Client):
    conversation = make_conversation(person("owner"))
    client.force_login(make_user("scoped reviewer"))
    changelist = "/admin/conversations/conversation/"
    assert "No results." in client.get(changelist).text
    conversation.owner.groups.add(Group.objects.get(name="Another group"))
    assert str(conversation.pk) in client.get(changelist).text
    client.force_login(make_user("superuser"))
    assert client.get(changelist).status_code == 403
