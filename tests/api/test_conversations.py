"""Models, and conversations: list, read, search, export."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.importing import import_file
from conversations.models import Conversation, Feedback, Generation, Message, User
from conversations.views.api.documentation import OPENAPI
from conversations.views.export_parts import MOST_EXPORTS
from tests.api.conftest import Api
from tests.factories import attached, person, queued
from tests.importing.files import as_json, open_webui


@pytest.fixture
def conversation(ada: User) -> Conversation:
    """Two questions of which the first was edited, and answers."""
    first = queued(ada, "First?")
    actions.stop(generation=first)
    edited = actions.edit(user=ada, prompt=first.message.prompt, content="Edited?")
    actions.stop(generation=edited)
    actions.stop(generation=queued(ada, "Second?", first.conversation))
    for number, answer in enumerate(Message.objects.filter(role="assistant").order_by("pk"), 1):
        texts = {"content": f"Answer {number}", "reasoning": f"Thought {number}", "reasoning_words": 2}
        Message.objects.filter(pk=answer.pk).update(**texts)
    return Conversation.objects.get()


def texts(page: dict) -> list[str]:
    return [message["content"] for message in page["messages"]]


def test_what_was_imported_is_marked_and_has_no_generation(api: Api, ada: User):
    import_file(user=ada, file=as_json(open_webui()))
    copy = Conversation.objects.get()
    [listed] = api.get("conversations/").json()["conversations"]
    read = api.get(f"conversations/{copy.pk}/").json()
    assert listed["imported_from"] == read["imported_from"] == "open-webui"
    assert [(each["imported"], each["generation"]) for each in read["messages"]] == [(True, None)] * 2
    asked = queued(ada, "And here?", copy)
    read = api.get(f"conversations/{copy.pk}/").json()
    assert read["messages"][-1]["generation"]["id"] == asked.pk
    assert [each["imported"] for each in read["messages"]] == [True, True, False, False]


def test_the_token_describes_itself(api: Api, django_assert_num_queries):
    api.get("")
    with django_assert_num_queries(1):
        found = api.get("").json()
    assert found["username"] == "ada"
    assert found["token"]["scopes"] == ["read", "export", "ask"]


def test_models_are_those_that_the_owner_may_use(api: Api, django_assert_num_queries):
    api.get("models/")
    with django_assert_num_queries(1):
        models = api.get("models/").json()["models"]
    assert all(model.keys() >= {"id", "label", "depths", "images", "context_tokens"} for model in models)


def test_conversations_are_listed_in_pages(api: Api, ada: User, django_assert_num_queries):
    now = timezone.now()
    for number in range(7):
        made = queued(ada, f"Question {number}").conversation
        placement = {5: 2, 6: 0}.get(number, 1)
        updated_at = now - timedelta(minutes=number // 2)  # some at the same time
        Conversation.objects.filter(pk=made.pk).update(placement=placement, updated_at=updated_at)
        actions.stop(generation=Generation.objects.get(conversation=made))
    queued(person("bob"), "Not mine")
    api.get("conversations/")
    with django_assert_num_queries(2):
        whole = api.get("conversations/").json()
    assert whole["cursor"] is None
    assert len(whole["conversations"]) == 7
    assert [each["placement"] for each in whole["conversations"]] == ["pinned", *["listed"] * 5, "archived"]
    found, cursor = [], ""
    while cursor is not None:
        page = api.get(f"conversations/?limit=2&cursor={cursor}").json()
        found += page["conversations"]
        cursor = page["cursor"]
    assert found == whole["conversations"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=-1", "cursor=x", "cursor=9_x", "cursor=1_"]
)
def test_a_page_that_does_not_exist_is_refused(api: Api, query: str):
    assert api.get(f"conversations/?{query}").status_code == 422


def test_a_conversation_is_read_by_branch_and_in_pages(api: Api, conversation: Conversation, django_assert_num_queries):
    path = f"conversations/{conversation.pk}/"
    api.get(path)
    with django_assert_num_queries(6):  # token, conversation, tree, sizes, generations, messages
        page = api.get(path).json()
    assert texts(page) == ["Edited?", "Answer 2", "Second?", "Answer 3"]
    assert page["leaf"] == page["messages"][-1]["id"]
    assert page["after"] is None
    assert "reasoning" not in page["messages"][1]
    assert page["messages"][1]["generation"]["status"] == "stopped"
    other, shown = page["messages"][0]["versions"]
    assert shown == page["messages"][0]["id"]
    assert texts(api.get(f"{path}?message={other}").json()) == ["First?", "Answer 1"]
    first = api.get(f"{path}?limit=3&reasoning=true").json()
    assert texts(first) == ["Edited?", "Answer 2", "Second?"]
    assert first["messages"][1]["reasoning"] == "Thought 2"
    assert first["after"] == first["messages"][-1]["id"]
    assert texts(api.get(f"{path}?after={first['after']}").json()) == ["Answer 3"]


def test_the_number_of_queries_does_not_grow_with_the_conversation(
    api: Api, conversation: Conversation, django_assert_num_queries
):
    for number in range(6):
        made = queued(conversation.owner, f"Question {number}", conversation)
        actions.stop(generation=made)
        Message.objects.filter(pk=made.message_id).update(reasoning_words=0)
        attached(made.message.prompt, f"Text {number}")
    Feedback.objects.create(message=made.message, conversation=conversation, rating="good")
    path = f"conversations/{conversation.pk}/?reasoning=true"
    api.get(path)
    with django_assert_num_queries(7):  # those of before, and files
        page = api.get(path).json()
    assert len(page["messages"]) == 16
    assert page["messages"][-2]["files"][0]["name"] == "notes.txt"
    assert page["messages"][-1]["rating"] == "good"


def test_a_page_has_as_many_messages_as_fit(api: Api, conversation: Conversation, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conversations.views.api.conversations.MOST_CHARACTERS", len("Edited?Answer 2"))
    path = f"conversations/{conversation.pk}/"
    page = api.get(path).json()
    assert texts(page) == ["Edited?", "Answer 2"]
    assert texts(api.get(f"{path}?after={page['after']}").json()) == ["Second?", "Answer 3"]
    assert texts(api.get(f"{path}?reasoning=true").json()) == ["Edited?"]
    Message.objects.filter(content="Edited?").update(content="x" * 100)
    assert texts(api.get(path).json()) == ["x" * 100]


@pytest.mark.parametrize("query", ["message=0", "after=x", "after=1000000", "limit=51", "reasoning=1"])
def test_a_position_that_does_not_exist_is_refused(api: Api, conversation: Conversation, query: str):
    assert api.get(f"conversations/{conversation.pk}/?{query}").status_code == 422
    assert api.get(f"conversations/{conversation.pk}/?message=1000000").status_code == 404


@pytest.mark.parametrize(
    ("theirs", "ours"), [("", ""), ("&reasoning=0", "?reasoning=false"), ("&versions=all", "?versions=all")]
)
def test_an_export_is_that_of_the_site(
    api: Api, conversation: Conversation, client: Client, theirs: str, ours: str, django_assert_num_queries
):
    client.force_login(conversation.owner)
    exported = json.loads(client.get(f"/conversations/{conversation.pk}/export/?as=json{theirs}").getvalue())
    api.get("")
    path = f"conversations/{conversation.pk}/export/{ours}"
    with django_assert_num_queries(5):
        response = api.get(path)
        found = json.loads(response.getvalue())
    exported.pop("exported_at")
    found.pop("exported_at")
    assert found == exported
    assert api.head(path).status_code == 200
    assert api.get(f"conversations/{conversation.pk}/export/?versions=1").status_code == 422


def test_only_so_many_exports_are_open_at_a_time(api: Api, conversation: Conversation):
    path = f"conversations/{conversation.pk}/export/"
    opened = [api.get(path) for _ in range(MOST_EXPORTS)]
    refused = api.get(path)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_exports")
    for response in opened:
        assert response.getvalue()
    assert json.loads(api.get(path).getvalue())


def test_search_finds_questions_answers_and_reasoning(api: Api, conversation: Conversation, django_assert_num_queries):
    queued(person("bob"), "Answer of somebody else")
    api.get("")
    with django_assert_num_queries(3):  # the token, and at most two
        found = api.get("search/?q=answer").json()
    assert [result["text"] for result in found["results"]] == ["Answer 3", "Answer 2", "Answer 1"]
    assert found["before"] is None
    newest = found["results"][0]["message"]
    assert len(api.get(f"search/?q=answer&before={newest}").json()["results"]) == 2
    [thought] = api.get("search/?q=Thought+1").json()["results"]
    assert (thought["found_in"], thought["text"]) == ("reasoning", "Thought 1")
    for query in ("", "q=", "q=" + "x" * 201, "q=a&before=x", "q=" + "+".join("abcdefghijklmnopqrstu")):
        assert api.get(f"search/?{query}").status_code == 422


def test_the_definition_is_public_and_names_the_limits(client: Client):
    response = client.get("/api/v1/openapi.json", headers={"Cookie": "sessionid=x"})
    assert response.content == OPENAPI
    assert not response.cookies
    assert "Vary" not in response.headers or "Cookie" not in response.headers["Vary"]
    assert client.post("/api/v1/openapi.json").status_code == 405
