"""The documented client as a process, which talks to a site through the proxy of compose.yaml."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conversations.views.api.documentation import OPENAPI
from tests.api.streams import make_token
from tests.caddy import Caddy
from tests.endpoint import Endpoint, Exchange
from tests.site import ROOT, WAIT, Person, Site

CLIENT = ROOT / "docs/api_client.py"


async def wait_in_between(exchange: Exchange) -> None:
    await exchange.reason("Both are decimals.")
    await exchange.gate("thought")
    await exchange.answer("**9.8** is greater ")
    await exchange.gate("answered")
    await exchange.answer("than 9.11. ☃")
    await exchange.finish()


@pytest.fixture
def proxy(shared_site: Site, tmp_path: Path) -> Iterator[Caddy]:
    proxy = Caddy(tmp_path, [shared_site.url.removeprefix("http://")])
    yield proxy
    proxy.stop()


def start(proxy: Caddy, token: str, question: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, CLIENT, question],
        env={"PONDER_URL": proxy.url, "PONDER_TOKEN": token, "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.proxy
def test_the_client_prints_an_answer_while_it_is_written(
    proxy: Caddy, everybody: Person, shared_site: Site, shared_endpoint: Endpoint
):
    shared_endpoint.respond = wait_in_between
    with start(proxy, make_token(everybody, "ask"), "Which is greater, 9.8 or 9.11?") as client:
        thought, beginning = "Both are decimals.", "**9.8** is greater "
        assert client.stderr.read(len(thought)) == thought  # before the model goes on
        shared_endpoint.open("thought")
        assert client.stdout.read(len(beginning)) == beginning
        shared_endpoint.open("answered")
        assert client.stdout.read() == "than 9.11. ☃\n"
        assert client.wait(WAIT) == 0
    stored = shared_site.rows("select content, reasoning from conversations_message order by id desc limit 1")
    assert stored == [("**9.8** is greater than 9.11. ☃", "Both are decimals.")]
    prompt = shared_endpoint.exchanges[-1].body["messages"][-1]
    assert prompt["content"] == "Which is greater, 9.8 or 9.11?"


@pytest.mark.proxy
def test_the_client_says_what_the_site_says(proxy: Caddy, make_person: Callable[[], Person]):
    cases = (("ponder_x", "This token does not work"), (make_token(make_person(), "read"), "does not allow this"))
    for token, reason in cases:
        with start(proxy, token, "Why?") as client:
            assert reason in client.stderr.read()
            assert client.wait(WAIT) == 1


def test_the_documentation_names_every_address():
    documented = set(
        re.findall(r"^\| `(GET|POST) (\S+?)(?:\?q=)?` \|", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    )
    defined = {
        (method.upper(), path.replace("{pk}", "<id>"))
        for path, methods in json.loads(OPENAPI)["paths"].items()
        for method in methods
    }
    assert documented == defined
