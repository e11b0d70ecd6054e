"""The socket of a conversation keeps the list of conversations beside it up to date."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from conversations import actions
from conversations.models import Conversation, Generation, Status
from conversations.models.conversation import parse_cursor
from conversations.sidebar import Sidebar
from tests.endpoint import Endpoint, Exchange
from tests.factories import person, queued
from tests.site import WAIT, Person

ENTRY = '<li id="listed-{}"'
STATE = "answer in progress"


async def answer_after_gate(exchange: Exchange) -> None:
    await exchange.gate("answer")
    await exchange.answer("Because.")
    await exchange.finish()


def pk(conversation: str) -> str:
    return conversation.strip("/").split("/")[-1]


def query_of(person: Person, conversation: str) -> str:
    """Return the query of a page's socket URL."""
    page = person.http.get(conversation).text
    return re.search(rf'ws-connect="/ws{conversation}([^"]*)"', page)[1].replace("&amp;", "&")


def asked(person: Person, question: str) -> str:
    """Return a conversation with this question and an answer."""
    conversation = person.ask(question)
    person.await_end(conversation)
    return conversation


def await_frame(socket, *parts: str) -> str:
    """Return the first frame that contains all of `parts`."""
    while True:
        frame = socket.recv(timeout=WAIT)
        if all(part in frame for part in parts):
            return frame


@pytest.fixture
def endpoint(shared_endpoint: Endpoint) -> Endpoint:
    return shared_endpoint


def test_the_list_follows_changes_in_the_owners_other_conversations(
    make_person: Callable[[], Person], endpoint: Endpoint
):
    ada, bob = make_person(), make_person()
    other, here = asked(ada, "There?"), asked(ada, "Here?")
    query = query_of(ada, here)
    endpoint.respond = answer_after_gate
    bobs = bob.ask("Bob's?")
    with ada.socket(here, query) as socket:
        socket.recv(timeout=WAIT)
        ada.ask("And then?", other)
        assert "There?" in await_frame(socket, ENTRY.format(pk(other)), STATE)
        endpoint.open("answer")
        ended = await_frame(socket, f'"listed-state-{pk(other)}"')
        assert STATE not in ended
        ada.post(f"{other}rename/", title="Elsewhere & <b>")
        await_frame(socket, f'"listed-title-{pk(other)}"', "Elsewhere &amp; &lt;b&gt;")
        ada.post(f"{here}rename/", title="At home")
        assert 'id="title"' in await_frame(socket, f'"listed-title-{pk(here)}"', "At home")
        new = ada.ask("Something new?")
        frame = await_frame(socket, ENTRY.format(pk(new)))
        assert "Something new?" in frame
        ada.await_end(new)
        ada.post(f"{other}delete/")
        await_frame(socket, f'"listed-{pk(other)}" hx-swap-oob="delete"')
        assert pk(bobs) not in frame


def test_a_page_that_was_disconnected_is_sent_what_it_missed(make_person: Callable[[], Person], endpoint: Endpoint):
    ada = make_person()
    other, here = asked(ada, "There?"), asked(ada, "Here?")
    query = query_of(ada, here)
    endpoint.respond = answer_after_gate
    ada.ask("And then?", other)
    new = ada.ask("Something new?")
    with ada.socket(here, query) as socket:
        frame = await_frame(socket, "listed-state")
        assert frame.index(ENTRY.format(pk(other))) < frame.index(ENTRY.format(pk(new)))  # the last is at the top
        assert frame.count(STATE) == 2
        endpoint.open("answer")
        await_frame(socket, f'"listed-state-{pk(new)}"')
    ada.await_end(new), ada.await_end(other)


def test_the_list_shows_which_conversations_are_live(make_person: Callable[[], Person], endpoint: Endpoint):
    ada = make_person()
    endpoint.respond = answer_after_gate
    here, other = ada.ask("Here?"), ada.ask("There?")
    assert ada.http.get(here).text.count(STATE) == 2
    assert STATE not in ada.http.get("/").text  # this page has no socket to update it
    endpoint.open("answer")
    ada.await_end(here), ada.await_end(other)
    assert STATE not in ada.http.get(here).text


@pytest.mark.parametrize("listed", ["x", "2026-99-99T00:00:00_x", "2026-01-01T00:00:00_" + "0" * 32, "%00"])
def test_an_invalid_list_cursor_is_ignored(make_person: Callable[[], Person], listed: str):
    ada = make_person()
    conversation = ada.ask("Why?")
    ada.await_end(conversation)
    with ada.socket(conversation, f"?listed={listed}") as socket:
        assert "listed-" not in await_frame(socket, "composer-actions")


@pytest.mark.django_db
def test_a_rename_during_connect_is_not_shown_as_a_deletion():
    user = person()
    here, other = queued(user, "Here?").conversation, queued(user, "There?").conversation
    Generation.objects.update(status=Status.COMPLETE)
    here.is_live = False
    sidebar = Sidebar(parse_cursor(other.cursor))
    sidebar.note_change(str(other.pk))
    assert sidebar.update(user.pk, here) == []
    html = "".join(sidebar.update(user.pk, here))
    assert f'id="listed-title-{other.pk}"' in html
    assert "delete" not in html
    key = str(other.pk)
    other.delete()
    sidebar.note_change(key)
    assert sidebar.update(user.pk, here) == [f'<div id="listed-{key}" hx-swap-oob="delete"></div>']


@pytest.mark.django_db
def test_rows_follow_their_conversations_into_groups_and_out_of_the_list():
    user = person()
    here, other = queued(user, "Here?").conversation, queued(user, "There?").conversation
    Generation.objects.update(status=Status.COMPLETE)
    here.is_live = False
    sidebar = Sidebar(parse_cursor(other.cursor))
    assert sidebar.update(user.pk, here) == []

    def after(action: Callable[..., None], conversation: Conversation, **fields: bool) -> str:
        action(conversation=conversation, **fields)
        sidebar.note_change(str(other.pk))
        here.refresh_from_db()
        return "".join(sidebar.update(user.pk, here))

    row = ENTRY.format(other.pk)
    assert row + f' data-order="2 {other.order[2:]}" data-group="Pinned"' in after(actions.pin, other, pinned=True)
    assert row + f' data-order="1 {other.order[2:]}" data-group="Today"' in after(actions.pin, other, pinned=False)
    removed = after(actions.archive, other, archived=True)
    assert removed == f'<div id="listed-{other.pk}" hx-swap-oob="delete"></div>'
    assert row in after(actions.archive, other, archived=False)
    archived = after(actions.archive, here, archived=True)
    assert f'<div id="listed-{here.pk}" hx-swap-oob="delete"></div>' in archived
    assert '<div id="placement" data-placement="0"' in archived
    unarchived = after(actions.archive, here, archived=False)
    assert ENTRY.format(here.pk) in unarchived
    assert '<div id="placement" data-placement="1" hidden' in unarchived


@pytest.mark.django_db
def test_a_conversation_that_is_archived_while_its_page_connects_is_shown_as_archived():
    user = person()
    here = queued(user, "Here?").conversation
    here.is_live = False
    sidebar = Sidebar(parse_cursor(here.cursor), here.placement)
    actions.archive(conversation=here, archived=True)
    here.refresh_from_db()
    placement, removed = sidebar.update(user.pk, here)
    assert '<div id="placement" data-placement="0"' in placement
    assert removed == f'<div id="listed-{here.pk}" hx-swap-oob="delete"></div>'


@pytest.mark.django_db
def test_a_change_of_what_is_no_conversation_is_refused_before_the_list_is_read():
    user = person()
    here = queued(user, "Here?").conversation
    here.is_live = True
    sidebar = Sidebar(parse_cursor(here.cursor))
    with pytest.raises(ValueError, match="UUID"):
        sidebar.note_change("no id")  # a malformed message from another process
    assert sidebar.update(user.pk, here)
    assert sidebar.update(user.pk, here) == []


@pytest.mark.django_db
@pytest.mark.parametrize("has_password", [True, False])
@pytest.mark.parametrize("page", ["/", "/preferences/"])
def test_password_and_email_links_need_a_local_password(client: Client, page: str, has_password: bool):
    user = person()
    if not has_password:  # as for accounts created by single sign-on
        user.set_unusable_password()
        user.save()
    client.force_login(user)
    html = client.get(page).content.decode()
    links = ('href="/accounts/email/"', 'href="/accounts/password/change/"')
    assert [link in html for link in links] == [has_password, has_password]
