"""Choosing a model and a depth in the browser, and asking again with the menu."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.browser.test_palette import check
from tests.endpoint import Endpoint

MODELS = """
[endpoints.one]
base_url = "{url}"
[[models]]
id = "pro"
endpoint = "one"
label = "Pro"
thinking = "switchable"
efforts = ["low", "high"]
[[models]]
id = "plain"
endpoint = "one"
label = "Plain"
thinking = "never"
"""
MAKE_STAFF = "from conversations.models import User; User.objects.update(is_staff=True)"


def test_a_model_and_a_depth_are_chosen_and_changed_by_the_menu_of_regenerate(
    page: Page, make_site, endpoint: Endpoint
):
    none = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": ""}
    site = make_site(MODELS=MODELS.format(url=endpoint.base_url), **none)
    sign_up(page, site)
    model, depth = page.get_by_label("Model", exact=True), page.get_by_label("Depth of thought")
    depth.select_option("Deep")
    model.select_option("Plain")
    expect(depth).to_have_value("normal")  # the only one that this model has
    expect(depth.get_by_role("option", name="Deep")).to_be_disabled()
    model.select_option("Pro")
    depth.select_option("Quick")
    ask(page, "Which is greater?")
    page.wait_for_url(re.compile("/conversations/"))
    answer = page.locator("article[data-role=assistant]")
    expect(answer).to_have_attribute("data-status", "complete")
    expect(answer).to_contain_text("Pro · Quick")
    assert endpoint.exchanges[0].body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    expect(depth).to_have_value("quick")
    page.get_by_role("button", name="Regenerate with another depth or model").click()
    check(page, "the menu of Regenerate")
    for option in page.locator(".regenerate-panel button").all():
        expect(option).to_have_css("border-style", "none")  # an option is a line of the menu
    page.get_by_role("button", name="Think deeper (Deep)").click()
    expect(answer.get_by_text("2 / 2")).to_be_visible()
    expect(answer).to_contain_text("Pro · Deep")
    assert endpoint.exchanges[1].body["reasoning_effort"] == "high"
    page.get_by_role("link", name="Read this thought").click()
    expect(page.get_by_role("heading", name="Answer · Pro")).to_be_visible()
    page.get_by_role("link", name="Back to the conversation").click()
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("Quick · Complete")).to_be_visible()
    expect(page.get_by_text("Deep · Complete")).to_be_visible()

    staffed = site.manage("shell", "--no-imports", "--command", MAKE_STAFF)
    assert staffed.returncode == 0, staffed.stderr
    page.goto(f"{site.url}/models/")
    expect(page.get_by_role("heading", name="Plain")).to_be_visible()
    check(page, "the models")
