"""Starting, stopping and probing the server, and the headers of every page."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.site import ROOT, WAIT, Person, Site, environment, manage

CONNECTED = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}


def test_invalid_configuration_stops_the_start_and_names_the_variable():
    started = manage("serve", DATABASE_URL="sqlite://:memory:", **CONNECTED | {"THINKING": "perhaps"})
    assert started.returncode == 1
    assert started.stderr.startswith("The configuration is not valid. ")
    assert '"THINKING"' in started.stderr
    assert "Traceback" not in started.stderr


def test_a_port_in_use_stops_the_start():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = manage("serve", "--port", str(port), **CONNECTED)
    assert done.returncode == 1
    assert f"Port {port} is already in use" in done.stderr


def test_probes_report_health_and_readiness(everybody: Person):
    assert everybody.http.get("/healthz").json() == {"status": "ok"}
    assert everybody.http.get("/readyz").json() == {"status": "ok", "reasons": []}


def test_probes_and_metrics_answer_under_any_host_and_pages_under_the_sites_own(make_site: Callable[..., Site]):
    site = make_site(METRICS_TOKEN="a-token-for-metrics")
    headers = {"Host": "web-1:8000", "Authorization": "Bearer a-token-for-metrics"}
    for path in ("/healthz", "/readyz", "/metrics"):
        assert httpx2.get(site.url + path, headers=headers).status_code == 200
    refused = httpx2.get(f"{site.url}/", headers=headers)
    assert (refused.status_code, "There is a problem with this request" in refused.text) == (400, True)
    assert "WARNING" in site.await_line("a request for another host was refused: 'web-1:8000'")
    assert not any("Traceback" in line or "ERROR" in line for line in site.lines)


def test_a_port_that_codespaces_forwards_accepts_forms_and_sockets(
    make_site: Callable[..., Site], join: Callable[..., Person]
):
    """Codespaces sends a Host of its own, and the browser's Origin (github/codespaces-django, issue 8)."""
    origin = "https://name-8000.app.github.dev"
    site = make_site(CSRF_TRUSTED_ORIGINS=origin, TRUSTED_PROXY_COUNT=0, DEBUG="true")
    person = join(site)
    headers = {"Host": "localhost:8000", "Origin": origin, "X-CSRFToken": person.http.cookies["csrftoken"]}
    headers |= {"X-Forwarded-Host": origin.removeprefix("https://"), "X-Forwarded-Proto": "https"}
    asked = person.http.post("/conversations/", data={"content": "Why?"}, headers=headers)
    assert asked.status_code == 302
    other = headers | {"Origin": "https://other-8000.app.github.dev"}
    assert person.http.post("/conversations/", data={"content": "Why?"}, headers=other).status_code == 403
    conversation = asked.headers["Location"]
    with person.socket(conversation, Origin=origin) as socket:
        assert socket.recv(timeout=WAIT)
    with pytest.raises(InvalidStatus), person.socket(conversation, Origin=other["Origin"]):
        pass


def test_every_page_forbids_content_of_other_origins(everybody: Person):
    for path in ("/", "/accounts/login/", "/nowhere/", "/admin/login/"):
        headers = everybody.http.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            **dict.fromkeys(("script-src", "style-src", "connect-src", "img-src", "font-src"), "'self'"),
            "base-uri": "'none'",
            "form-action": "'self'",
            "frame-ancestors": "'none'",
        }
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_an_unknown_url_returns_the_sites_error_page(everybody: Person):
    page = everybody.http.get("/nowhere/")
    assert page.status_code == 404
    assert "/static/css/tokens" in page.text


def test_static_files_are_hashed_and_compressed(everybody: Person):
    page = everybody.http.get("/").text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    response = everybody.http.get(path, headers={"Accept-Encoding": "gzip"})
    assert response.status_code == 200
    assert response.headers["Content-Encoding"] == "gzip"
    assert "immutable" in response.headers["Cache-Control"]


def test_a_server_that_cannot_start_logs_the_reason_and_exits(tmp_path: Path, endpoint: Endpoint):
    without_tables = f"sqlite:///{tmp_path}/empty.sqlite3"
    ended = manage("serve", "--port", "0", DATABASE_URL=without_tables, **connection(endpoint))
    assert ended.returncode == 1
    assert "the site could not start" in ended.stderr
    assert "no such table" in ended.stderr


STOP_THAT_FAILS = """
import django
django.setup()
from chatsite.server import Server

async def start(server):
    server.stop()

async def stop():
    raise RuntimeError("out of order")

server = Server(None, host="127.0.0.1", port=0, start=start, stop=stop)
server.run()
raise SystemExit(3 if server.failed else 0)
"""


def test_a_server_that_does_not_stop_cleanly_logs_the_reason_and_has_failed(tmp_path: Path):
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/unused.sqlite3")
    command = [sys.executable, "-c", STOP_THAT_FAILS]
    ended = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=WAIT, check=False)
    assert ended.returncode == 3, ended.stderr
    assert "the site did not stop cleanly" in ended.stderr
    assert "RuntimeError: out of order" in ended.stderr


def test_a_drain_lets_a_running_answer_end(make_site, join, endpoint: Endpoint):
    async def until_told(exchange: Exchange) -> None:
        await exchange.reason("Hm.")
        await exchange.gate("terminated")
        await exchange.answer("Yes.")
        await exchange.finish()

    endpoint.respond = until_told
    site = make_site(DRAIN_SECONDS=20)
    person = join(site)
    conversation = person.ask("Why?")
    endpoint.await_reached("terminated")
    site.process.terminate()
    site.await_line("draining")
    endpoint.open("terminated")
    assert site.stop() == 0
    assert person.answers(conversation) == [("complete", "", "Hm.", "Yes.")]


def test_a_drain_that_runs_out_of_time_stores_the_text_as_interrupted(make_site, join, endpoint: Endpoint):
    async def endless(exchange: Exchange) -> None:
        await exchange.reason("Hm.")
        await exchange.gate("never")

    endpoint.respond = endless
    site = make_site(DRAIN_SECONDS=0)
    person = join(site)
    conversation = person.ask("Why?")
    endpoint.await_reached("never")
    with person.socket(conversation) as connection:
        frames = ""
        while "Hm." not in frames:
            frames += connection.recv(timeout=60)
    assert site.stop() == 0
    [(status, error, reasoning, _)] = person.answers(conversation)
    assert (status, reasoning) == ("interrupted", "Hm.")
    assert "3 characters were saved" in error
    assert site.rows("select count(*) from conversations_worker") == [(0,)]


def test_prompts_that_had_not_started_are_answered_after_a_restart(make_site, join, endpoint: Endpoint):
    async def never(exchange: Exchange) -> None:
        await exchange.start()
        await exchange.gate("never")

    endpoint.respond = never
    site = make_site(DRAIN_SECONDS=0)
    person = join(site)
    conversation = person.ask("Why?")
    endpoint.await_reached("never")
    assert site.stop() == 0
    assert person.answers(conversation)[0][0] == "queued"
    endpoint.respond = think_and_answer
    site.start()
    assert person.await_end(conversation)[0][0] == "complete"
