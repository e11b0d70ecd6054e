"""The services of compose.yaml as processes (Caddy, two replicas, PostgreSQL, Redis), and checks of the file."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
import yaml
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from conversations.generation.worker import SIGN_OFF_SECONDS, WRITE_SECONDS
from tests.caddy import Caddy
from tests.endpoint import Endpoint, Exchange
from tests.services import Redis
from tests.site import ROOT, WAIT, Person, Site, people
from tests.test_settings import variables_of_settings

PEOPLE = 30
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
DEVELOPMENT = yaml.safe_load((ROOT / "compose.dev.yaml").read_text())
SERVICES = COMPOSE["services"]
REPLICAS = ("web-1", "web-2")
COMMANDS = ("migrate", "prune")  # of the site's image
SECRET = {
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "DATABASE_URL",
    "REDIS_URL",
    "OPENAI_API_KEY",
    "EMAIL_URL",
    "AUDIT_KEYS",
    "METRICS_TOKEN",
    "ENTRA_CLIENT_SECRET",
    "OIDC_CLIENT_SECRET",
    "OTEL_EXPORTER_OTLP_HEADERS",
}
# Variables of the site that `.env` cannot change here, and why.
FIXED = {
    "DEBUG": "compose.dev.yaml turns it on",
    "TRUSTED_PROXY_COUNT": "the proxy is one of the services",
    "DRAIN_SECONDS": "stop_grace_period must be longer",
}


class Replica(Site):
    host = "127.0.0.2"  # like the services' names, not one of the site's hosts


def replica(database_url: str, redis_url: str, endpoint: Endpoint, folder: Path) -> Site:
    """Start a replica as the compose file configures it, with secrets in files."""
    values = {
        "SECRET_KEY_FILE": "k" * 50,
        "SECRET_KEY_FALLBACKS_FILE": "",
        "DATABASE_URL_FILE": database_url,
        "REDIS_URL_FILE": redis_url,
        "OPENAI_API_KEY_FILE": "canary-key",
        "EMAIL_URL_FILE": "console://",
        "AUDIT_KEYS_FILE": "a" * 50,
        "METRICS_TOKEN_FILE": "m" * 50,
        "ENTRA_CLIENT_SECRET_FILE": "",
        "OIDC_CLIENT_SECRET_FILE": "",
        "OTEL_EXPORTER_OTLP_HEADERS_FILE": "",
        "LOG_FORMAT": "json",
        "OPENAI_BASE_URL": endpoint.base_url,
        "OPENAI_MODEL": "test-model",
        "STORAGE_URL": f"file://{folder / 'files'}",
    }
    variables = {}
    for name, value in SERVICES["web-1"]["environment"].items():
        given = values.get(name, value)
        if name.endswith("_FILE"):
            file = folder / Path(value).name
            file.write_text(f"{given}\n")
            given = file
        if given is not None:
            variables[name] = given
    # These come only from files.
    return Replica(database_url, **variables | dict.fromkeys(SECRET, ""))


@pytest.fixture
def replicas(postgresql_database: str, redis_server: Redis, endpoint: Endpoint, tmp_path: Path) -> Iterator[list[Site]]:
    replicas = [replica(postgresql_database, redis_server.url, endpoint, tmp_path) for _ in REPLICAS]
    yield replicas
    for site in replicas:
        if site.process.poll() is None:
            site.kill()


@pytest.fixture
def proxy(replicas: list[Site], tmp_path: Path) -> Iterator[Caddy]:
    proxy = Caddy(tmp_path, [site.url.removeprefix("http://") for site in replicas])
    yield proxy
    proxy.stop()


class Watcher:
    """A person's open page: its socket through the proxy, which is opened again whenever it closes."""

    def __init__(self, url: str, person: Person, conversation: str) -> None:
        self.person, self.conversation = person, conversation
        self.connections = 0
        self.connected = asyncio.Event()
        self._url = url.replace("http", "ws", 1) + f"/ws{conversation}"
        self._cookies = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())

    async def until_answered(self, text: str) -> None:
        while True:
            try:
                async with connect(self._url, additional_headers={"Cookie": self._cookies}, proxy=None) as socket:
                    self.connections += 1
                    self.connected.set()
                    frames = ""
                    while text not in frames or 'data-status="complete"' not in frames:
                        frames += await socket.recv()
                    return
            except (ConnectionClosed, InvalidStatus, OSError):
                await asyncio.sleep(0.1)  # the page reconnects no sooner


@pytest.mark.proxy
@pytest.mark.postgresql
@pytest.mark.redis
async def test_a_rolling_update_loses_no_conversation(replicas: list[Site], proxy: Caddy, endpoint: Endpoint):
    async def in_parts(exchange: Exchange) -> None:
        question = exchange.body["messages"][-1]["content"]
        await exchange.reason(f"What is meant by {question}? ")
        await exchange.gate("first replica drains" if "early" in question else "second replica drains")
        await exchange.answer(f"The answer to {question}.")
        await exchange.finish()

    endpoint.respond = in_parts
    made = await asyncio.to_thread(people, replicas[0], PEOPLE)
    everybody = [person.at(proxy) for person in made]

    def ask(number: int, wave: str) -> Watcher:
        return Watcher(proxy.url, everybody[number], everybody[number].ask(f"{wave} question {number}"))

    def replace(site: Site, gate: str, meanwhile: Callable[[], None]) -> None:
        site.process.terminate()
        site.await_line("draining")
        meanwhile()
        endpoint.open(gate)
        assert site.stop() == 0
        site.start()

    watchers = [await asyncio.to_thread(ask, number, "early") for number in range(PEOPLE // 2)]
    watching = [asyncio.create_task(w.until_answered(f"{n}.")) for n, w in enumerate(watchers)]
    await asyncio.to_thread(endpoint.await_exchange, PEOPLE // 2)
    # The proxy connects one of two pages to each replica. They stay open until both replicas have been replaced.
    open_pages = [Watcher(proxy.url, watcher.person, watcher.conversation) for watcher in watchers[:2]]
    following = [asyncio.create_task(w.until_answered(f"follow-up {n}.")) for n, w in enumerate(open_pages)]
    for page in open_pages:
        await page.connected.wait()

    def ask_the_rest() -> None:
        late = [ask(number, "late") for number in range(PEOPLE // 2, PEOPLE)]
        watchers.extend(late)
        # The other replica answers: a draining one claims nothing.
        endpoint.await_exchange(PEOPLE)

    await asyncio.to_thread(replace, replicas[0], "first replica drains", ask_the_rest)
    watching += [
        asyncio.create_task(w.until_answered(f"{PEOPLE // 2 + n}.")) for n, w in enumerate(watchers[PEOPLE // 2 :])
    ]
    await asyncio.to_thread(replace, replicas[1], "second replica drains", lambda: None)
    for number, page in enumerate(open_pages):
        await asyncio.to_thread(page.person.ask, f"early follow-up {number}", page.conversation)
    async with asyncio.timeout(WAIT):
        await asyncio.gather(*watching, *following)
    live = "select from conversations_generation where status in ('queued', 'thinking', 'answering')"
    replicas[0].await_rows(f"select 1 where not exists ({live})")  # the last text may arrive before its end is stored
    ends = replicas[0].rows(
        "select g.status, m.reasoning, m.content from conversations_generation g"
        " join conversations_message m on m.id = g.message_id"
    )
    questions = [f"{'early' if number < PEOPLE // 2 else 'late'} question {number}" for number in range(PEOPLE)]
    questions += [f"early follow-up {number}" for number in range(len(open_pages))]
    assert sorted(ends) == sorted(
        ("complete", f"What is meant by {question}? ", f"The answer to {question}.") for question in questions
    )
    assert len(endpoint.exchanges) == len(questions)  # no prompt was sent twice
    assert all(page.connections > 1 for page in open_pages)
    for person in (*made, *everybody):
        person.close()


@pytest.mark.proxy
def test_the_proxys_log_has_no_tokens(database_template: Path, tmp_path: Path):
    config = tmp_path / "Caddyfile"
    config.write_text((ROOT / "deploy/Caddyfile").read_text().replace("lb_try_duration 10s", "lb_try_duration 0s"))
    proxy = Caddy(tmp_path, ["127.0.0.1:1"], config)
    shared = "/shared/s3cret-Token_/"
    addresses = (shared, f"/accounts/login/?next={shared}", f"/accounts/login/?next={quote(shared, safe='')}")
    api = (f"/api/v1/?token=ponder_{'s3cret' * 7}", f"/api/v1/ponder%5F{'s3cret' * 7}/")
    for path in (*addresses, *api):
        assert httpx2.get(f"{proxy.url}{path}", headers={"Referer": proxy.url + shared}).status_code == 503
    log = proxy.stop()
    assert log.count("shared/…") + log.count("shared%2F…") == len(addresses)
    assert log.count("ponder_…") + log.count("ponder%5F…") == len(api)
    assert "s3cret" not in log


@pytest.mark.parametrize("name", [*REPLICAS, *COMMANDS])
def test_every_setting_reaches_the_site_and_secrets_come_from_files(name: str):
    variables = SERVICES[name]["environment"]
    assert {variable.removesuffix("_FILE") for variable in variables} <= variables_of_settings()
    files = {variable: path for variable, path in variables.items() if variable.endswith("_FILE")}
    assert {variable.removesuffix("_FILE") for variable in files} == SECRET
    assert {path.removeprefix("/run/secrets/") for path in files.values()} == set(SERVICES[name]["secrets"])
    for variable, value in variables.items():
        from_env = value is None or value.startswith(f"${{{variable}:-")
        assert from_env == (variable not in FIXED and variable not in files)


def test_one_service_builds_the_image_that_all_others_use():
    assert [name for name, service in SERVICES.items() if "build" in service] == ["migrate"]
    for name in (*REPLICAS, *COMMANDS):
        assert SERVICES[name]["image"] == "${PONDER_IMAGE:-ponder}"
        # The others would ask a registry for what is built; `docker compose pull` has to work for one of them.
        assert SERVICES[name]["pull_policy"] == ("missing" if name == "migrate" else "never")


def test_every_service_has_limits_and_rotates_its_log_and_images_are_exact():
    for service in SERVICES.values():
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
        assert {"mem_limit", "pids_limit"} <= service.keys()
        assert service["image"].startswith("${PONDER_IMAGE") or re.search(r":\d+\.\d+(\.\d+)?\b", service["image"])
    assert SERVICES["backup"]["image"] == SERVICES["postgresql"]["image"]  # pg_dump of the server's version


def test_each_service_waits_for_the_services_it_needs():
    for name in REPLICAS:
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES["proxy"]["depends_on"][name] == {"condition": "service_healthy"}
        assert f"{name}:8000" in SERVICES["proxy"]["environment"]["REPLICAS"].split()
    for name in ("prune", "backup"):
        assert SERVICES[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    for needing, needed in (("migrate", "postgresql"), ("web-1", "redis"), ("web-2", "redis")):
        assert SERVICES[needing]["depends_on"][needed] == {"condition": "service_healthy"}
        assert "test" in SERVICES[needed]["healthcheck"]


def test_a_replica_is_given_time_to_drain():
    for name in REPLICAS:
        drain = float(SERVICES[name]["environment"]["DRAIN_SECONDS"])
        assert float(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= drain + WRITE_SECONDS + SIGN_OFF_SECONDS


def test_development_runs_the_source_of_this_folder_and_restarts_on_changes():
    for name in (*REPLICAS, *COMMANDS):  # with the image's source, a new migration would not be applied
        mounted = {volume.split(":")[0].removeprefix("./") for volume in DEVELOPMENT["services"][name]["volumes"]}
        assert all((ROOT / path).exists() for path in mounted)
        assert {
            path.name for path in ROOT.iterdir() if (path / "apps.py").exists() or path.name == "manage.py"
        } <= mounted
        assert DEVELOPMENT["services"][name]["environment"].keys() <= variables_of_settings()
    for name in REPLICAS:
        rules = DEVELOPMENT["services"][name]["develop"]["watch"]
        watched = {rule["path"].removeprefix("./") for rule in rules}
        assert {rule["action"] for rule in rules} == {"restart"}
        assert {path for path in mounted if (ROOT / path / "__init__.py").exists()} <= watched <= mounted
