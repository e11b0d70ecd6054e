import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, WebSocket, expect, sync_playwright

from tests.parts import BROWSER
from tests.site import PASSWORD, Person, Site, from_elsewhere

WAIT_MS = 60_000
EVENTS_SHOWN = 300
PAGES = (
    "preferences/",
    "accounts/email/",
    "accounts/password/change/",
    "conversations/",
    "folders/",
    "prompts/",
    "search/?q=why",
    "reviews/",
    "shares/",
    "accounts/api-tokens/",
    "account/data/",
    "import/",
)
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="package")  # Playwright keeps an event loop running, beside which no asynchronous test can run
def browser() -> Iterator[Browser]:
    # Without the GPU's process, which would draw each frame by software a second time.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER.find(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages in contexts of their own. A script error or a breach of the content security policy fails the test."""
    contexts, complaints, events = [], [], []

    def note(event: str) -> None:
        events.append(f"{time.monotonic():.3f} {event}")

    def open_page(**options: object) -> Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None,
        )
        page.on("request", lambda request: note(f"{request.method} {request.url}"))
        page.on("requestfinished", lambda request: note(f"finished: {request.method} {request.url}"))
        page.on("requestfailed", lambda request: note(f"{request.failure}: {request.method} {request.url}"))
        page.on("websocket", watch)
        return page

    def watch(socket: WebSocket) -> None:
        note(f"opened: {socket.url}")
        socket.on("close", lambda _: note(f"closed: {socket.url}"))
        socket.on("framereceived", lambda frame: note(f"received: {frame[:300]!r}"))

    yield open_page
    for context in contexts:
        context.close()
    print("\n".join(events[-EVENTS_SHOWN:]))  # shown if the test fails
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return open_page()


@pytest.fixture
def signed_in(page: Page, make_person: Callable[[], Person]) -> Page:
    """A page of somebody new at the shared site, at the place to ask; signing up by the form would take longer."""
    sign_in(page, make_person())
    return page


def sign_in(page: Page, person: Person) -> None:
    """Open the place to ask, as somebody who is signed in."""
    cookies = person.http.cookies.items()
    page.context.add_cookies([{"name": name, "value": value, "url": person.site.url} for name, value in cookies])
    page.set_extra_http_headers(from_elsewhere())
    page.goto(f"{person.site.url}/")


def sign_up(page: Page, site: Site) -> str:
    """Sign up somebody new as people do; return their name."""
    page.set_extra_http_headers(from_elsewhere())
    name = f"person{uuid.uuid4().hex[:12]}"
    page.goto(f"{site.url}/accounts/signup/")
    fields = {"username": name, "email": f"{name}@example.org", "password1": PASSWORD, "password2": PASSWORD}
    for field, value in fields.items():
        page.fill(f"[name={field}]", value)
    page.get_by_role("button", name="Create account").click()
    page.wait_for_url(f"{site.url}/")  # loaded, scripts too
    return name


def ask(page: Page, content: str) -> None:
    page.fill("#composer textarea", content)
    page.keyboard.press("Enter")
