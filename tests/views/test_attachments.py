"""The URLs of attached files: for their owner alone, as downloads or as pictures that were encoded again."""

from io import BytesIO

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from conversations.models import Attachment, Conversation, Message, StoredFile, User
from conversations.rendering.files import file_states
from tests.factories import attached, person, queued

pytestmark = pytest.mark.django_db
SCRIPT = "<script>alert(1)</script>"


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def file(content: bytes = b"The secret is 42.", name: str = "notes.txt") -> BytesIO:
    data = BytesIO(content)
    data.name = name
    return data


@pytest.fixture
def ada() -> User:
    return person()


@pytest.fixture
def hers(ada: User) -> Attachment:
    return attached(queued(ada).message.prompt, SCRIPT, 'a "name".html')


def test_an_upload_responds_with_the_id_of_what_can_then_be_sent(ada: User):
    client = client_of(ada)
    response = client.post("/attachments/", {"file": file()})
    assert response.status_code == 201
    pk = response.json()["id"]
    assert 'name="attachment"' in response.json()["html"]
    assert client.post("/conversations/", {"content": "What?", "attachment": [pk]}).status_code == 302
    assert str(Message.objects.get(role="user").attachments.get().pk) == pk
    assert client.post(f"/attachments/{pk}/remove/").status_code == 422


def test_without_a_script_the_form_takes_files_and_keeps_them_if_the_prompt_is_refused(ada: User):
    client = client_of(ada)
    refused = client.post("/conversations/", {"content": " ", "file": [file(), file(b"Other", "other.txt")]})
    assert refused.status_code == 422
    kept = [str(pk) for pk in Attachment.objects.unsent().order_by("created_at").values_list("pk", flat=True)]
    assert all(f'value="{pk}" checked' in refused.content.decode() for pk in kept)
    client.post("/conversations/", {"content": "What?", "attachment": kept, "file": file(b"Third", "third.txt")})
    conversation = Conversation.objects.get()
    names = [each.name for each in Message.objects.get(role="user").attachments.with_files()]
    assert names == ["notes.txt", "other.txt", "third.txt"]
    page = client.get(conversation.get_absolute_url()).content.decode()
    assert page.count('class="file"') == 3
    assert "data-attached" not in page


def test_what_cannot_be_attached_says_why(ada: User, settings):
    client = client_of(ada)
    unreadable = client.post("/attachments/", {"file": file(bytes(range(256)), "a.bin")})
    assert unreadable.status_code == 422
    assert unreadable.json()["error"].startswith("a.bin: ")
    settings.FILE_BYTES = 5
    assert "too large" in client.post("/attachments/", {"file": file()}).json()["error"]
    assert client.post("/attachments/").json()["error"] == "Choose a file."
    many = [file(name=f"{number}.txt") for number in range(11)]
    refused = client.post("/conversations/", {"content": "What?", "file": many}, follow=True).content.decode()
    assert "up to 10 files, and this one has 11" in refused
    assert not StoredFile.objects.exclude(state="deleting").exists()
    response = client.post("/conversations/", {"content": "What?", "file": file()}, follow=True)
    assert "notes.txt is too large" in response.content.decode()
    assert "What?" in response.content.decode()


def test_a_download_is_nothing_that_a_browser_shows(hers: Attachment, ada: User):
    response = client_of(ada).get(f"/attachments/{hers.pk}/")
    assert response.getvalue().decode() == SCRIPT
    assert response["Content-Disposition"] == 'attachment; filename="a \\"name\\".html"'
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert "no-store" in response["Cache-Control"]


def test_a_preview_shows_the_text_as_text(hers: Attachment, ada: User):
    page = client_of(ada).get(f"/attachments/{hers.pk}/preview/").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert SCRIPT not in page
    assert f"about {hers.tokens} tokens" in page


def test_an_image_is_shown_as_it_was_encoded_again(ada: User):
    client, data = client_of(ada), BytesIO()
    Image.new("RGB", (4, 4), "red").save(data, "PNG")
    pk = client.post("/attachments/", {"file": file(data.getvalue() + SCRIPT.encode(), "a.png")}).json()["id"]
    response = client.get(f"/attachments/{pk}/picture/")
    assert response["Content-Type"] in ("image/png", "image/jpeg", "image/webp")
    assert SCRIPT.encode() not in response.content
    assert Image.open(BytesIO(response.content)).size == (4, 4)
    assert response["Content-Security-Policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize("view", ["", "preview/", "picture/", "remove/"])
def test_to_everybody_else_a_file_does_not_exist(hers: Attachment, view: str):
    url = f"/attachments/{hers.pk}/{view}"
    superuser = User.objects.create_superuser("root", "root@example.org", "pw")
    for user in (person("ben"), superuser):
        client = client_of(user)
        assert (client.post if view == "remove/" else client.get)(url).status_code == 404
    anonymous = (Client().post if view == "remove/" else Client().get)(url)
    assert anonymous.status_code == 302
    assert "/accounts/login/" in anonymous["Location"]
    assert Attachment.objects.filter(pk=hers.pk).exists()


def test_nobody_can_leave_out_or_take_the_files_of_others(hers: Attachment):
    ben = person("ben")
    mine = queued(ben).message.prompt
    kept = attached(mine, "Mine")
    client = client_of(ben)
    refused = client.post("/conversations/", {"content": "What?", "attachment": [str(hers.pk)]}, follow=True)
    assert "no longer here" in refused.content.decode()
    client.post(f"/messages/{mine.pk}/edit/", {"content": "Again", "without": [str(hers.pk)]})
    assert Message.objects.get(content="Again").attachments.get().stored == kept.stored
    assert hers.message.attachments.get() == hers


def test_an_edit_keeps_the_files_except_those_left_out_and_adds_others(hers: Attachment, ada: User):
    client = client_of(ada)
    assert f'name="without" value="{hers.pk}"' in client.get(f"/messages/{hers.message_id}/edit/").content.decode()
    url = f"/messages/{hers.message_id}/edit/"
    client.post(url, {"content": "Both", "file": file()})
    client.post(url, {"content": "One", "without": [str(hers.pk)], "file": file()})
    assert [each.name for each in Message.objects.get(content="Both").attachments.with_files()] == [
        hers.name,
        "notes.txt",
    ]
    assert Message.objects.get(content="One").attachments.get().name == "notes.txt"
    assert StoredFile.objects.count() == 2


def test_a_storage_that_cannot_be_read_is_no_error_of_the_site(hers: Attachment, ada: User):
    default_storage.delete(hers.stored.file_name)
    response = client_of(ada).get(f"/attachments/{hers.pk}/")
    assert response.status_code == 503
    assert b"Try again" in response.content


def test_the_list_of_files_costs_no_query_for_each(ada: User, django_assert_num_queries):
    prompt = queued(ada).message.prompt
    for number in range(5):
        attached(prompt, f"Text {number}")
    with django_assert_num_queries(1):
        assert len(file_states(Attachment.objects.filter(message=prompt).with_files())) == 5
