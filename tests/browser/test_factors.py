"""A second factor, a passkey and the list of sessions, with the keyboard only; axe on each of their pages."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page, expect

from tests import totp
from tests.browser.test_accessibility import check
from tests.browser.test_keyboard import press
from tests.site import PASSWORD, Person, from_elsewhere

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def type_into(page: Page, name: str, text: str) -> None:
    while page.evaluate("document.activeElement.name") != name:
        page.keyboard.press("Tab")
    page.keyboard.type(text)


def enter(page: Page, name: str, text: str) -> None:
    type_into(page, name, text)
    page.keyboard.press("Enter")


def follow(page: Page, name: str, heading: str) -> None:
    """Press a link or a button, and wait for the page that it leads to."""
    press(page, name)
    expect(page.get_by_role("heading", name=heading, exact=True, level=1)).to_be_visible()


def sign_in(page: Page, url: str, name: str) -> None:
    page.set_extra_http_headers(from_elsewhere())
    page.goto(f"{url}/accounts/login/")
    type_into(page, "login", name)
    enter(page, "password", PASSWORD)


def forget_key(person: Person) -> None:
    """Make this person's factors look as if another SECRET_KEY had encrypted them."""
    path = person.site.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=20)) as database, database:
        [(owner,)] = database.execute("select id from conversations_user where username = ?", [person.name])
        data = json.dumps({"secret": "unreadable", "seed": "unreadable"})
        database.execute("update mfa_authenticator set data = ? where user_id = ?", [data, owner])


def test_an_authenticator_app_and_sessions_with_the_keyboard_only(
    page: Page, open_page: Callable[..., Page], person: Person
):
    url = person.site.url
    sign_in(page, url, person.name)
    page.wait_for_url(f"{url}/")
    press(page, person.name)
    follow(page, "Two-factor sign-in", "Two-factor sign-in")
    expect(page.get_by_text("Passkeys do not work at this address")).to_be_visible()
    check(page, "two-factor sign-in")
    follow(page, "Set up authenticator app", "Confirm that it is you")
    check(page, "reauthentication")
    enter(page, "password", PASSWORD)
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    press(page, "Enter a key instead of scanning")
    check(page, "an authenticator app")
    secret = page.locator(".secret").inner_text()
    enter(page, "code", "000000")
    expect(page.get_by_text("That did not work.")).to_be_visible()
    enter(page, "code", totp.code(secret))
    expect(page.get_by_role("list", name="Unused recovery codes").get_by_role("listitem")).to_have_count(10)
    check(page, "recovery codes")
    recovery_code = page.get_by_role("list", name="Unused recovery codes").get_by_role("listitem").first.inner_text()

    other = open_page()
    sign_in(other, url, person.name)
    expect(other.get_by_role("heading", name="Second factor")).to_be_visible()
    check(other, "the second step of signing in")
    enter(other, "code", totp.code(secret))
    other.wait_for_url(f"{url}/")
    other.goto(f"{url}/accounts/2fa/")
    follow(other, "Remove authenticator app", "Confirm that it is you")
    press(other, "Use a code")
    expect(other.get_by_text("Enter the code that your authenticator app shows")).to_be_visible()
    check(other, "reauthentication with a code")
    enter(other, "code", "000000")
    expect(other.get_by_text("That did not work.")).to_be_visible()
    check(other, "a refused reauthentication")
    enter(other, "code", recovery_code)
    expect(other.get_by_role("heading", name="Remove authenticator app")).to_be_visible()
    check(other, "the removal of an authenticator app")

    follow(page, "Sessions", "Sessions")
    expect(page.locator(".entries li")).to_have_count(3)  # `person` has one too
    check(page, "sessions")
    press(page, "Sign out everywhere else")
    expect(page.get_by_text("Signed out everywhere else.")).to_be_visible()
    expect(page.locator(".entries li")).to_have_count(1)
    other.reload()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()

    forget_key(person)
    sign_in(other, url, person.name)
    expect(other.get_by_role("heading", name="Second factor")).to_be_visible()
    enter(other, "code", totp.code(secret))
    expect(other.get_by_role("heading", name="Your second factor cannot be checked")).to_be_visible()
    check(other, "a second factor that cannot be checked")


def test_a_passkey_with_the_keyboard_only(page: Page, person: Person):
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    device = devices.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})["authenticatorId"]

    def confirm(is_owner: bool) -> None:
        devices.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": is_owner})

    url = person.site.url.replace("127.0.0.1", "localhost")
    sign_in(page, url, person.name)
    page.wait_for_url(f"{url}/")
    press(page, person.name)
    follow(page, "Two-factor sign-in", "Two-factor sign-in")
    follow(page, "Add a passkey", "Confirm that it is you")
    enter(page, "password", PASSWORD)
    expect(page.get_by_role("heading", name="Add a passkey")).to_be_visible()
    check(page, "a new passkey")
    confirm(False)
    press(page, "Add passkey")
    expect(page.get_by_text("Cancelled, or not confirmed in time.")).to_be_visible()
    confirm(True)
    press(page, "Add passkey")
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    follow(page, "Two-factor sign-in", "Two-factor sign-in")
    follow(page, "Manage passkeys", "Passkeys")
    expect(page.locator(".entries li")).to_have_count(1)
    check(page, "passkeys")

    page.context.clear_cookies()
    page.goto(f"{url}/accounts/login/")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_visible()
    check(page, "signing in")
    press(page, "Sign in with a passkey")  # without a name or a password
    page.wait_for_url(f"{url}/")

    page.context.clear_cookies()
    sign_in(page, url, person.name)
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    check(page, "the second step with a passkey")
    press(page, "Use your passkey")
    page.wait_for_url(f"{url}/")
    press(page, person.name)
    follow(page, "Two-factor sign-in", "Two-factor sign-in")
    follow(page, "Manage passkeys", "Passkeys")
    follow(page, "Remove Passkey", "Confirm that it is you")
    press(page, "Use a passkey")  # instead of the password
    expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
    check(page, "reauthentication with a passkey")
    confirm(False)
    press(page, "Use your passkey")
    expect(page.get_by_text("Cancelled, or not confirmed in time.")).to_be_visible()
    confirm(True)
    follow(page, "Use your passkey", "Remove passkey")
    press(page, "Remove")
    expect(page.get_by_text("You have no passkeys.")).to_be_visible()
