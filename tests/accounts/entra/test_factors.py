"""Single sign-on replaces a second factor, and for its people it is how they confirm who they are."""

import time
from collections.abc import Callable

import pytest
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.core import context
from allauth.socialaccount.helpers import complete_social_login
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory

from conversations.accounts.entra.provider import ID, EntraProvider
from conversations.accounts.sso.adapter import SocialAccountAdapter
from conversations.models import User
from tests.accounts.entra.tenant import ADA, CLIENT, TENANT

pytestmark = pytest.mark.django_db


@pytest.fixture
def sign_in(client: Client, rf: RequestFactory, settings) -> Callable[[], None]:
    """Sign in a reviewer as the callback from Microsoft does."""
    settings.ENTRA_TENANT_ID, settings.ENTRA_CLIENT_ID = TENANT, CLIENT

    def sign_in() -> None:
        claims = {"tid": TENANT, "oid": ADA, "name": "Ada", "preferred_username": "ada", "roles": ["Reviewer"]}
        request = rf.get("/")
        request.user, request.session = AnonymousUser(), client.session
        with context.request_context(request):
            provider = EntraProvider(request, SocialAccountAdapter(request).get_app(request, ID))
            complete_social_login(request, provider.sociallogin_from_response(request, claims))
        request.session.save()
        client.cookies["sessionid"] = request.session.session_key

    return sign_in


def test_single_sign_on_replaces_a_second_factor(client: Client, sign_in: Callable[[], None], settings):
    settings.IS_PUBLIC = True
    sign_in()
    assert User.objects.get().is_staff
    assert client.get("/").status_code == 200
    assert client.get("/admin/", follow=True).status_code == 200


def test_people_of_the_tenant_sign_in_again_before_a_change(client: Client, sign_in: Callable[[], None]):
    page = "/accounts/2fa/totp/activate/"
    sign_in()
    assert client.get(page).status_code == 200
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY][0]["at"] = time.time() - 301
    session.save()
    asked = client.get(page).headers["Location"]
    assert asked == f"/accounts/sign-in-again/?next={page.replace('/', '%2F')}"
    form = client.get(asked).text
    assert "Sign in with Microsoft" in form
    assert f'name="next" value="{page}"' in form
    assert client.post("/accounts/sessions/", {"session": "others"}).headers["Location"].startswith(asked[:24])
    token = {"name": "Script", "scopes": ["ask"], "days": "7"}
    assert client.post("/accounts/api-tokens/", token).headers["Location"].startswith(asked[:24])
    sign_in()
    assert client.get(page).status_code == 200
