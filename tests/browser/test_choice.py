"""Choosing a model and a depth in the browser: what the endpoints receive, and asking again with the menu."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_in, sign_up
from tests.browser.test_palette import check
from tests.endpoint import Endpoint
from tests.models import table
from tests.site import Person, Site

NO_VARIABLES = {"OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OPENAI_MODEL": "", "SOME_KEY": "canary-key"}

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
EMBEDDED = """
[endpoints.here]
embedded = true
[[models]]
id = "tiny"
endpoint = "here"
"""
MAKE_STAFF = "from conversations.models import User; User.objects.update(is_staff=True)"


def test_a_model_and_a_depth_are_chosen_and_changed_by_the_menu_of_regenerate(
    page: Page, make_site, endpoint: Endpoint
):
    site = make_site(MODELS=MODELS.format(url=endpoint.base_url), **NO_VARIABLES)
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


@pytest.fixture
def second() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


def test_each_model_gets_exactly_what_a_depth_means_to_it_and_no_reasoning(
    page: Page, make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint, second: Endpoint
):
    efforts = ["low", "high", "max"]
    one = table(endpoint, "one", name="DeepSeek-V4", thinking="switchable", efforts=efforts, dialect="azure")
    two = table(second, "two", thinking="always", efforts=efforts, max_output_tokens=4000, dialect="openai")
    site = make_site(MODELS="\n".join((EMBEDDED, one, two)), **NO_VARIABLES)
    sign_in(page, join(site))
    expect(page.get_by_text("tiny local model. It shows how the site works: do not trust its answers")).to_be_visible()
    expect(page.get_by_text("An administrator can connect a real model.")).to_be_visible()
    asked = [("tiny", "quick")]
    asked += [(model, depth) for model in ("one", "two") for depth in ("quick", "normal", "deep")]
    for number, (model, depth) in enumerate(asked, 1):
        page.get_by_label("Model", exact=True).select_option(model)
        page.get_by_label("Depth of thought").select_option(depth)
        ask(page, "What is the capital of France?")
        if number == 1:
            page.wait_for_url(re.compile("/conversations/"))
        ended = page.locator("article[data-role=assistant]:is([data-status=complete], [data-status=length])")
        expect(ended).to_have_count(number, timeout=120_000)  # the embedded model, a real one, takes a while
    stored = site.rows("select reasoning, content from conversations_message where role = 'assistant' order by id")
    assert [bool(reasoning.strip()) for reasoning, _ in stored] == [False] + 6 * [True]
    assert all(content.strip() for _, content in stored)
    assert page.locator(".reasoning-text").last.text_content() == stored[-1][0]
    history = []
    for _, content in stored:
        history.append({"role": "user", "content": "What is the capital of France?"})
        history.append({"role": "assistant", "content": content})
    received = [*endpoint.exchanges, *second.exchanges]
    limit = {"max_completion_tokens": 4000}
    expected = [
        {"model": "DeepSeek-V4", "thinking": {"type": "disabled"}},
        {"model": "DeepSeek-V4"},
        {"model": "DeepSeek-V4", "thinking": {"type": "enabled"}, "reasoning_effort": "max"},
        {"model": "two", "reasoning_effort": "low"} | limit,
        {"model": "two"} | limit,
        {"model": "two", "reasoning_effort": "max"} | limit,
    ]
    for number, fields in enumerate(expected):
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
        # Of earlier answers the endpoints get no reasoning, whichever model gave them.
        fields["messages"] = history[: 2 * number + 3]
    assert [exchange.body for exchange in received] == expected
    assert {exchange.headers["Authorization"] for exchange in received} == {"Bearer canary-key"}
    page.reload()
    expect(page.locator(".prose").first).to_contain_text(stored[0][1].strip()[:20])
