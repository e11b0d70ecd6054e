"""Measure how long streaming keeps a page's main thread busy in Chromium: `python -m benchmarks.page`.

A model sends 200,000 characters of reasoning and an answer of 50,000, in prose or in code, 100 deltas per second, to a
reader who follows and to one who has scrolled up. The results are the tasks of a millisecond and more, in wall time and
in CPU time (other programs may run), the most nodes in the page, and how far the text that was being read has moved.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.servers import StartedSite
from tests.endpoint import Endpoint, Exchange
from tests.parts import BROWSER
from tests.site import Site, migrate, people

PACE = 100  # deltas per second
MIN_TASK_MS = 1  # thousands of shorter tasks are the browser's own
WORDS = tuple("so the light meets the air and what is blue goes astray while the rest".split())  # noqa: SIM905

NODES = """() => {
  const walker = document.createNodeIterator(document, NodeFilter.SHOW_ALL);
  let count = 0;
  while (walker.nextNode()) count += 1;
  return [count, document.querySelector("[id^=answer-].prose").textContent.length];
}"""
SCROLL_UP = """() => {
  const prose = document.querySelector("[id^=answer-].prose");
  const distance = () => Math.abs(prose.getBoundingClientRect().top - before);
  scrollBy({ top: -400, behavior: "instant" });
  const before = prose.getBoundingClientRect().top;
  window.moved = 0;
  (function measure() {
    window.moved = Math.max(window.moved, distance());
    requestAnimationFrame(measure);
  })();
}"""


def prose(characters: int) -> str:
    """Return paragraphs of about this many characters."""
    sentences = [" ".join((*WORDS[turn:], *WORDS[:turn])) for turn in range(len(WORDS))]
    paragraphs = (f"{n}: {s}, *{s}*, and `{n}` more. {s}.\n\n" for n, s in zip(count(), cycle(sentences)))
    return "".join(islice(paragraphs, characters // 200))[:characters]


def code(characters: int) -> str:
    """Return a block of Python of about this many characters."""
    lines = [
        f'def step_{number}(value: int = {number}) -> str:\n    return f"{{value}} of {number}"  # and so on\n\n'
        for number in range(characters // 80)
    ]
    return ("```python\n" + "".join(lines))[: characters - 4] + "\n```"


TEXTS = {"prose": prose, "code": code}


def respond_with(reasoning: str, answer: str, per_second: float, size: int) -> Callable[[Exchange], Awaitable[None]]:
    """Return a response for the endpoint: deltas of `size` characters, each sent when it is due."""
    deltas = [("reason", reasoning[at : at + size]) for at in range(0, len(reasoning), size)]
    deltas += [("answer", answer[at : at + size]) for at in range(0, len(answer), size)]

    async def respond(exchange: Exchange) -> None:
        started = asyncio.get_running_loop().time()
        for number, (kind, text) in enumerate(deltas):
            await asyncio.sleep(started + number / per_second - asyncio.get_running_loop().time())
            await getattr(exchange, kind)(text)
        await exchange.finish()

    return respond


def main() -> None:
    arguments = parse()
    endpoint = Endpoint()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, sync_playwright() as playwright:
        url = f"sqlite:///{folder}/db.sqlite3"
        migrate(url)
        connected = {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_MODEL": "benchmark", "OPENAI_API_KEY": "none"}
        site = StartedSite(url, **connected)
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        try:
            browser = playwright.chromium.launch(executable_path=BROWSER.find(), args=flags)
            measure(site, endpoint, browser, arguments)
        finally:
            site.kill()
            endpoint.close()


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs for each text and each reader (3)")
    parser.add_argument("--text", nargs="+", choices=TEXTS, default=list(TEXTS), help="texts (both)")
    parser.add_argument("--reasoning", type=int, default=200_000, help="characters of reasoning (200,000)")
    parser.add_argument("--answer", type=int, default=50_000, help="characters of answer (50,000)")
    parser.add_argument("--delta", type=int, default=50, help="characters per delta (50)")
    parser.add_argument("--trace", type=Path, help="write the last trace to this file")
    return parser.parse_args()


def measure(site: Site, endpoint: Endpoint, browser: Browser, arguments: argparse.Namespace) -> None:
    print("| text | reader | run | tasks | p50 ms | p99 ms | longest | p99 CPU ms | longest | nodes | moved px |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    runs = [(kind, reader, run) for kind in arguments.text for reader in READERS for run in range(arguments.runs)]
    for (kind, reader, run), person in zip(runs, people(site, len(runs)), strict=True):
        answer = TEXTS[kind](arguments.answer)
        endpoint.respond = respond_with(prose(arguments.reasoning), answer, PACE, arguments.delta)
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        context.add_cookies([{"name": n, "value": v, "url": site.url} for n, v in person.http.cookies.items()])
        row = measure_run(
            browser, context, site.url, scrolls_up=reader == "scrolled up", answer=len(answer), arguments=arguments
        )
        print(f"| {kind} | {reader} | {run + 1} | {row} |", flush=True)
        context.close()
        person.close()


READERS = ("follows", "scrolled up")


def measure_run(
    browser: Browser, context: BrowserContext, url: str, *, scrolls_up: bool, answer: int, arguments: argparse.Namespace
) -> str:
    """Ask, wait until the answer has ended, and return the last cells of a row."""
    page = context.new_page()
    page.goto(url)
    browser.start_tracing(page=page, categories=["toplevel"])
    page.fill("#composer textarea", "Why?")
    page.keyboard.press("Enter")
    page.wait_for_selector("article[data-role=assistant]")
    most_nodes, has_scrolled = 0, False
    while page.locator("article[data-status=complete]").count() == 0:
        page.wait_for_timeout(500)
        nodes, length = page.evaluate(NODES)
        most_nodes = max(most_nodes, nodes)
        if scrolls_up and not has_scrolled and length > answer / 2:
            page.evaluate(SCROLL_UP)
            has_scrolled = True
    page.wait_for_timeout(1_000)  # for what is still to be swapped in
    most_nodes = max(most_nodes, page.evaluate(NODES)[0])
    moved = page.evaluate("window.moved")
    trace = browser.stop_tracing()
    if arguments.trace:
        arguments.trace.write_bytes(trace)
    tasks = main_thread_tasks(json.loads(trace)["traceEvents"])
    wall, cpu = ([task[which] / 1000 for task in tasks] for which in ("dur", "tdur"))
    cells = [len(tasks), statistics.median(wall), p99(wall), max(wall), p99(cpu), max(cpu), most_nodes]
    text = " | ".join(f"{cell:,.1f}" if isinstance(cell, float) else f"{cell:,}" for cell in cells)
    return f"{text} | {'' if moved is None else f'{moved:g}'}"


def main_thread_tasks(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tasks of at least `MIN_TASK_MS` on the busiest main thread of a renderer, which is the page's."""
    threads: dict[tuple[int, int], list[dict[str, Any]]] = {
        (event["pid"], event["tid"]): []
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    for event in events:
        key = (event["pid"], event["tid"])
        if event["ph"] == "X" and event["name"].endswith("RunTask") and key in threads:
            threads[key].append(event)
    tasks = max(threads.values(), key=lambda tasks: sum(task["dur"] for task in tasks))
    return [task for task in tasks if task["dur"] >= 1000 * MIN_TASK_MS]


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


if __name__ == "__main__":
    main()
