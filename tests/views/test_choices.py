"""The model and depth of a question: chosen beside the prompt, remembered, and changed by the menu of Regenerate."""

import re

import pytest
from django.test import Client

from conversations import actions
from conversations.inference.choice import Choice
from conversations.models import Conversation, Generation, Message, Status, User
from tests.factories import person, queued
from tests.models import model, registry

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def models(settings) -> None:
    settings.MODELS = registry(
        model(model_id="flash", label="Flash", thinking="switchable", efforts=("low", "high")),
        model(model_id="plain", label="Plain", thinking="never"),
    )


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def owner(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def end(status: Status = Status.COMPLETE, content: str = "Yes.", reasoning: str = "") -> Generation:
    """End the newest generation, with this text; return it."""
    generation = Generation.objects.order_by("-pk").first()
    Generation.objects.filter(pk=generation.pk).update(status=status)
    Message.objects.filter(pk=generation.message_id).update(content=content, reasoning=reasoning)
    return Generation.objects.get(pk=generation.pk)


def newest() -> Choice:
    """Return with what the newest generation was queued."""
    return Choice.of(Generation.objects.order_by("-pk").first())


def selected(html: str) -> list[str]:
    """Return the values of the selected options."""
    return re.findall(r'<option value="([^"]*)"[^>]* selected', html)


def test_a_plain_form_chooses_the_model_and_the_depth_and_the_conversation_remembers_both(owner: Client):
    html = owner.get("/").text
    assert selected(html) == ["flash", "normal"]
    form = html.partition('id="composer"')[2].partition("</form>")[0]
    assert '<select id="composer-model" name="model"' in form
    assert '<select id="composer-depth" name="depth"' in form
    asked = owner.post("/conversations/", {"content": "Why?", "model": "flash", "depth": "deep"})
    assert newest() == Choice("flash", "deep")
    assert selected(owner.get(asked.headers["Location"]).text) == ["flash", "deep"]
    owner.post(asked.headers["Location"] + "messages/", {"content": "And?"})
    assert newest() == Choice("flash", "deep")


def test_nothing_is_shown_where_there_is_nothing_to_choose(owner: Client, settings):
    settings.MODELS = registry(model())
    html = owner.get("/").text
    assert "<select" not in html
    assert "choice.js" not in html
    queued(User.objects.get())
    generation = end()
    assert "Think deeper" not in owner.get(generation.conversation.get_absolute_url()).text
    assert 'name="depth"' not in owner.get("/preferences/").text


def test_one_model_with_depths_has_no_list_of_models(owner: Client, settings):
    settings.MODELS = registry(model(thinking="switchable"))
    html = owner.get("/").text
    assert 'name="model"' not in html
    assert re.findall(r'<option value="(\w+)"', html) == ["quick", "normal"]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model": "gone"}, "This model is not available any more."),
        ({"model": "plain", "depth": "deep"}, "Plain does not offer “Deep”."),
    ],
)
def test_a_choice_that_is_not_offered_is_refused_and_the_text_is_kept(
    owner: Client, fields: dict[str, str], sentence: str
):
    refused = owner.post("/conversations/", {"content": "My long question"} | fields, follow=True)
    assert sentence in refused.text
    assert "My long question</textarea>" in refused.text
    assert not Conversation.objects.exists()
    refused = owner.post("/conversations/", {"content": "Why?"} | fields, headers={"HX-Request": "true"})
    assert (refused.status_code, sentence in refused.text) == (422, True)


def test_a_rejected_prompt_keeps_the_choice(owner: Client):
    html = owner.post("/conversations/", {"content": " ", "model": "flash", "depth": "quick"}).text
    assert selected(html) == ["flash", "quick"]


def test_preferences_choose_for_new_conversations(owner: Client):
    page = owner.get("/preferences/").text
    assert "The site&#x27;s choice (Flash)" in page
    owner.post("/preferences/", {"theme": "", "reasoning": "thinking", "model": "flash", "depth": "deep"})
    assert selected(owner.get("/").text) == ["flash", "deep"]
    owner.post("/conversations/", {"content": "Why?"})
    assert newest() == Choice("flash", "deep")
    assert "is not one of the available choices" in owner.post("/preferences/", {"model": "gone"}).text


def test_the_menu_of_regenerate_asks_again_deeper_quicker_or_another_model(owner: Client, ada: User):
    answer = queued(ada).message
    page = answer.conversation.get_absolute_url()
    end()
    menu = owner.get(page).text.partition(f'id="regenerate-{answer.pk}"')[2].partition("</ul>")[0]
    assert re.findall(r'name="(\w+)" value="(\w+)">([^<]+)<', menu) == [
        ("depth", "deep", "Think deeper"),
        ("depth", "quick", "Answer quicker"),
        ("model", "plain", "Use Plain"),
    ]
    owner.post(f"/messages/{answer.pk}/regenerate/", {"depth": "deep"})
    assert newest() == Choice("flash", "deep")
    assert selected(owner.get(page).text) == ["flash", "deep"]
    deep = end(content="No.").message
    assert "Flash · Deep" in owner.get(page).text
    owner.post(f"/messages/{deep.pk}/regenerate/", {"model": "plain"})
    assert newest() == Choice("plain", "")
    end(content="Perhaps.")
    html = owner.get(page).text
    assert "3 / 3" in html
    compared = owner.get(f"/messages/{answer.pk}/compare/{deep.pk}/").text
    assert compared.count("Flash</h2>") == 2
    assert "Deep · " in compared


def test_model_and_depth_are_preserved_by_what_asks_again(owner: Client, ada: User):
    asked = Choice("flash", "quick")
    first = actions.send_message(user=ada, content="Why?", choice=asked)
    Conversation.objects.update(model="plain", depth="")  # since then, something else was chosen
    message = first.message
    end(Status.FAILED, content="")
    owner.post(f"/messages/{message.pk}/retry/")
    assert newest() == asked
    end(Status.LENGTH, content="Because")
    Conversation.objects.update(model="plain", depth="")
    owner.post(f"/messages/{message.pk}/continue/")
    assert newest() == asked
    thinking = end(Status.STOPPED, content="", reasoning="Hm.")
    Conversation.objects.update(model="plain", depth="")
    owner.post(f"/generations/{thinking.pk}/answer-now/")
    assert newest() == asked
    end()
    Conversation.objects.update(model="plain", depth="")
    owner.post(f"/messages/{message.parent_id}/edit/", {"content": "Why not?"})
    assert newest() == asked
    assert Choice.of(Conversation.objects.get()) == asked


def test_an_answer_whose_model_is_gone_is_asked_again_with_another(owner: Client, ada: User, settings):
    queued(ada)
    message = end(Status.FAILED, content="").message
    settings.MODELS = registry(model(model_id="new", label="New"))
    owner.post(f"/messages/{message.pk}/retry/")
    assert newest() == Choice("new", "")
    assert owner.get(message.conversation.get_absolute_url()).status_code == 200


def test_a_conversation_whose_model_is_gone_continues_with_another(owner: Client, ada: User, settings):
    conversation = actions.send_message(user=ada, content="Why?", choice=Choice("plain")).conversation
    end()
    User.objects.update(model="plain")
    del settings.MODELS["plain"]
    page, send = conversation.get_absolute_url(), f"{conversation.get_absolute_url()}messages/"
    assert selected(owner.get(page).text) == ["normal"]
    refused = owner.post(send, {"content": "And?", "model": "plain"}, follow=True)  # from a page that was open
    assert "This model is not available any more. Choose another one" in refused.text
    assert "And?</textarea>" in refused.text
    owner.post(send, {"content": "And?"})
    assert newest() == Choice("flash", "normal")
    assert "plain" in owner.get(page).text  # which answered first


def test_details_name_the_model_and_the_depth(owner: Client, ada: User):
    actions.send_message(user=ada, content="Why?", choice=Choice("flash", "deep"))
    message = end().message
    html = owner.get(f"/messages/{message.pk}/details/").text
    assert "<dd>Flash</dd>" in html
    assert "<dd>Deep</dd>" in html
