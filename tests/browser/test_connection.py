"""A page that loses its connection shows a notice, reconnects by itself and misses nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from conversations.consumers import SOCKETS
from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.proxy import Proxy
from tests.site import Site

ADD_MESSAGES = """(number) => {
  const list = document.getElementById("messages");
  for (let id = 1; id <= number; id++) {
    const article = list.querySelector("article").cloneNode();
    article.id = `message-9${String(id).padStart(6, 0)}`;
    list.append(article);
  }
}"""

# Connects again, and waits until the server has sent the article with this id again.
AWAIT_RESENT = """(id) => new Promise((resolve) => {
  document.addEventListener("htmx:wsAfterMessage", ({ detail }) => detail.message.includes(`id="${id}"`) && resolve());
  dispatchEvent(new Event("online"));
})"""


async def think_in_two_parts(exchange: Exchange) -> None:
    await exchange.reason("First part. ")
    await exchange.gate("first part")
    await exchange.reason("Second part.")
    await exchange.gate("second part")
    await exchange.answer("Done.")
    await exchange.finish()


@pytest.fixture
def proxy(shared_site: Site) -> Iterator[Proxy]:
    proxy = Proxy(shared_site.url)
    yield proxy
    proxy.close()


def test_a_silent_connection_is_replaced_by_a_new_one(page: Page, proxy: Proxy, shared_endpoint: Endpoint):
    shared_endpoint.respond = think_in_two_parts
    sign_up(page, SimpleNamespace(url=proxy.url))
    opened = []
    page.on("websocket", lambda socket: opened.append(socket))
    ask(page, "Are you there?")
    reasoning = page.locator(".reasoning-text")
    expect(reasoning).to_have_text("First part. ")
    expect(page.locator(".source-mark")).to_have_attribute("data-source", "live")
    stop = page.locator("[data-action=stop]")
    stop.focus()
    proxy.mute()
    shared_endpoint.open("first part")
    shared_endpoint.await_reached("second part")
    expect(reasoning).to_have_text("First part. ")  # no data arrives, and the socket stays open
    page.evaluate("dispatchEvent(new Event('online'))")  # as after sleep or a change of network
    expect(reasoning).to_have_text("First part. Second part.")
    expect(page.locator(".source-mark")).to_have_attribute("data-source", "live")
    expect(stop).to_be_focused()
    shared_endpoint.open("second part")
    expect(page.locator(".finalised")).to_have_text("Done.")
    assert len(opened) == 2


def test_a_page_reconnects_to_a_restarted_site_and_shows_the_stored_text(page: Page, site: Site, endpoint: Endpoint):
    endpoint.respond = think_in_two_parts
    sign_up(page, site)
    ask(page, "Are you there?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First part. ")
    site.await_rows("select 1 from conversations_chunk")
    site.kill()
    expect(page.locator(".source-mark")).to_have_attribute("data-source", "storage")
    expect(page.locator("[data-connection=lost]")).to_be_visible()
    expect(page.locator(".reasoning-text")).to_have_text("First part. ")
    site.start()
    expect(page.locator("[data-connection=lost]")).to_be_hidden()
    expect(page.locator("article[data-role=assistant]")).to_have_attribute("data-status", "interrupted")
    expect(page.locator(".status-notice")).to_contain_text("The server restarted at")
    page.reload()
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning-text")).to_contain_text("First part.")


def test_without_a_socket_the_page_reloads_to_show_questions_and_answers(
    page: Page, shared_site: Site, shared_endpoint: Endpoint
):
    async def answer(exchange: Exchange) -> None:
        await exchange.answer("Here.")
        await exchange.finish()

    shared_endpoint.respond = answer
    page.route_web_socket("**/ws/**", lambda socket: socket.close())
    sign_up(page, shared_site)
    ask(page, "Are you there?")
    page.wait_for_url("**/conversations/*/")
    ask(page, "Still?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-role=user] .asked")).to_have_text(["Are you there?", "Still?"])
    expect(page.locator("#composer-content")).to_have_value("")


def test_a_page_whose_place_newer_ones_took_says_so_and_goes_on_when_it_is_looked_at(
    page: Page, make_person, shared_endpoint: Endpoint
):
    person = make_person()
    cookies = person.http.cookies.items()
    page.context.add_cookies([{"name": name, "value": value, "url": person.site.url} for name, value in cookies])
    opened = []
    page.on("websocket", lambda socket: opened.append(socket))
    conversation = person.ask("How many?")
    page.goto(person.site.url + conversation)
    expect(page.locator(".finalised")).to_have_text("9.8 is greater than 9.11.")
    notice = page.locator("[data-connection=replaced]")
    with ExitStack() as stack:
        for _ in range(SOCKETS):
            stack.enter_context(person.socket(conversation)).recv(timeout=60)
        expect(notice).to_be_visible()
        expect(notice).to_contain_text("this page has stopped updating")
        page.evaluate("dispatchEvent(new Event('online'))")
        assert len(opened) == 1
    person.ask("And now?", conversation)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator(".finalised")).to_have_count(2)
    expect(notice).to_be_hidden()
    assert len(opened) == 2


def test_what_is_open_and_typed_stays_when_the_page_connects_again(signed_in: Page, shared_endpoint: Endpoint):
    page, complete = signed_in, "article[data-status=complete][data-role=assistant]"
    shared_endpoint.respond = think_and_answer
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(complete)).to_have_count(1)
    ask(page, "And then?")  # this answer comes after the page was loaded
    expect(page.locator(complete)).to_have_count(2)
    answer = page.locator(complete).last
    answer.locator(".reasoning summary").click()
    answer.get_by_role("button", name="Good answer").click()
    answer.get_by_role("textbox").focus()
    page.keyboard.type("It is ")
    page.evaluate(AWAIT_RESENT, answer.get_attribute("id"))
    page.keyboard.type("so.")
    expect(answer.get_by_role("textbox")).to_have_value("It is so.")
    expect(answer.locator(".reasoning-text")).to_be_visible()


def test_an_answer_that_was_regenerated_elsewhere_during_an_outage_is_replaced(
    signed_in: Page, shared_endpoint: Endpoint
):
    shared_endpoint.respond = think_and_answer
    page, sockets, is_away = signed_in, [], False

    def connect(socket: WebSocketRoute) -> None:
        if is_away:
            socket.close(code=1012)
        else:
            socket.connect_to_server()
            sockets.append(socket)

    page.route_web_socket("**/ws/**", connect)
    complete = "article[data-status=complete][data-role=assistant]"
    ask(page, "Why?")
    expect(page.locator(complete)).to_have_count(1)
    ask(page, "And then?")
    expect(page.locator(complete)).to_have_count(2)
    is_away = True
    sockets[-1].close(code=1012)
    other = page.context.new_page()
    other.goto(page.url)
    other.locator(complete).last.get_by_role("button", name="Regenerate").click()
    expect(other.get_by_text("2 / 2")).to_be_visible()
    expect(other.locator(complete)).to_have_count(2)
    assert page.get_by_text("2 / 2").count() == 0
    is_away = False
    expect(page.get_by_text("2 / 2")).to_be_visible()
    expect(page.locator("#messages > article")).to_have_count(4)


@pytest.mark.parametrize(("more", "is_named"), [(290, True), (310, False)])
def test_the_sockets_address_names_a_limited_number_of_messages(
    signed_in: Page, shared_endpoint: Endpoint, more: int, is_named: bool
):
    """A page with more is sent its last messages again."""
    shared_endpoint.respond = think_and_answer
    page, addresses, sockets = signed_in, [], []

    def connect(socket: WebSocketRoute) -> None:
        addresses.append(parse_qs(urlsplit(socket.url).query))
        socket.connect_to_server()
        sockets.append(socket)

    page.route_web_socket("**/ws/**", connect)
    ask(page, "Why?")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_have_count(1)
    page.evaluate(ADD_MESSAGES, more)
    sockets[-1].close(code=1012)
    expect(page.locator("#messages > article")).to_have_count(2)
    assert ("shown" in addresses[-1], addresses[-1]["seen"] == ["0"]) == (is_named, not is_named)
