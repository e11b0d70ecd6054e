"""One press rates an answer, a comment is optional, and only feedback that the owner shares reaches reviewers."""

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
def owner(client: Client, ada: User) -> Client:
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


def test_a_rating_is_saved_changed_and_deleted_by_the_same_button(owner: Client, answer: Message):
    page = answer.conversation.get_absolute_url()
    assert pressed(owner.get(page).text) == []
    html = press(owner, answer, "good").text
    assert pressed(html) == ["good"]
    assert 'name="comment"' in html
    assert pressed(owner.get(page).text) == ["good"]
    assert pressed(press(owner, answer, "bad").text) == ["bad"]
    assert Feedback.objects.get().rating == "bad"
    assert pressed(press(owner, answer, "bad").text) == []
    assert not Feedback.objects.exists()


def test_a_comment_stays_when_the_rating_changes(owner: Client, answer: Message):
    press(owner, answer, "good")
    fields = {"rating": "good", "comment": "To the point.", "shared": "on"}
    html = owner.post(f"/messages/{answer.pk}/feedback/", fields, headers={"HX-Request": "true"}).text
    assert pressed(html) == ["good"]
    assert "Reviewers can now read this conversation." in html
    assert "To the point." in press(owner, answer, "bad").text
    queue.refresh()
    assert (Feedback.objects.get().comment, QueueItem.objects.get().why) == ("To the point.", queue.SHARED)
    press(owner, answer, "bad")
    queue.refresh()
    assert not QueueItem.objects.exists()  # no reviewer had claimed it


def test_a_comment_that_is_too_long_stays_in_the_form_with_an_error(owner: Client, answer: Message):
    press(owner, answer, "good")
    fields = {"rating": "good", "comment": "x" * 2001}
    html = owner.post(f"/messages/{answer.pk}/feedback/", fields, headers={"HX-Request": "true"}).text
    assert "at most 2000 characters" in html
    assert "x" * 2001 in html


def test_without_javascript_a_rating_leads_to_the_feedback_page(owner: Client, answer: Message):
    response = press(owner, answer, "good", htmx=False)
    assert response.headers["Location"] == f"/messages/{answer.pk}/feedback/"
    assert 'value="good" id="id_rating_0" required checked' in " ".join(
        owner.get(response.headers["Location"]).text.split()
    )


def test_only_the_owner_can_rate_and_only_with_the_buttons_ratings(owner: Client, answer: Message, client: Client):
    assert press(owner, answer, "report").status_code == 400
    client.force_login(person("eve"))
    assert press(client, answer, "good").status_code == 404
    assert not Feedback.objects.exists()


@pytest.mark.parametrize("page", ["feedback", "details"])
def test_pages_about_an_answer_quote_it_without_markup(owner: Client, answer: Message, page: str):
    Message.objects.filter(pk=answer.pk).update(content="## Title\n\nIt is **not** <b>.")
    assert "Title It is not &lt;b&gt;.</blockquote>" in owner.get(f"/messages/{answer.pk}/{page}/").text
