"""Scrolling up in a long conversation loads earlier messages, and nothing jumps."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_up
from tests.site import Site

CONVERSATION = """
from conversations.models import *
user = User.objects.get()
conversation = Conversation.objects.create(owner=user, title="Long")
parent = None
for number in range(50):
    prompt = f"Question {number}?"
    parent = Message.objects.create(conversation=conversation, parent=parent, role="user", content=prompt)
    text = f"Answer {number}. " + "word " * 120
    parent = Message.objects.create(conversation=conversation, parent=parent, role="assistant", content=text)
    Generation.objects.create(message=parent, conversation=conversation, owner=user, status="complete")
conversation.leaf = parent
conversation.save()
print(conversation.get_absolute_url())
"""


def long_conversation(page: Page, site: Site) -> str:
    sign_up(page, site)
    return site.url + site.manage("shell", "--no-imports", "-c", CONVERSATION).stdout.strip()


def test_scrolling_up_loads_earlier_messages_and_nothing_jumps(page: Page, site: Site):
    page.goto(long_conversation(page, site))
    articles = page.locator("article.message")
    expect(articles).to_have_count(30)
    expect(articles.last).to_be_in_viewport()
    top = "document.querySelector('#message-{}').getBoundingClientRect().top"
    for count in (60, 90, 100):
        first = articles.first.get_attribute("id").removeprefix("message-")
        # In one task of the page, so that the position is measured before the text arrives.
        before = page.evaluate(f"scrollTo(0, 200), {top.format(first)}")
        expect(articles).to_have_count(count)
        assert abs(page.evaluate(top.format(first)) - before) <= 1
    expect(page.locator(".earlier")).to_have_count(0)
    expect(page.get_by_text("Question 0?", exact=True)).to_have_count(1)


def test_without_a_script_links_lead_to_earlier_and_to_the_newest_messages(
    open_page: Callable[..., Page], page: Page, site: Site
):
    url = long_conversation(page, site)
    plain = open_page(java_script_enabled=False)
    plain.context.add_cookies(page.context.cookies())
    plain.goto(url)
    plain.get_by_role("link", name="Earlier messages").click()
    expect(plain.get_by_text("Question 34?", exact=True)).to_be_visible()
    expect(plain.get_by_text("Question 35?", exact=True)).to_have_count(0)
    plain.get_by_role("link", name="Latest messages").click()
    expect(plain.get_by_text("Question 49?", exact=True)).to_be_visible()
