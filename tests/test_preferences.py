import pytest
from django.test import Client

from conversations.models import User
from conversations.models.user import Fold, Theme
from tests.factories import person

pytestmark = pytest.mark.django_db


def test_preferences_are_kept_and_shown_on_every_page(client: Client):
    client.force_login(person())
    assert "data-theme" not in client.get("/").content.decode()
    choice = {"theme": Theme.DARK, "reasoning": Fold.NEVER}  # a box without its tick is not sent
    assert client.post("/preferences/", choice).status_code == 302
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.DARK, Fold.NEVER, False)
    assert '<html lang="en" data-theme="dark">' in client.get("/").content.decode()
    client.logout()
    assert "data-theme" not in client.get("/accounts/login/").content.decode()


def test_nonsense_changes_nothing_and_says_so(client: Client):
    client.force_login(person())
    page = client.post("/preferences/", {"theme": "pink", "reasoning": Fold.ALWAYS}).content.decode()
    assert "pink is not one of the available choices" in page
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.SYSTEM, Fold.THINKING, True)


def test_preferences_are_for_who_is_signed_in(client: Client):
    assert client.get("/preferences/").headers["Location"].startswith("/accounts/login/")
