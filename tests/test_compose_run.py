"""All of compose.yaml with the real Compose, as an operator runs it: from the first start to the end."""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from tests.endpoint import Endpoint, Exchange
from tests.image import TEST_IMAGE, Image
from tests.podman import Podman
from tests.ports import unused_port
from tests.site import ROOT, WAIT, Person
from tests.test_compose import COMPOSE, REPLICAS, Watcher

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="Podman is used as root here"),
    *(getattr(pytest.mark, name) for name in ("postgresql", "redis", "proxy")),
]
if not TEST_IMAGE:
    pytestmark += [pytest.mark.podman, pytest.mark.builder]
GATEWAY = "10.89.250.1"  # this machine, as the containers see it
NETWORK = {"networks": {"outside": {"ipam": {"config": [{"subnet": "10.89.250.0/24", "gateway": GATEWAY}]}}}}
# The container's address in the network that the model is in.
OWN_ADDRESS = (
    f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('{GATEWAY}', 9)); print(s.getsockname()[0])"
)
COMMAND_SECONDS = 180
COMPOSE_SECONDS = 0.3  # of a processor for each command


class Operator:
    """Runs the commands of the documentation in `folder`, with the files of the project that they need."""

    def __init__(self, folder: Path, variables: dict[str, str], report: Callable[[str], None]) -> None:
        self.folder, self._report = folder, report
        shutil.copy(ROOT / "compose.yaml", folder)
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        (folder / "compose.override.yaml").write_text(yaml.safe_dump(NETWORK))
        port = unused_port()
        self.url = f"http://localhost:{port}"
        self._settings = {"HTTP_PORT": port, "HTTPS_PORT": unused_port(), "COMPOSE_PROJECT_NAME": folder.name}
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
        if not TEST_IMAGE:  # `docker compose` is then the Compose of the tests' packages
            (folder / "bin").mkdir()
            # The program itself: the script around it drops the exit code.
            compose = Path(*find_spec("compose").submodule_search_locations) / "docker-compose"
            (folder / "bin/docker").write_text(f'#!/bin/sh\nshift\nexec {compose} "$@"\n')
            (folder / "bin/docker").chmod(0o755)
            self._environment["PATH"] = f"{folder}/bin:{os.environ['PATH']}"

    def write_env(self, **settings: object) -> None:
        lines = (f"{name}={value}\n" for name, value in (self._settings | settings).items())
        (self.folder / ".env").write_text("".join(lines))

    def run(self, command: str) -> str:
        """Run a command; return what it prints."""
        started = time.monotonic()
        done = self._run(command)
        self._report(f"$ {command}   [{time.monotonic() - started:.1f} s, exit code {done.returncode}]")
        if done.returncode:
            self._report(self._run("docker compose logs --tail 40 postgresql").stdout)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def await_output(self, command: str, part: str) -> None:
        """Run a command again and again until it prints `part`."""
        deadline = time.monotonic() + WAIT
        while part not in (printed := self._run(command).stdout):
            assert time.monotonic() < deadline, f"{command} did not print {part!r}, but:\n{printed}"
            time.sleep(COMPOSE_SECONDS)
        self._report(f"$ {command}   [{part}]")

    def _run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


@pytest.fixture
def operator(image: Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Operator]:
    def report(line: str) -> None:
        with capsys.disabled():
            print(line)

    folder = tmp_path / "ponder"
    folder.mkdir()
    variables = {"PONDER_IMAGE": image.name}
    podman = None
    if not TEST_IMAGE:
        podman = Podman(tmp_path, image.store)
        podman.make_stand_ins(
            {service["image"] for service in COMPOSE["services"].values()} - {"${PONDER_IMAGE:-ponder}"}
        )
        variables |= podman.variables
    operator = Operator(folder, variables, report)
    report("")
    try:
        yield operator
        operator.run("docker compose down --volumes --timeout 5")
    finally:
        if podman:
            podman.stop()


def documented(heading: str) -> list[str]:
    """Return the commands of the first block under a heading of docs/operations.md."""
    section = (ROOT / "docs/operations.md").read_text().split(f"\n## {heading}\n")[1]
    block = section.split("```")[1].strip()
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


def test_an_operator_starts_connects_updates_restores_and_stops_the_site(
    operator: Operator, join: Callable[..., Person]
):
    endpoint = Endpoint("0.0.0.0")  # noqa: S104  (the containers' network is not loopback)

    async def answer_in_parts(exchange: Exchange) -> None:
        await exchange.reason("Hm. ")
        await exchange.gate("replaced")
        await exchange.answer("The whole answer.")
        await exchange.finish()

    endpoint.respond = answer_in_parts
    operator.write_env(SIGNUP="open")
    operator.run("sh deploy/secrets.sh")
    operator.run("docker compose up --no-build --wait --wait-timeout 120")
    # Without a model the site can be used, and says how to connect one.
    person = join(operator, "ada")
    assert "No model is connected" in person.http.get("/").text

    port = endpoint.base_url.rpartition(":")[2].partition("/")[0]
    connection = {"OPENAI_BASE_URL": f"http://{GATEWAY}:{port}/v1", "OPENAI_API_KEY": '"new key"', "OPENAI_MODEL": "m"}
    operator.write_env(SIGNUP="open", **connection)
    assert "openai_api_key has changed" in operator.run("sh deploy/secrets.sh")
    operator.run("docker compose up --detach --force-recreate --no-build --wait --wait-timeout 120")
    conversation = person.ask("What is asked?")
    exchange = endpoint.await_exchange(1)
    assert exchange.headers["Authorization"] == "Bearer new key"
    endpoint.await_reached("replaced")

    addresses = {name: operator.run(f'docker compose exec -T {name} python -c "{OWN_ADDRESS}"') for name in REPLICAS}
    (replica,) = (name for name, address in addresses.items() if address.strip() == exchange.peer[0])
    with ThreadPoolExecutor() as threads:
        watcher = Watcher(operator.url, person, conversation)
        seen = threads.submit(asyncio.run, watcher.until_answered("The whole answer."))
        update = f"docker compose up --detach --no-deps --no-build --force-recreate --wait {replica}"
        replaced = threads.submit(operator.run, update)
        operator.await_output(f"docker compose logs {replica}", "draining")
        endpoint.open("replaced")
        replaced.result()
        seen.result()
    assert len(endpoint.exchanges) == 1  # the new replica has not asked again

    backups = operator.folder / "backups"
    first = set(backups.glob("*.dump"))
    assert len(first) > 0  # the services have started more than once
    operator.run("docker compose restart backup")
    operator.await_output("ls backups/*.dump | wc -l", str(len(first) + 1))
    (backup,) = set(backups.glob("*.dump")) - first
    operator.await_output("docker compose logs backup", backup.name)
    for command in documented("Restore"):
        operator.run(command.replace("BACKUP", backup.stem))
    page = person.http.get(conversation)
    assert (page.status_code, "The whole answer." in page.text) == (200, True)
    person.close()
    endpoint.close()
