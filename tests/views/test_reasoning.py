"""Reading a thought by steps, and comparing answers: what the owner sees, and nobody else."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import actions
from conversations.models import Conversation, Generation, Message, Status, User
from conversations.rendering import outlines
from tests.factories import person, queued
from tests.rendering.test_steps import THOUGHTS

pytestmark = pytest.mark.django_db
THOUGHT = THOUGHTS["r1-migration"]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def ada() -> User:
    return person()


def finish(generation: Generation, content: str, reasoning: str = THOUGHT) -> Message:
    """End a generation as an earlier version of this site did, without an outline."""
    words = len(reasoning.split())
    Message.objects.filter(pk=generation.message_id).update(content=content, reasoning=reasoning, reasoning_words=words)
    Generation.objects.filter(pk=generation.pk).update(status=Status.COMPLETE, model="a-model")
    return Message.objects.get(pk=generation.message_id)


@pytest.fixture
def answer(ada: User) -> Message:
    return finish(queued(ada, "How do we move?"), "Use a **copy**.")


@pytest.fixture
def owner(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def test_a_thought_is_read_beside_its_outline_and_answer(owner: Client, answer: Message):
    page = owner.get(f"/messages/{answer.pk}/reasoning/").text
    steps = outlines.build(THOUGHT).steps
    assert f"Outline · {len(steps)} steps" in page
    for number in range(1, len(steps) + 1):
        assert page.count(f'id="step-{answer.pk}-{number}"') == 1
        assert page.count(f'href="#step-{answer.pk}-{number}"') == 3  # in outline, timeline and beside the step
    assert "<strong>copy</strong>" in page
    assert f"{answer.conversation.get_absolute_url()}?message={answer.pk}#message-{answer.pk}" in page
    assert "How do we move?" in page


def test_words_are_found_in_a_thought(owner: Client, answer: Message):
    page = owner.get(f"/messages/{answer.pk}/reasoning/?q=backlog").text
    assert page.count("<mark>backlog</mark>") == THOUGHT.count("backlog")
    assert f"{THOUGHT.count('backlog')} matches for" in re.sub(r"\s+", " ", page)
    nothing = owner.get(f"/messages/{answer.pk}/reasoning/?q=%3Cscript%3E").text
    assert "No matches for “&lt;script&gt;”" in nothing


def test_the_first_opening_stores_the_outline_and_later_pages_read_only_that(owner: Client, answer: Message):
    conversation = answer.conversation.get_absolute_url()
    assert "timeline" not in re.sub(r"thought-timeline|timeline-\d+", "", owner.get(conversation).text)
    opened = owner.get(f"/messages/{answer.pk}/reasoning/", headers=HTMX).text
    assert opened.count('class="step"') == len(outlines.build(THOUGHT).steps)
    assert f'id="timeline-{answer.pk}" hx-swap-oob="true"><svg' in opened
    with CaptureQueriesContext(connection) as queries:
        page = owner.get(conversation).text
    assert f'href="/messages/{answer.pk}/reasoning/#step-{answer.pk}-1"' in page
    assert not any('"conversations_message"."reasoning"' in query["sql"] for query in queries)
    assert "hx-swap-oob" not in owner.get(f"/messages/{answer.pk}/reasoning/", headers=HTMX).text


def test_an_answer_without_reasoning_says_so(owner: Client, ada: User):
    answer = finish(queued(ada), "Yes.", "")
    assert "This answer has no reasoning." in owner.get(f"/messages/{answer.pk}/reasoning/").text


def test_two_versions_of_an_answer_are_compared(owner: Client, ada: User, answer: Message):
    other = finish(actions.regenerate(user=ada, message=answer), "Use a **dump**.")
    page = owner.get(f"/messages/{other.pk}/compare/{answer.pk}/").text
    assert "<del>copy</del>" in page
    assert "<ins>dump</ins>" in page
    assert page.index("1 of 2") < page.index("2 of 2")
    assert page.count("a-model") == 2
    assert page.count("Outline · ") == 2
    assert f"/messages/{answer.pk}/compare/{other.pk}/" in owner.get(answer.conversation.get_absolute_url()).text


def test_the_answers_to_two_versions_of_a_question_are_compared(owner: Client, ada: User, answer: Message):
    other = finish(actions.edit(user=ada, prompt=answer.prompt, content="How do we go?"), "Use a **copy**. Now.")
    for one, two in ((answer.pk, other.pk), (answer.parent_id, other.parent_id)):
        page = owner.get(f"/messages/{one}/compare/{two}/").text
        assert "How do we <del>move</del>?" in page
        assert "How do we <ins>go</ins>?" in page
        assert "<ins> Now.</ins>" in page


def test_only_versions_of_ones_own_are_compared(owner: Client, ada: User, answer: Message):
    later = finish(queued(ada, "And then?", Conversation.objects.get()), "Later.")
    elsewhere = finish(queued(ada, "Else?"), "Else.")
    other = finish(queued(person("bob"), "Why?"), "Bob's.")
    assert owner.get(f"/messages/{answer.pk}/reasoning/").status_code == 200
    assert owner.get(f"/messages/{other.pk}/reasoning/").status_code == 404
    for one, two in (
        (answer.pk, later.pk),
        (answer.pk, elsewhere.pk),
        (answer.pk, other.pk),
        (other.pk, answer.pk),
        (answer.pk, answer.pk),
        (answer.pk, answer.parent_id),
        (answer.pk, 999_999),
    ):
        assert owner.get(f"/messages/{one}/compare/{two}/").status_code == 404
