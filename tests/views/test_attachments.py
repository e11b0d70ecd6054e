"""The URLs of attached files: for their owner alone, as downloads or as pictures that were encoded again."""

import uuid
from datetime import timedelta
from io import BytesIO

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from PIL import Image

from conversations import actions
from conversations.models import Attachment, Conversation, Generation, Message, StoredFile, User
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
    sent = client.post(f"/attachments/{pk}/remove/", headers={"HX-Request": "true"})
    assert sent.status_code == 422
    assert "has been sent" in sent.text


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


def test_unsent_files_are_in_their_own_composer_after_a_reload(ada: User):
    client, paths = client_of(ada), ["/"]
    paths += [queued(ada, content).conversation.get_absolute_url() for content in ("One?", "Two?")]
    uploads = {}
    for path in paths:
        query = {"composer": path.split("/")[2]} if path != "/" else {}
        uploads[path] = client.post("/attachments/", {"file": file()}, query_params=query).json()["id"]
    for path in paths:
        page = client.get(path).text
        shown = [other for other, pk in uploads.items() if f'name="attachment" value="{pk}" checked' in page]
        assert shown == [path]
        assert f'hx-post="/attachments/{uploads[path]}/remove/"' in page
    client.post(f"{paths[1]}messages/", {"content": "What?", "attachment": uploads[paths[1]]})
    assert client.post(f"/attachments/{uploads[paths[2]]}/remove/").status_code == 200
    for path in paths[1:]:
        assert 'name="attachment"' not in client.get(path).text
    assert 'name="attachment"' not in client_of(person("ben")).get("/").text


def test_an_upload_to_the_composer_of_others_is_not_found(ada: User):
    hers, client = queued(ada).conversation, client_of(person("ben"))
    for composer in (hers.pk, uuid.uuid4(), "x"):
        response = client.post("/attachments/", {"file": file()}, query_params={"composer": composer})
        assert response.status_code == 404
    assert not StoredFile.objects.exists()
    assert client.post("/attachments/", {"file": file()}).status_code == 201


def test_without_a_script_files_are_left_out_by_their_checkboxes(ada: User):
    client = client_of(ada)
    kept, left_out, other = (
        client.post("/attachments/", {"file": file(name=f"{number}.txt")}).json()["id"] for number in range(3)
    )
    client.post("/conversations/", {"content": "What?", "shown": [kept, left_out], "attachment": kept})
    assert [str(each.pk) for each in Attachment.objects.unsent()] == [other]
    assert [str(each.pk) for each in Message.objects.get(role="user").attachments.all()] == [kept]
    page = client.get("/").text
    assert f'name="shown" value="{other}"' in page


def test_a_question_that_is_taken_back_leaves_its_files_in_the_composer(ada: User):
    client, first = client_of(ada), queued(ada)
    path = first.conversation.get_absolute_url()
    pk = client.post("/attachments/", {"file": file()}).json()["id"]
    client.post(f"{path}messages/", {"content": "And?", "attachment": pk})
    client.post(f"/generations/{Generation.objects.latest('pk').pk}/take-back/")
    assert f'value="{pk}" checked' in client.get(path).text
    client.post(f"/generations/{first.pk}/take-back/")  # the conversation is gone
    assert f'value="{pk}" checked' in client.get("/").text


def test_unsent_files_are_deleted_with_the_conversation_that_they_wait_for(ada: User):
    client, generation = client_of(ada), queued(ada)
    conversation = generation.conversation
    Generation.objects.update(status="complete")
    client.post("/attachments/", {"file": file()}, query_params={"composer": conversation.pk})
    for name in ("sent.txt", "elsewhere.txt"):
        pk = client.post("/attachments/", {"file": file(name=name)}, query_params={"composer": conversation.pk})
        target = "/conversations/" if name == "elsewhere.txt" else f"{conversation.get_absolute_url()}messages/"
        client.post(target, {"content": "What?", "attachment": pk.json()["id"]})
    Generation.objects.update(status="complete")
    client.post(f"{conversation.get_absolute_url()}delete/")
    assert [each.name for each in Attachment.objects.visible_to(ada)] == ["elsewhere.txt"]
    Conversation.with_deleted.exclude(deleted_at=None).update(deleted_at=timezone.now() - timedelta(days=1))
    assert actions.purge() == 1
    assert [each.name for each in Attachment.objects.all()] == ["elsewhere.txt"]


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
