"""The embedded model, a real one, reasons and answers in the page."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up


def test_the_embedded_model_reasons_and_answers(page: Page, make_site):
    site = make_site(OPENAI_BASE_URL="", OPENAI_API_KEY="", OPENAI_MODEL="")
    sign_up(page, site)
    expect(page.get_by_text("tiny local model. It shows how the site works: do not trust its answers")).to_be_visible()
    expect(page.get_by_text("An administrator can connect a real model.")).to_be_visible()
    ask(page, "What is the capital of France?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(page.locator(".reasoning-text")).not_to_be_empty(timeout=120_000)
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible(timeout=120_000)
    [(reasoning, content)] = site.rows("select reasoning, content from conversations_message where role = 'assistant'")
    assert reasoning.strip()
    assert content.strip()
    assert page.locator(".reasoning-text").text_content() == reasoning
    page.reload()
    expect(page.locator(".prose")).to_contain_text(content.strip()[:20])
