"""How much a browser loads before a conversation is shown."""

from collections.abc import Callable

from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import ask

MAX_REQUESTS, MAX_BYTES = 10, 60_000


def test_the_first_load_of_a_conversation_is_small(signed_in: Page, open_page: Callable[..., Page]):
    ask(signed_in, "Why?")
    signed_in.wait_for_url("**/conversations/**")
    expect(signed_in.locator("article[data-status=complete]")).to_be_visible()
    page = open_page(storage_state=signed_in.context.storage_state())
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    with page.expect_websocket():
        page.goto(signed_in.url, wait_until="load")
    kinds = [response.request.resource_type for response in responses]
    assert {"document", "stylesheet", "script"} <= set(kinds)
    assert len(responses) + 1 <= MAX_REQUESTS  # with the socket
    assert responses[0].headers["content-encoding"] == "gzip"
    sizes = [
        response.request.sizes()["responseBodySize"]
        for response, kind in zip(responses, kinds, strict=True)
        if kind in ("stylesheet", "script")
    ]
    assert 10_000 < sum(sizes) <= MAX_BYTES
