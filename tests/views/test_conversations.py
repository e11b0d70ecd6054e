"""The list of conversations: pinned and archived ones, its pages, and the commands of its rows."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions, limits
from conversations.models import Conversation, Generation, Status, User
from conversations.models.conversation import Placement
from conversations.views.pages import CONVERSATIONS_PER_PAGE
from tests.factories import person, queued

pytestmark = pytest.mark.django_db
NOW = timezone.now()


@pytest.fixture
def ada() -> User:
    return person("ada")


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def stored(owner: User, title: str, days: float = 0, placement: Placement = Placement.LISTED) -> Conversation:
    at = NOW - timedelta(days=days)
    return Conversation.objects.create(owner=owner, title=title, updated_at=at, placement=placement)


def titles(html: str) -> list[str]:
    """Return the titles in the list, in order."""
    return [unescape(title) for title in re.findall(r'id="listed-title-[^>]*>([^<]*)<', html)]


def headings(html: str) -> list[str]:
    """Return the headings of the list that have rows."""
    return re.findall(r'<h2 class="list-heading">([^<]*)</h2>\s*<ul[^>]*><li', html)


def send(client: Client, conversation: Conversation, command: str, page: str = "/", **fields: str):
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}"}
    return client.post(f"{conversation.get_absolute_url()}{command}/", fields, headers=headers)


def placement(conversation: Conversation) -> Placement:
    return Placement(Conversation.objects.values_list("placement", flat=True).get(pk=conversation.pk))


def test_pinned_conversations_come_first_and_archived_ones_are_left_out(reader: Client, ada: User):
    stored(ada, "New")
    stored(ada, "Old", 3)
    stored(ada, "Very old", 400, Placement.PINNED)
    stored(ada, "Put away", 0, Placement.ARCHIVED)
    stored(person("bob"), "Bob's", 0, Placement.PINNED)
    page = reader.get("/").text
    assert titles(page) == ["Very old", "New", "Old"]
    assert headings(page) == ["Pinned", "Today", "Previous 7 days"]


def test_the_first_page_has_all_pinned_conversations_and_later_ones_none(reader: Client, ada: User):
    for number in range(2 * CONVERSATIONS_PER_PAGE + 5):
        stored(ada, f"{number}", number)
    pinned = Conversation.objects.filter(title__in=map(str, range(40, 40 + limits.PINNED)))
    assert pinned.update(placement=Placement.PINNED) == limits.PINNED
    stored(ada, "Put away", 7, Placement.ARCHIVED)
    seen, url = [], "/conversations/"
    while url:
        page = reader.get(url, headers={"HX-Request": "true"}).text
        seen.append(titles(page))
        older = re.search(r'class="older" href="([^"]+)"', page)
        url = unescape(older[1]) if older else ""
    listed = [str(number) for number in (*range(40), *range(40 + limits.PINNED, 65))]
    assert seen[0] == [*map(str, range(40, 60)), *listed[:CONVERSATIONS_PER_PAGE]]
    assert [title for page in seen[1:] for title in page] == listed[CONVERSATIONS_PER_PAGE:]


def test_conversations_of_the_same_moment_are_on_one_page_each(reader: Client, ada: User):
    for number in range(CONVERSATIONS_PER_PAGE + 3):
        stored(ada, f"{number}", 1)
    first = reader.get("/").text
    older = unescape(re.search(r'class="older" href="([^"]+)"', first)[1])
    second = reader.get(older, headers={"HX-Request": "true"}).text
    assert sorted(titles(first) + titles(second), key=int) == [*map(str, range(CONVERSATIONS_PER_PAGE + 3))]


def test_the_list_takes_two_queries_that_begin_at_their_place_in_an_index(reader: Client, ada: User):
    stored(ada, "One", 0, Placement.PINNED)
    stored(ada, "Two")
    with CaptureQueriesContext(connection) as queries:
        reader.get("/")
    assert sum('"updated_at"' in query["sql"] for query in queries) == 2
    own = Conversation.objects.visible_to(ada)
    cursor = own.get(title="Two").cursor
    unfiled, filed = own.filter(folder=None), own.filter(folder=7)
    for found, index, condition in (
        (own.listed(), "conversation_listed", "owner_id=? AND placement>?"),
        (own.pinned().newest_first(), "conversation_listed", "owner_id=? AND placement=?"),
        (own.archived(), "conversation_listed", "owner_id=? AND placement=?"),
        (own.archived().older_than(cursor), "conversation_listed", "owner_id=? AND placement=? AND updated_at<?"),
        (unfiled.unpinned(), "listed_in_no_folder", "owner_id=? AND placement=?"),
        (unfiled.unpinned().older_than(cursor), "listed_in_no_folder", "owner_id=? AND placement=? AND updated_at<?"),
        (filed.unpinned(), "listed_in_folder", "folder_id=? AND placement=?"),
        (filed.unpinned().older_than(cursor), "listed_in_folder", "folder_id=? AND placement=? AND updated_at<?"),
    ):
        plan = found[:30].explain()
        assert f"USING INDEX {index} ({condition})" in plan
        assert "TEMP B-TREE" not in plan


def test_saying_it_twice_pins_once_and_changes_no_date(reader: Client, ada: User):
    conversation = stored(ada, "Why?", 3)
    for pinned, expected in (("1", Placement.PINNED), ("0", Placement.LISTED)):
        for _ in range(2):
            assert send(reader, conversation, "pin", pinned=pinned).status_code == 200
            assert placement(conversation) == expected
    assert Conversation.objects.get().updated_at == conversation.updated_at


def test_no_more_than_the_limit_are_pinned(reader: Client, ada: User):
    for number in range(limits.PINNED):
        stored(ada, f"{number}", 0, Placement.PINNED)
    stored(person("bob"), "Bob's", 0, Placement.PINNED)
    another, pinned = stored(ada, "Another"), Conversation.objects.get(title="0")
    refused = send(reader, another, "pin", pinned="1")
    sentence = f"You have pinned {limits.PINNED} conversations. Unpin one, then try again."
    assert (refused.status_code, refused.text) == (422, sentence)
    assert sentence in reader.post(f"{another.get_absolute_url()}pin/", {"pinned": "1"}, follow=True).text
    assert placement(another) == Placement.LISTED
    assert send(reader, pinned, "pin", pinned="1").status_code == 200
    assert send(reader, pinned, "archive", archived="1").status_code == 200
    assert send(reader, another, "pin", pinned="1").status_code == 200


def test_archiving_unpins_and_pinning_unarchives(reader: Client, ada: User):
    conversation = stored(ada, "Why?", 0, Placement.PINNED)
    for command, fields, expected in (
        ("archive", {"archived": "1"}, Placement.ARCHIVED),
        ("pin", {"pinned": "0"}, Placement.ARCHIVED),
        ("pin", {"pinned": "1"}, Placement.PINNED),
        ("archive", {"archived": "0"}, Placement.PINNED),
        ("archive", {"archived": "1"}, Placement.ARCHIVED),
        ("archive", {"archived": "0"}, Placement.LISTED),
    ):
        send(reader, conversation, command, **fields)
        assert placement(conversation) == expected


@pytest.mark.parametrize("command", ["pin", "archive"])
@pytest.mark.parametrize("fields", [{}, {"pinned": "yes", "archived": "yes"}])
def test_a_command_must_say_what_to_do(reader: Client, ada: User, command: str, fields: dict[str, str]):
    assert send(reader, stored(ada, "Why?"), command, **fields).status_code == 400


def test_an_archived_conversation_can_be_opened_found_and_moved_back(reader: Client, ada: User):
    conversation = queued(ada, "When do I plant a loquat?").conversation
    Generation.objects.update(status=Status.COMPLETE)
    url = conversation.get_absolute_url()
    assert "· archived" not in reader.get("/search/", {"q": "loquat"}).text
    assert reader.get("/conversations/archived/").text.count("loquat") == 0
    moved = reader.post(f"{url}archive/", {"archived": "1"}, follow=True)
    assert moved.redirect_chain == [(url, 302)]
    assert "This conversation is archived." in moved.text
    assert titles(moved.text) == []
    assert "· archived" in reader.get("/search/", {"q": "loquat"}).text
    archived = reader.get("/conversations/archived/").text
    assert url in archived
    moved = reader.post(f"{url}archive/", {"archived": "0", "next": "/conversations/archived/"}, follow=True)
    assert moved.redirect_chain == [("/conversations/archived/", 302)]
    assert "You have no archived conversations." in moved.text
    assert titles(reader.get("/").text) == ["When do I plant a loquat?"]


def test_archived_conversations_have_pages(reader: Client, ada: User):
    for number in range(CONVERSATIONS_PER_PAGE + 1):
        stored(ada, f"Number {number}.", number, Placement.ARCHIVED)
    stored(ada, "Listed")
    stored(person("bob"), "Bob's", 0, Placement.ARCHIVED)
    first = reader.get("/conversations/archived/").text
    older = unescape(re.search(r'href="(\?before=[^"]+)"', first)[1])
    second = reader.get(f"/conversations/archived/{older}").text
    found = [re.findall(r">(Number \d+\.)</a>", page) for page in (first, second)]
    assert found == [[f"Number {number}." for number in range(CONVERSATIONS_PER_PAGE)], ["Number 30."]]
    assert "Listed" not in first + second
    assert "Bob" not in first + second


def test_whoever_asks_in_an_archived_conversation_has_it_in_the_list_again(reader: Client, ada: User):
    conversation = queued(ada).conversation
    actions.archive(conversation=conversation, archived=True)
    reader.post(f"{conversation.get_absolute_url()}messages/", {"content": "And?"})
    assert placement(conversation) == Placement.LISTED
    actions.pin(conversation=conversation, pinned=True)
    reader.post(f"{conversation.get_absolute_url()}messages/", {"content": "So?"})
    assert placement(conversation) == Placement.PINNED


@pytest.mark.parametrize("there", ["", "https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_a_form_leads_back_to_no_other_site(reader: Client, ada: User, there: str):
    conversation = stored(ada, "Why?")
    url = conversation.get_absolute_url()
    assert reader.post(f"{url}pin/", {"pinned": "1", "next": there}).headers["Location"] == url
    assert reader.post(f"{url}delete/", {"next": there}).headers["Location"] == "/"


def test_a_page_without_a_socket_gets_the_row_in_the_response(reader: Client, ada: User):
    conversation = queued(ada, "<b>Why?").conversation
    row = f'<ul id="listed-today" hx-swap-oob="afterbegin"><li id="listed-{conversation.pk}"'
    pinned = send(reader, conversation, "pin", pinned="1").text
    assert row in pinned
    assert 'data-group="Pinned"' in pinned
    assert "answer in progress" not in pinned
    assert "&lt;b&gt;Elsewhere" in send(reader, conversation, "rename", title="<b>Elsewhere").text
    archived = send(reader, conversation, "archive", archived="1").text
    assert f'id="listed-{conversation.pk}" hx-swap-oob="delete"' in archived
    deleted = send(reader, conversation, "delete")
    assert f'id="listed-{conversation.pk}" hx-swap-oob="delete"' in deleted.text
    assert not Conversation.objects.exists()


def test_a_conversations_own_page_leaves_it_when_it_is_deleted(reader: Client, ada: User):
    conversation = stored(ada, "Why?")
    assert send(reader, conversation, "delete", conversation.get_absolute_url()).headers["HX-Redirect"] == "/"


def test_a_title_that_is_not_valid_is_refused_where_it_was_typed(reader: Client, ada: User):
    conversation = stored(ada, "Why?")
    for title in (" ", "x" * 81):
        refused = send(reader, conversation, "rename", title=title)
        assert (refused.status_code, refused.text) == (422, "The title was not changed. Enter 1 to 80 characters.")


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("pin", {"pinned": "1"}),
        ("archive", {"archived": "1"}),
        ("rename", {"title": "x"}),
        ("move", {"folder": ""}),
        ("delete", {}),
    ],
)
@pytest.mark.parametrize("htmx", [False, True])
def test_a_strangers_command_finds_no_conversation(reader: Client, command: str, fields: dict[str, str], htmx: bool):
    theirs = stored(person("bob"), "Bob's")
    headers = {"HX-Request": "true"} if htmx else {}
    assert reader.post(f"{theirs.get_absolute_url()}{command}/", fields, headers=headers).status_code == 404
    theirs.refresh_from_db()
    assert (theirs.title, theirs.placement) == ("Bob's", Placement.LISTED)


def test_a_device_that_hides_the_sidebar_gets_pages_without_it(reader: Client):
    assert "data-sidebar-hidden" not in reader.get("/").text
    reader.cookies["sidebar"] = "hidden"
    assert '<body class="conversation-page" data-sidebar-hidden' in reader.get("/").text
