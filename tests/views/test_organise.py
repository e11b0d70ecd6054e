"""Folders, and what people do with several conversations at once."""

import io
import json
import re
import zipfile
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import actions, limits
from conversations.models import Conversation, Folder, Generation, LegalHold, Status, User
from conversations.models.conversation import Placement, parse_cursor
from conversations.sidebar import Sidebar
from conversations.views.organise import SELECTED
from conversations.views.pages import CONVERSATIONS_PER_PAGE
from tests.factories import person, queued

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return person("ada")


@pytest.fixture
def bob() -> User:
    return person("bob")


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def stored(
    owner: User, title: str, days: float = 0, folder: Folder | None = None, placement: Placement = Placement.LISTED
) -> Conversation:
    at = timezone.now() - timedelta(days=days)
    return Conversation.objects.create(owner=owner, title=title, updated_at=at, folder=folder, placement=placement)


def titles(html: str) -> list[str]:
    return re.findall(r'id="listed-title-[^>]*>([^<]*)<', html)


def post(client: Client, do: str, *conversations: Conversation, **fields: object):
    ids = [conversation.pk for conversation in conversations]
    return client.post("/conversations/selected/", {"do": do, "conversation": ids, **fields}, follow=True)


def test_folders_are_created_renamed_and_deleted(reader: Client, ada: User):
    created = reader.post("/folders/", {"name": "  Trips \t abroad "}, follow=True)
    assert "Folder created." in created.text
    folder = Folder.objects.get()
    assert (folder.owner, folder.name) == (ada, "Trips abroad")
    stored(ada, "Norway?", folder=folder)
    assert "Folder renamed." in reader.post(f"/folders/{folder.pk}/rename/", {"name": "Travel"}, follow=True).text
    assert "Travel" in reader.get("/").text
    deleted = reader.post(f"/folders/{folder.pk}/delete/", follow=True)
    assert "Folder deleted. Its conversations are in your list." in deleted.text
    assert titles(reader.get("/").text) == ["Norway?"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (" \t", "Enter a name."),
        ("x" * 61, "Use 60 characters or fewer."),
        ("a\0b", "Remove the NUL characters"),
        ("STRASSE", "You have a folder with this name. Choose another name."),
    ],
)
def test_a_name_that_is_not_possible_is_refused_where_it_was_typed(
    reader: Client, ada: User, bob: User, name: str, sentence: str
):
    folder = actions.create_folder(user=ada, name="Straße")
    other = actions.create_folder(user=ada, name="Other")
    actions.create_folder(user=bob, name="Straße")  # of another person
    refused = reader.post("/folders/", {"name": name})
    assert (refused.status_code, sentence in refused.text) == (422, True)
    assert sentence in reader.post(f"/folders/{other.pk}/rename/", {"name": name}, follow=True).text
    assert set(Folder.objects.visible_to(ada).values_list("name", flat=True)) == {"Straße", "Other"}
    assert "Folder renamed." in reader.post(f"/folders/{folder.pk}/rename/", {"name": "straße"}, follow=True).text


def test_folders_are_limited(reader: Client, ada: User, bob: User):
    Folder.objects.bulk_create(Folder(owner=ada, name=f"{n}", key=f"{n}") for n in range(limits.FOLDERS))
    refused = reader.post("/folders/", {"name": "One more"})
    assert f"You have {limits.FOLDERS} folders. Delete one, then try again." in refused.text
    assert actions.create_folder(user=bob, name="One more")


def test_folders_of_others_do_not_exist(reader: Client, ada: User, bob: User):
    theirs = actions.create_folder(user=bob, name="Secret plans")
    inside, mine = stored(bob, "Bob's", folder=theirs), stored(ada, "Mine")
    for url in (f"/folders/{theirs.pk}/rename/", f"/folders/{theirs.pk}/delete/"):
        assert reader.post(url, {"name": "x"}).status_code == 404
    for headers in ({}, {"HX-Request": "true"}):
        assert reader.get(f"/conversations/?folder={theirs.pk}", headers=headers).status_code == 404
    assert reader.post(f"{mine.get_absolute_url()}move/", {"folder": theirs.pk}).status_code == 404
    assert post(reader, "move", mine, folder=theirs.pk).status_code == 404
    for do in ("archive", "unarchive", "move", "export", "delete"):
        assert post(reader, do, inside, folder="").status_code == 404, do
        assert post(reader, do, mine, inside, folder="").status_code == 200, do  # a positive control, also for itself
    pages = "".join(reader.get(path).text for path in ("/", "/conversations/", "/folders/", "/conversations/archived/"))
    assert "Secret plans" not in pages
    inside.refresh_from_db()
    assert (inside.folder, inside.placement, inside.deleted_at) == (theirs, Placement.LISTED, None)
    assert mine not in Conversation.objects.all()


def test_the_list_has_folders_whose_rows_are_loaded_when_they_are_opened(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    stored(ada, "In it", 1, folder)
    stored(ada, "Pinned", 2, folder, Placement.PINNED)
    stored(ada, "Archived", 3, folder, Placement.ARCHIVED)
    stored(ada, "Elsewhere", 4)
    page = reader.get("/").text
    assert titles(page) == ["Pinned", "Elsewhere"]
    assert f'hx-get="/conversations/?folder={folder.pk}" hx-trigger="toggle once" hx-target="find ul"' in page
    rows = reader.get(f"/conversations/?folder={folder.pk}", headers={"HX-Request": "true"}).text
    assert titles(rows) == ["In it"]
    assert "<h2" not in rows


def test_the_folder_of_the_page_is_open(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    own = stored(ada, "Own", 3, folder)
    for number in range(CONVERSATIONS_PER_PAGE + 5):
        stored(ada, f"{number}", 0, folder)
    stored(ada, "Elsewhere", 4)
    page = reader.get(own.get_absolute_url()).text
    assert '<details class="folder" open>' in page
    assert len(titles(page)) == CONVERSATIONS_PER_PAGE + 1
    for placed in (Placement.PINNED, Placement.ARCHIVED):
        Conversation.objects.filter(pk=own.pk).update(placement=placed)
        assert '<details class="folder" open>' not in reader.get(own.get_absolute_url()).text


def test_more_folders_and_conversations_need_no_more_queries(reader: Client, ada: User):
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert reader.get(path).status_code == 200
        return len(queries)

    without = count("/")
    own = stored(ada, "Own", folder=actions.create_folder(user=ada, name="One"))
    stored(ada, "Two", placement=Placement.PINNED)
    stored(ada, "Three", placement=Placement.ARCHIVED)
    paths = ("/", own.get_absolute_url(), "/conversations/", "/conversations/archived/", "/folders/")
    before = [count(path) for path in paths]
    assert before[0] == without
    for number in range(10):
        folder = actions.create_folder(user=ada, name=f"{number}")
        for _ in range(5):
            stored(ada, "More", folder=folder)
            stored(ada, "More", folder=folder, placement=Placement.ARCHIVED)
    assert [count(path) for path in paths] == before


def test_a_conversation_is_moved_from_its_menu(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    conversation = stored(ada, "Norway?")
    url = conversation.get_absolute_url()
    assert f'action="{url}move/"' in reader.get(url).text
    moved = reader.post(f"{url}move/", {"folder": folder.pk}, headers={"HX-Request": "true"})
    assert f'data-group="folder-{folder.pk}"' in moved.text
    assert reader.post(f"{url}move/", {"folder": folder.pk}).headers["Location"] == url
    conversation.refresh_from_db()
    assert conversation.folder == folder
    assert f'<option value="{folder.pk}" selected>Trips</option>' in reader.get(url).text
    assert 'data-group="Today"' in reader.post(f"{url}move/", {"folder": ""}, headers={"HX-Request": "true"}).text
    assert reader.post(f"{url}move/").status_code == 400
    assert reader.post(f"{url}move/", {"folder": "x"}).status_code == 400


def test_the_socket_moves_rows_between_folders(ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    here, other = queued(ada, "Here?").conversation, queued(ada, "There?").conversation
    Generation.objects.update(status=Status.COMPLETE)
    here.is_live = False
    sidebar = Sidebar(parse_cursor(other.cursor))
    assert sidebar.update(ada.pk, here) == []
    for conversation in (other, here):
        actions.move(user=ada, ids=[conversation.pk], folder=folder)
        if conversation == other:
            sidebar.note_change(str(other.pk))
        here.refresh_from_db()
        [row] = sidebar.update(ada.pk, here)
        assert f'<li id="listed-{conversation.pk}"' in row
        assert f'data-group="folder-{folder.pk}"' in row


def test_a_page_is_not_sent_what_its_closed_folders_have(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    own = stored(ada, "Own", 2)
    newest = stored(ada, "In the folder", 1, folder)
    page = reader.get(own.get_absolute_url()).text
    assert re.search(r"listed=([^&]+)", page)[1].replace("%3A", ":").replace("%2B", "+") == newest.cursor


def test_conversations_are_selected_on_pages(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    for number in range(CONVERSATIONS_PER_PAGE + 1):
        stored(ada, f"Number {number}.", number, folder if number % 2 else None)
    stored(ada, "Top", 50, folder, Placement.PINNED)
    stored(ada, "Away", 0, folder, Placement.ARCHIVED)

    def rows(query: str) -> list[str]:
        return re.findall(r'aria-label="Select ([^"]*)"', reader.get(f"/conversations/{query}").text)

    assert rows("") == ["Top", *(f"Number {number}." for number in range(CONVERSATIONS_PER_PAGE))]
    older = re.search(r'class="older" href="([^"]+)"', reader.get("/conversations/").text)[1].replace("&amp;", "&")
    assert rows(older) == [f"Number {CONVERSATIONS_PER_PAGE}."]
    assert rows(f"?folder={folder.pk}") == ["Top", *(f"Number {n}." for n in range(1, CONVERSATIONS_PER_PAGE, 2))]
    assert "checked" not in reader.get("/conversations/").text
    for path in ("/conversations/?", f"/conversations/?folder={folder.pk}&", "/conversations/archived/?"):
        assert f"{path.rpartition('/')[2]}select=all".replace("&", "&amp;") in reader.get(path).text
        selected = reader.get(f"{path}select=all").text
        assert selected.count(" checked>") == selected.count('name="conversation"') > 0


def test_several_are_archived_moved_and_deleted_at_once(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    one, two, three = (stored(ada, title) for title in ("One", "Two", "Three"))
    assert "2 conversations moved to “Trips”." in post(reader, "move", one, two, folder=folder.pk).text
    assert set(folder.conversations.all()) == {one, two}
    assert "1 conversation moved out of its folder." in post(reader, "move", one, folder="").text
    assert "2 conversations archived." in post(reader, "archive", one, three).text
    assert set(Conversation.objects.archived()) == {one, three}
    assert "1 conversation moved back to your list." in post(reader, "unarchive", one, two).text
    deleted = post(reader, "delete", one, two, next="/conversations/").text
    assert "2 conversations deleted. You can undo this for 10 seconds." in deleted
    assert list(Conversation.objects.all()) == [three]
    moment = re.search(r'name="deleted_at" value="([^"]+)"', deleted)[1]
    undone = reader.post("/conversations/undo/", {"deleted_at": moment, "next": "/conversations/"}, follow=True)
    assert "2 conversations restored." in undone.text
    assert set(Conversation.objects.all()) == {one, two, three}
    assert Conversation.objects.get(pk=two.pk).folder == folder


def test_what_is_under_a_legal_hold_is_moved_and_not_deleted(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    held, other = stored(ada, "Held"), stored(ada, "Other")
    LegalHold.objects.create(conversation=held, reason="Order 7")
    assert "2 conversations moved" in post(reader, "move", held, other, folder=folder.pk).text
    refused = post(reader, "delete", held, other).text
    assert "1 conversation not deleted: it must be kept for legal reasons." in refused
    assert "1 conversation deleted. You can undo this for 10 seconds." in refused
    assert list(Conversation.objects.all()) == [held]


def test_several_are_exported_as_one_file(reader: Client, ada: User):
    folder = actions.create_folder(user=ada, name="Trips")
    one, two = queued(ada, "Norway?").conversation, queued(ada, "Sweden?").conversation
    queued(ada, "Not this one")
    actions.move(user=ada, ids=[one.pk], folder=folder)
    response = reader.post("/conversations/selected/", {"do": "export", "conversation": [one.pk, two.pk]})
    assert response.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(response))) as archive:
        assert archive.testzip() is None
        records = [json.loads(archive.read(name)) for name in archive.namelist()]
    assert [(each["messages"][0]["content"], each["folder"]) for each in records] == [
        ("Norway?", "Trips"),
        ("Sweden?", None),
    ]


def test_a_selection_must_be_one_and_not_too_large(reader: Client, ada: User):
    conversation = stored(ada, "Why?")
    assert "Select at least one conversation." in post(reader, "delete").text
    many = [stored(ada, f"{number}") for number in range(SELECTED)]
    assert f"Select {SELECTED} conversations or fewer." in post(reader, "delete", conversation, *many).text
    assert Conversation.objects.count() == SELECTED + 1
    for fields in ({"do": "burn"}, {"do": ""}, {"do": "delete", "conversation": ["x"]}):
        assert reader.post("/conversations/selected/", {"conversation": [conversation.pk], **fields}).status_code == 400


def test_folders_are_deleted_with_their_owner(ada: User):
    stored(ada, "In it", folder=actions.create_folder(user=ada, name="Trips"))
    ada.delete()
    assert not Folder.objects.exists()
