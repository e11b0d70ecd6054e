"""Models with groups: offered to their members only, and refused to others however they ask."""

from dataclasses import replace

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import actions
from conversations.generation.commit import Result, claim, finish
from conversations.inference.choice import Choice
from conversations.models import Conversation, Generation, Message, Status, User, Worker
from conversations.models.access import allowed_models
from tests.factories import person, queued
from tests.models import model, registry

pytestmark = pytest.mark.django_db
REFUSAL = "This model is not available to you. Choose another one, then send your question again."


@pytest.fixture(autouse=True)
def models(settings) -> None:
    settings.MODELS = registry(
        replace(model(model_id="dear", label="Dear"), groups=("Research", "Board")),
        model(model_id="open", label="Open"),
        model(model_id="plain", label="Plain"),
    )


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def owner(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def join(user: User, name: str = "Research") -> User:
    """Return the user, as the next request reads them, in a group."""
    Group.objects.get_or_create(name=name)[0].user_set.add(user)
    return User.objects.get(pk=user.pk)


def leave(user: User) -> User:
    user.groups.clear()
    return User.objects.get(pk=user.pk)


def answered(user: User, choice: Choice) -> Message:
    generation = actions.send_message(user=user, content="Why?", choice=choice)
    worker = Worker.objects.create()
    claimed = claim(worker.pk, generation.pk)
    assert claimed is not None
    assert finish(worker.pk, claimed, Result(Status.LENGTH, "", "Because"), {})
    return Message.objects.get(pk=generation.message_id)


def test_a_model_with_groups_is_offered_to_their_members_only(owner: Client, ada: User):
    for path in ("/", "/preferences/"):
        assert "Dear" not in owner.get(path).text
        assert "Plain" in owner.get(path).text
    join(ada, "Somewhere else")
    assert "Dear" not in owner.get("/").text
    join(ada, "Board")
    for path in ("/", "/preferences/"):
        assert "Dear" in owner.get(path).text


def test_the_menu_of_an_answer_offers_only_models_that_its_owner_may_use(owner: Client, ada: User):
    message = answered(ada, Choice("open"))
    Generation.objects.update(status=Status.COMPLETE)
    page = message.conversation.get_absolute_url()
    assert "Use Plain" in owner.get(page).text
    assert "Use Dear" not in owner.get(page).text
    join(ada)
    assert "Use Dear" in owner.get(page).text


def test_a_question_to_a_model_of_others_is_refused_and_the_text_is_kept(owner: Client, ada: User):
    refused = owner.post("/conversations/", {"content": "My long question", "model": "dear"}, follow=True)
    assert REFUSAL in refused.text
    assert "My long question</textarea>" in refused.text
    assert not Conversation.objects.exists()
    join(ada)
    owner.post("/conversations/", {"content": "My long question", "model": "dear"})
    assert Generation.objects.get().model == "dear"


def test_a_model_of_others_is_refused_for_another_version_too(ada: User):
    message = answered(ada, Choice("open"))
    for refused in (
        lambda: actions.regenerate(user=ada, message=message, choice=Choice("dear")),
        lambda: actions.edit(user=ada, prompt=message.prompt, content="How?", choice=Choice("dear")),
        lambda: actions.send_message(
            user=ada, content="And?", conversation=message.conversation, choice=Choice("dear")
        ),
    ):
        with pytest.raises(actions.Refused, match="not available to you"):
            refused()
    assert Generation.objects.count() == 1


@pytest.mark.parametrize("how", ["regenerate", "edit", "continue", "ask"])
def test_somebody_who_has_left_the_group_gets_the_first_model_that_they_may_use(ada: User, how: str):
    message = answered(join(ada), Choice("dear"))
    ada = leave(ada)
    User.objects.filter(pk=ada.pk).update(model="dear")
    ada.refresh_from_db()
    ask = {
        "regenerate": lambda: actions.regenerate(user=ada, message=message),
        "edit": lambda: actions.edit(user=ada, prompt=message.prompt, content="How?"),
        "continue": lambda: actions.continue_answer(user=ada, message=message),
        "ask": lambda: actions.send_message(user=ada, content="And?", conversation=message.conversation),
    }
    assert ask[how]().model == "open"


def test_preferences_do_not_accept_a_model_of_others(owner: Client, ada: User):
    fields = {"theme": "", "reasoning": "thinking", "model": "dear"}
    assert "dear is not one of the available choices" in owner.post("/preferences/", fields).text
    join(ada)
    owner.post("/preferences/", fields)
    ada.refresh_from_db()
    assert ada.model == "dear"


def test_somebody_without_any_model_is_told_so(owner: Client, ada: User, settings):
    settings.MODELS = registry(replace(model(model_id="dear"), groups=("Research",)))
    assert "No model is available to you. Ask the people who run this site" in owner.get("/").text
    refused = owner.post("/conversations/", {"content": "My question"}, follow=True)
    assert "My question</textarea>" in refused.text
    assert not Conversation.objects.exists()
    join(ada)
    assert "No model is available to you" not in owner.get("/").text


def test_superusers_are_no_exception(ada: User):
    User.objects.update(is_superuser=True)
    assert list(allowed_models(User.objects.get(pk=ada.pk))) == ["open", "plain"]


def test_a_page_needs_two_queries_more_with_groups_and_none_without(owner: Client, ada: User, settings):
    message = answered(ada, Choice("open"))
    for number in range(3):
        queued(ada, f"{number}?", message.conversation)
    Generation.objects.update(status=Status.COMPLETE)

    def queries() -> int:
        with CaptureQueriesContext(connection) as executed:
            owner.get(message.conversation.get_absolute_url())
        return len(executed)

    queries()
    with_groups = queries()
    settings.MODELS = registry(*(replace(each, groups=()) for each in settings.MODELS.values()))
    assert queries() == with_groups - 2  # of the person, and of the owner of what is shown
