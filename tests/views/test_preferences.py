import pytest
from django.test import Client

from conversations.models import User
from conversations.models.user import ReasoningVisibility, Theme
from tests.factories import person

pytestmark = pytest.mark.django_db


def test_preferences_are_saved_and_apply_to_every_page(client: Client):
    client.force_login(person())
    assert "data-theme" not in client.get("/").content.decode()
    choice = {"theme": Theme.DARK, "reasoning": ReasoningVisibility.NEVER}  # an unchecked box is not sent
    assert client.post("/preferences/", choice).status_code == 302
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.DARK, ReasoningVisibility.NEVER, False)
    assert '<html lang="en" data-theme="dark">' in client.get("/").content.decode()
    client.logout()
    assert "data-theme" not in client.get("/accounts/login/").content.decode()


def test_an_invalid_preference_is_rejected(client: Client):
    client.force_login(person())
    page = client.post("/preferences/", {"theme": "pink", "reasoning": ReasoningVisibility.ALWAYS}).content.decode()
    assert "pink is not one of the available choices" in page
    user = User.objects.get()
    assert (user.theme, user.reasoning, user.single_keys) == (Theme.SYSTEM, ReasoningVisibility.THINKING, True)


def test_preferences_need_a_sign_in(client: Client):
    assert client.get("/preferences/").headers["Location"].startswith("/accounts/login/")
