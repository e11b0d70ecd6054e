"""Two processes that use PostgreSQL, Redis and a model with short-lived tokens instead of passwords."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
import redis

from tests.cloud import DATABASE, MODEL, RADIUS_SECRET, REDIS, AzureRedis, Cloud, Radius, make_certificate
from tests.endpoint import Endpoint, Exchange
from tests.ports import unused_port
from tests.services import PostgreSQL, Redis
from tests.site import Person, Site, manage

pytestmark = [pytest.mark.postgresql, pytest.mark.redis]
SECONDS = 4  # that a token is valid


@dataclass
class Azure:
    """Two replicas without any key or password."""

    cloud: Cloud
    endpoint: Endpoint
    redis: AzureRedis
    database_url: str  # as configured for the site, without a password
    sites: list[Site]

    def close_connections(self) -> None:
        """Make PostgreSQL close all connections of the site."""
        ended = "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'app'"
        assert self.sites[0].rows(ended) > [(0,)]


@pytest.fixture(scope="module")
def azure(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with contextlib.ExitStack() as stack:
        endpoint = Endpoint()
        stack.callback(endpoint.close)
        server, cloud = Redis(unused_port()), Cloud(SECONDS)
        stack.callback(server.stop)
        cloud.redis = AzureRedis(server, cloud.object_id)
        stack.callback(cloud.redis.close)
        stack.callback(cloud.close)  # stopped last: it registers the tokens that it issues with Redis

        radius, certificate = Radius(cloud), make_certificate("127.0.0.1")
        stack.callback(radius.close)
        authority = tmp_path_factory.mktemp("tls") / "authority.pem"
        authority.write_text(certificate)
        postgresql.ask_radius("app", radius.port, RADIUS_SECRET.decode(), certificate)
        url = postgresql.create_database()
        name = url.rpartition("/")[2]
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("create role app login")
            owner.execute(f"alter database {name} owner to app")
        keyless_url = f"postgresql://app@127.0.0.1:{postgresql.port}/{name}?sslrootcert={authority}"

        variables = cloud.variables | {
            "DATABASE_URL": keyless_url,
            "DATABASE_AUTH": "entra",
            "REDIS_URL": cloud.redis.url,
            "REDIS_AUTH": "entra",
            "AZURE_INFERENCE_ENDPOINT": endpoint.base_url.removesuffix("/v1"),
            "AZURE_DEEPSEEK_DEPLOYMENT": "deepseek",
        }
        migrated = manage("migrate", "--verbosity", "0", **variables)
        assert migrated.returncode == 0, migrated.stderr
        sites = []
        for _ in range(2):
            sites.append(Site(url, **variables))
            stack.callback(sites[-1].kill)
        yield Azure(cloud, endpoint, cloud.redis, keyless_url, sites)


def test_a_stream_continues_when_tokens_expire(azure: Azure):
    async def think_then_wait(exchange: Exchange) -> None:
        token = exchange.headers["Authorization"].removeprefix("Bearer ")
        if not azure.cloud.accepts(token, MODEL):
            await exchange.fail(401)
            return
        await exchange.reason("First thought. ")
        await exchange.gate("thought")
        await exchange.reason("Second thought.")
        await exchange.answer("The answer.")
        await exchange.finish()

    azure.endpoint.reset()
    azure.endpoint.respond = think_then_wait
    here = Person(azure.sites[0], "ada")
    there = here.at(azure.sites[1])
    conversation = here.ask("Who is there?")
    with there.socket(conversation) as socket:
        frames = ""
        while "First thought." not in frames or 'data-source="live"' not in frames:
            frames += socket.recv(timeout=60)
        azure.redis.await_renewed(azure.cloud.tokens(REDIS))
        old = azure.cloud.let_expire()
        azure.close_connections()
        assert [person.http.get(conversation).status_code for person in (here, there)] == [200, 200]
        azure.endpoint.open("thought")
        while 'data-status="complete"' not in frames:
            frames += socket.recv(timeout=60)
    assert 'data-source="storage" hx-swap-oob' not in frames  # the other process received the text live
    assert here.answers(conversation) == [("complete", "", "First thought. Second thought.", "The answer.")]
    page = there.http.get(conversation).text
    assert 'data-status="complete"' in page
    assert "The answer." in page

    # The old tokens are rejected, and new connections use new ones.
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(azure.database_url, password=old[DATABASE])
    host, port = azure.redis.url.removeprefix("redis://").split(":")
    client = redis.Redis(host, int(port), username=azure.cloud.object_id, password=old[REDIS])
    with client, pytest.raises(redis.AuthenticationError):
        client.ping()
    assert not azure.cloud.accepts(old[MODEL], MODEL)
    here.ask("And who else?", conversation)
    assert [status for status, *_ in here.await_end(conversation)] == ["complete", "complete"]
    here.close()
    there.close()


def test_without_tokens_the_database_is_unavailable_until_there_are_new_ones(azure: Azure):
    async def answer_later(exchange: Exchange) -> None:
        await exchange.answer("Before. ")
        await exchange.gate("later")
        await exchange.answer("After.")
        await exchange.finish()

    azure.endpoint.reset()
    azure.endpoint.respond = answer_later
    person = Person(azure.sites[0], "eve")
    conversation = person.ask("Who is there?")
    azure.endpoint.await_reached("later")
    azure.cloud.status = 500
    azure.cloud.let_expire()
    azure.close_connections()
    printed = len(azure.sites[0].lines)
    unready = person.http.get("/readyz")
    assert unready.status_code == 503
    assert unready.json()["reasons"] == ["the database is not responding", "no token for the database"]
    azure.sites[0].await_line(f"no token for {DATABASE}/.default by managed identity", after=printed)
    azure.endpoint.open("later")
    azure.cloud.status = 200
    [ended] = person.await_end(conversation)
    assert ended == ("complete", "", "", "Before. After.")
    assert person.http.get("/readyz").status_code == 200
    for site in azure.sites:
        assert not [line for line in site.lines if "canary" in line or "Traceback" in line]
    person.close()
