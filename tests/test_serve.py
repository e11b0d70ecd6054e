"""Starting, stopping and probing the server, and what every page carries."""

import socket
from pathlib import Path

import pytest

from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.site import Person, manage


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DEBUG", "maybe"),
        ("ALLOWED_HOSTS", "*"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.org"),
        ("SIGNUP", "sometimes"),
        ("SIGNUP", "domain:"),
        ("DATABASE_URL", "mysql://somewhere"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "http://somewhere"),
        ("EMAIL_URL", "pigeon://somewhere"),
        ("CSRF_TRUSTED_ORIGINS", "chat.example.org"),
        ("TRUSTED_PROXY_COUNT", "-1"),
        ("OPENAI_BASE_URL", "api.example.com"),
        ("OPENAI_MODEL", ""),
        ("AZURE_INFERENCE_ENDPOINT", "https://name.services.ai.azure.com"),
        ("CONTEXT_TOKENS", "many"),
        ("THINKING", "perhaps"),
        ("REASONING_EFFORT", "heroic"),
        ("PREFIX_COMPLETION", "sometimes"),
        ("USER_CONCURRENCY", "0"),
        ("GENERATION_CONCURRENCY", "none"),
        ("STALL_SECONDS", "0"),
        ("DRAIN_SECONDS", "-5"),
        ("PORT", "99999"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_TOKEN", "short"),
        ("USER_DAILY_TOKENS", "plenty"),
        ("RETAIN_CONVERSATIONS_DAYS", "-1"),
        ("AUDIT_KEYS", "short"),
        ("OPENAI_API_KEY_FILE", "/nowhere/key"),
        ("OPENAI_API_KEY_FILE", "/"),
    ],
)
def test_bad_configuration_stops_the_start_and_names_its_variable(variable: str, value: str):
    connected = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m", "DATABASE_URL": "sqlite://:memory:"}
    done = manage("serve", **(connected | {variable: value}))
    assert done.returncode == 1
    assert f'"{variable}"' in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"), [("ALLOWED_HOSTS", "chat.example.org"), ("CSRF_TRUSTED_ORIGINS", "http://192.0.2.1:8000")]
)
def test_debug_mode_stops_the_start_where_others_reach_it(variable: str, value: str):
    done = manage("check", DEBUG="true", **{variable: value})
    assert (done.returncode, '"DEBUG"' in done.stderr) == (1, True)
    assert manage("check", DEBUG="false", **{variable: value}).returncode == 0


def test_debug_mode_starts_where_only_this_machine_reaches_it():
    hosts = {"ALLOWED_HOSTS": "site.localhost", "CSRF_TRUSTED_ORIGINS": "http://127.0.0.1:8000"}
    assert manage("check", DEBUG="true", **hosts).returncode == 0


def test_an_azure_endpoint_needs_its_deployment():
    done = manage("serve", AZURE_INFERENCE_ENDPOINT="https://name.services.ai.azure.com")
    assert done.returncode == 1
    assert '"AZURE_DEEPSEEK_DEPLOYMENT"' in done.stderr


def test_a_port_in_use_stops_the_start():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = manage("serve", "--port", str(port), OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_MODEL="m")
    assert done.returncode == 1
    assert f"Port {port} is already in use" in done.stderr


def test_probes_tell_alive_and_ready(everybody: Person):
    assert everybody.http.get("/healthz").json() == {"status": "ok"}
    assert everybody.http.get("/readyz").json() == {"status": "ok", "reasons": []}


def test_every_page_forbids_what_is_not_its_own(everybody: Person):
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


def test_an_unknown_address_gets_a_page_in_the_sites_look(everybody: Person):
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


def test_a_server_that_cannot_start_says_why_and_ends(tmp_path: Path, endpoint: Endpoint):
    without_tables = f"sqlite:///{tmp_path}/empty.sqlite3"
    ended = manage("serve", "--port", "0", DATABASE_URL=without_tables, **connection(endpoint))
    assert ended.returncode == 1
    assert "the site could not start" in ended.stderr
    assert "no such table" in ended.stderr


def test_a_terminated_server_lets_a_running_answer_end(make_site, join, endpoint: Endpoint):
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


def test_a_terminated_server_writes_down_what_it_could_not_end(make_site, join, endpoint: Endpoint):
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
            frames += connection.recv(timeout=30)
    assert site.stop() == 0
    [(status, error, reasoning, _)] = person.answers(conversation)
    assert (status, reasoning) == ("interrupted", "Hm.")
    assert "3 characters are saved" in error
    assert site.rows("select count(*) from conversations_worker") == [(0,)]


def test_what_had_not_begun_when_the_server_ended_is_answered_by_the_next(make_site, join, endpoint: Endpoint):
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
    site.start(site.url.rsplit(":", 1)[1])
    assert person.await_end(conversation)[0][0] == "complete"
