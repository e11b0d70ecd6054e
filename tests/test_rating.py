"""One press rates an answer; a comment may follow, and nothing is shared that was not meant to be."""

import pytest
from django.http import HttpResponse
from django.test import Client

from conversations.models import Feedback, Generation, Message, Status, User
from conversations.review import queue
from conversations.review.models import QueueItem
from tests.factories import person, queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def answer(ada: User) -> Message:
    message = queued(ada).message
    Generation.objects.update(status=Status.COMPLETE)
    Message.objects.filter(pk=message.pk).update(content="Yes.")
    return message


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def press(client: Client, message: Message, rating: str, htmx: bool = True) -> HttpResponse:
    return client.post(
        f"/messages/{message.pk}/rate/", {"rating": rating}, headers={"HX-Request": "true"} if htmx else {}
    )


def pressed(html: str) -> list[str]:
    return [
        part.partition('value="')[2].partition('"')[0] for part in html.split("<button") if 'pressed="true"' in part
    ]


def test_a_press_rates_another_changes_it_and_the_same_again_takes_it_back(reader: Client, answer: Message):
    page = answer.conversation.get_absolute_url()
    assert pressed(reader.get(page).text) == []
    html = press(reader, answer, "good").text
    assert pressed(html) == ["good"]
    assert 'name="comment"' in html
    assert pressed(reader.get(page).text) == ["good"]
    assert pressed(press(reader, answer, "bad").text) == ["bad"]
    assert Feedback.objects.get().rating == "bad"
    assert pressed(press(reader, answer, "bad").text) == []
    assert not Feedback.objects.exists()


def test_a_comment_follows_the_press_and_stays_when_the_rating_changes(reader: Client, answer: Message):
    press(reader, answer, "good")
    fields = {"rating": "good", "comment": "To the point.", "shared": "on"}
    html = reader.post(f"/messages/{answer.pk}/feedback/", fields, headers={"HX-Request": "true"}).text
    assert pressed(html) == ["good"]
    assert "Reviewers can now read this conversation." in html
    assert "To the point." in press(reader, answer, "bad").text
    queue.fill()
    assert (Feedback.objects.get().comment, QueueItem.objects.get().why) == ("To the point.", queue.SHARED)
    press(reader, answer, "bad")
    queue.fill()
    assert not QueueItem.objects.exists()  # no reviewer had claimed it


def test_a_comment_that_is_too_long_is_said_to_be_and_kept(reader: Client, answer: Message):
    press(reader, answer, "good")
    fields = {"rating": "good", "comment": "x" * 2001}
    html = reader.post(f"/messages/{answer.pk}/feedback/", fields, headers={"HX-Request": "true"}).text
    assert "at most 2000 characters" in html
    assert "x" * 2001 in html


def test_without_a_script_a_press_leads_to_the_page_for_the_rest(reader: Client, answer: Message):
    response = press(reader, answer, "good", htmx=False)
    assert response.headers["Location"] == f"/messages/{answer.pk}/feedback/"
    assert 'value="good" id="id_rating_0" required checked' in " ".join(
        reader.get(response.headers["Location"]).text.split()
    )


def test_only_its_owner_rates_an_answer_and_only_as_offered(reader: Client, answer: Message, client: Client):
    assert press(reader, answer, "report").status_code == 400
    client.force_login(person("eve"))
    assert press(client, answer, "good").status_code == 404
    assert not Feedback.objects.exists()
