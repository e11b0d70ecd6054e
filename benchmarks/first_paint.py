"""Measure how soon a conversation appears on a slow network: `python -m benchmarks.first_paint`.

Chromium loads the page with an empty cache at 1.6 Mbit/s and 150 ms of latency. The results are the time until the
first text or image is painted, the number of requests, and the bytes of style sheets and scripts as they are sent.
"""

import argparse
import statistics
import tempfile

from playwright.sync_api import Browser, Page, Response, sync_playwright

from benchmarks.abuse import MAKE_CONVERSATIONS
from benchmarks.servers import StartedSite
from tests.parts import BROWSER
from tests.site import Person, migrate, people

BITS_PER_SECOND, LATENCY_MS = 1_600_000, 150
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_paint", description=__doc__)
    parser.add_argument("--loads", type=int, default=9, help="measured loads (9)")
    loads = parser.parse_args().loads
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/db.sqlite3"
        migrate(url)
        site = StartedSite(url)
        browser = playwright.chromium.launch(
            executable_path=BROWSER.find(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            _, person = people(site, 2)
            _, path = site.manage("shell", "--no-imports", "--command", MAKE_CONVERSATIONS).stdout.split()
            for _ in range(2):  # the first loads compile templates
                load(browser, person, path)
            found = [load(browser, person, path) for _ in range(loads)]
        finally:
            browser.close()
            site.kill()
    times, requests, sizes = zip(*found, strict=True)
    print(f"first paint: median {statistics.median(times):.0f} ms, {min(times):.0f} to {max(times):.0f} ms")
    print(f"requests: {max(requests)}; style sheets and scripts: {max(sizes) / 1000:.1f} kB")


def load(browser: Browser, person: Person, path: str) -> tuple[float, int, int]:
    """Return the milliseconds until the first paint, the number of requests, and the bytes of CSS and JavaScript."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_cookies([{"name": n, "value": v, "url": person.site.url} for n, v in person.http.cookies.items()])
    page = context.new_page()
    limit_network(page)
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))
    page.goto(f"{person.site.url}{path}", wait_until="networkidle")
    sizes = [
        response.request.sizes()["responseBodySize"]
        for response in responses
        if response.request.resource_type in ("stylesheet", "script")
    ]
    milliseconds = page.evaluate(FIRST_PAINT)
    context.close()
    return milliseconds, len(responses), sum(sizes)


def limit_network(page: Page) -> None:
    bytes_per_second = BITS_PER_SECOND / 8
    page.context.new_cdp_session(page).send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": bytes_per_second,
            "uploadThroughput": bytes_per_second,
        },
    )


if __name__ == "__main__":
    main()
