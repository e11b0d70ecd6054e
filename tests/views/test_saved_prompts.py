"""Saved prompts, which only their owner sees."""

import pytest
from django.test import Client

from conversations import limits
from conversations.models import LegalHold, SavedPrompt, User
from conversations.models.saved_prompt import PROMPT_CHARACTERS
from tests.factories import person

pytestmark = pytest.mark.django_db
TEXT = "Translate this into Norwegian:\n\n<b>"
ESCAPED = "Translate this into Norwegian:\n\n&lt;b&gt;"


@pytest.fixture
def ada() -> User:
    return person("ada")


@pytest.fixture
def reader(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def saved(owner: User, name: str = "Translate", text: str = TEXT) -> SavedPrompt:
    return SavedPrompt.objects.create(owner=owner, name=name, text=text)


def test_a_prompt_is_saved_changed_and_deleted(reader: Client, ada: User):
    added = reader.post("/prompts/", {"name": " Translate ", "text": TEXT.replace("\n", "\r\n")}, follow=True)
    assert "Prompt saved." in added.text
    prompt = SavedPrompt.objects.get()
    assert (prompt.owner, prompt.name, prompt.text) == (ada, "Translate", TEXT)
    url = f"/prompts/{prompt.pk}/"
    assert ESCAPED in reader.get(url).text
    assert "Prompt saved." in reader.post(url, {"name": "Norwegian", "text": "Other"}, follow=True).text
    prompt.refresh_from_db()
    assert (prompt.name, prompt.text) == ("Norwegian", "Other")
    assert "Prompt deleted." in reader.post(f"{url}delete/", follow=True).text
    assert not SavedPrompt.objects.exists()


def test_a_link_fills_the_composer_without_the_text_in_its_address(reader: Client, ada: User):
    prompt = saved(ada)
    page = reader.get("/prompts/").text
    assert f'href="/?prompt={prompt.pk}"' in page
    assert "Norwegian" not in page
    assert f">{ESCAPED}</textarea>" in reader.get(f"/?prompt={prompt.pk}").text
    assert ESCAPED not in reader.get("/").text
    for query in ("x", "-1", "0", "9" * 30, ""):
        assert reader.get(f"/?prompt={query}").status_code == 200


def test_the_menu_at_the_composer_inserts_the_text(reader: Client, ada: User):
    prompt = saved(ada, "Translate <b>")
    saved(ada, "Adapt")
    menu = reader.get("/prompts/menu/").text
    assert menu.index("Adapt") < menu.index("Translate &lt;b&gt;")
    assert f'hx-get="/prompts/{prompt.pk}/insert/"' in menu
    assert f"<p>{ESCAPED}</p>" in reader.get(f"/prompts/{prompt.pk}/insert/").text
    SavedPrompt.objects.all().delete()
    assert "You have no saved prompts." in reader.get("/prompts/menu/").text


def test_prompts_of_others_do_not_exist(reader: Client, ada: User):
    theirs, mine = saved(person("bob"), "Secret plan"), saved(ada)
    for pk, status in ((mine.pk, 200), (theirs.pk, 404)):
        assert reader.get(f"/prompts/{pk}/").status_code == status
        assert reader.get(f"/prompts/{pk}/insert/").status_code == status
        assert reader.get(f"/?prompt={pk}").status_code == status
        fields = {"name": "x", "text": "x"}
        assert reader.post(f"/prompts/{pk}/", fields, follow=True).status_code == status
        assert reader.post(f"/prompts/{pk}/delete/", follow=True).status_code == status
    assert list(SavedPrompt.objects.all()) == [theirs]
    theirs.refresh_from_db()
    assert theirs.text == TEXT
    assert "Secret" not in reader.get("/prompts/").text + reader.get("/prompts/menu/").text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": "", "text": "x"}, "Enter a name."),
        ({"name": "x" * 61, "text": "x"}, "Use 60 characters or fewer."),
        ({"name": "x", "text": " "}, "Enter a text."),
        ({"name": "x", "text": "x" * (PROMPT_CHARACTERS + 1)}, "The text has 8001 characters. Shorten it to 8000"),
        ({"name": "x", "text": "a\0b"}, "Remove the NUL characters"),
    ],
)
def test_what_cannot_be_saved_is_kept_with_the_reason(reader: Client, ada: User, fields: dict[str, str], sentence: str):
    prompt = saved(ada)
    for url in ("/prompts/", f"/prompts/{prompt.pk}/"):
        refused = reader.post(url, fields)
        assert (refused.status_code, sentence in refused.text) == (422, True)
    assert list(SavedPrompt.objects.values_list("text", flat=True)) == [TEXT]


def test_prompts_are_limited(reader: Client, ada: User):
    SavedPrompt.objects.bulk_create(SavedPrompt(owner=ada, name="x", text="x") for _ in range(limits.SAVED_PROMPTS))
    refused = reader.post("/prompts/", {"name": "One more", "text": "x"}).text
    assert f"You have {limits.SAVED_PROMPTS} saved prompts. Delete one, then try again." in refused


def test_a_legal_hold_on_their_owner_keeps_them(reader: Client, ada: User):
    prompt = saved(ada)
    hold = LegalHold.objects.create(user=ada, reason="Order 7")
    url, fields = f"/prompts/{prompt.pk}/", {"name": "x", "text": "x"}
    reason = "it must be kept for legal reasons."
    assert f"You cannot change this prompt yet: {reason}" in reader.post(url, fields).text
    assert f"You cannot delete this prompt yet: {reason}" in reader.post(f"{url}delete/", follow=True).text
    assert SavedPrompt.objects.get().text == TEXT
    assert "Prompt saved." in reader.post("/prompts/", fields, follow=True).text  # it overwrites nothing
    LegalHold.objects.filter(pk=hold.pk).delete()
    assert "Prompt deleted." in reader.post(f"{url}delete/", follow=True).text


def test_they_are_deleted_with_their_owner(ada: User):
    saved(ada)
    ada.delete()
    assert not SavedPrompt.objects.exists()
