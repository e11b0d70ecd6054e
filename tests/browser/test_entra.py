"""Sign-in with Microsoft in a real browser, which enforces the content security policy in each step."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.entra.tenant import Tenant
from tests.browser.test_accessibility import check
from tests.site import Site, from_elsewhere


@pytest.fixture(scope="module")
def joined(database_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Tenant]]:
    tenant = Tenant()
    database = tmp_path_factory.mktemp("entra") / "db.sqlite3"
    shutil.copy(database_template, database)
    site = Site(f"sqlite:///{database}", **tenant.variables)
    yield site, tenant
    site.kill()
    tenant.close()


@pytest.fixture
def visitor(open_page: Callable[..., Page], joined: tuple[Site, Tenant]) -> Page:
    joined[1].reset()
    page = open_page()
    page.set_extra_http_headers(from_elsewhere())
    return page


def test_a_person_signs_in_through_their_organisations_server(visitor: Page, joined: tuple[Site, Tenant]):
    site, tenant = joined
    tenant.is_federated = True
    tenant.person["roles"] = ["Staff"]
    visitor.goto(f"{site.url}/admin/")
    check(visitor, "the button")
    visitor.get_by_role("button", name="Sign in with Microsoft").click()
    visitor.wait_for_url(f"{site.url}/admin/")
    expect(visitor.locator("#user-tools")).to_contain_text("Ada")
    visitor.go_back()
    expect(visitor.locator("body")).not_to_contain_text("Sign-in failed")


def test_a_rejected_person_sees_the_reason_and_can_try_again(visitor: Page, joined: tuple[Site, Tenant]):
    site, tenant = joined
    tenant.error = {"error": "access_denied"}
    visitor.goto(f"{site.url}/accounts/signup/")
    visitor.get_by_role("button", name="Sign in with Microsoft").click()
    expect(visitor.get_by_role("heading", name="Sign-in failed")).to_be_visible()
    check(visitor, "not let in")
    tenant.error = {}
    visitor.get_by_role("link", name="Try again").click()
    visitor.get_by_role("button", name="Sign in with Microsoft").click()
    visitor.wait_for_url(f"{site.url}/")
    expect(visitor.locator("#composer textarea")).to_be_visible()
