"""Prometheus with the project's configuration and alerts: valid, fired by each fault, and real for two replicas."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from chatsite import metrics
from tests.endpoint import Endpoint, Exchange
from tests.parts import PROMETHEUS
from tests.ports import unused_port
from tests.site import POLL_SECONDS, ROOT, WAIT, Person, Site
from tests.test_compose import COMPOSE, REPLICAS

FOLDER = ROOT / "deploy/monitoring"
RULES = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"][0]["rules"]
MONITORING = yaml.safe_load((FOLDER / "compose.yaml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana/dashboard.json").read_text())
TOKEN = "a-token-for-metrics"


class Prometheus:
    """The server, with the project's configuration for these replicas. It scrapes them each second."""

    def __init__(self, folder: Path, sites: list[Site]) -> None:
        configuration = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
        configuration["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
        (job,) = configuration["scrape_configs"]
        job["static_configs"] = [{"targets": [site.url.removeprefix("http://") for site in sites]}]
        job["authorization"] = {"credentials_file": str(folder / "metrics_token")}
        configuration["rule_files"] = [str(folder / "alerts.yaml")]
        (folder / "metrics_token").write_text(TOKEN)
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
        # The same alerts, without the time for which they wait.
        (folder / "alerts.yaml").write_text(re.sub(r"(?m)^ +for: .*\n", "", (FOLDER / "alerts.yaml").read_text()))
        self.url = f"http://127.0.0.1:{unused_port()}"
        command = [PROMETHEUS.find(), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
        command.append(f"--web.listen-address={self.url.removeprefix('http://')}")
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(command, stdout=self._log, stderr=subprocess.STDOUT)
        self._client = httpx2.Client(base_url=f"{self.url}/api/v1/", timeout=WAIT)

    def await_targets(self, *health: str) -> list[str]:
        """Wait until the targets have these states; return a line for each."""

        def lines() -> list[str] | None:
            targets = sorted(self._read("targets")["activeTargets"], key=lambda target: target["scrapeUrl"])
            matches = sorted(target["health"] for target in targets) == sorted(health)
            return [f"{target['scrapeUrl']} {target['health']}" for target in targets] if matches else None

        return self._await(lines)

    def await_alerts(self, *names: str) -> list[str]:
        """Wait until exactly these alerts fire; return what they say."""

        def summaries() -> list[str] | None:
            alerts = [alert for alert in self._read("alerts")["alerts"] if alert["state"] == "firing"]
            matches = sorted(alert["labels"]["alertname"] for alert in alerts) == sorted(names)
            return [alert["annotations"]["summary"] for alert in alerts] if matches else None

        return self._await(summaries)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(WAIT)
        self._log.close()
        self._client.close()

    def _read(self, name: str) -> dict[str, list[dict[str, object]]]:
        try:
            return self._client.get(name).raise_for_status().json()["data"]
        except (httpx2.ConnectError, httpx2.HTTPStatusError):  # it is starting
            return {"activeTargets": [], "alerts": []}

    def _await(self, find: Callable[[], list[str] | None]) -> list[str]:
        deadline = time.monotonic() + WAIT
        while (found := find()) is None:
            assert self._process.poll() is None, Path(self._log.name).read_text()
            assert time.monotonic() < deadline, (self._read("targets"), self._read("alerts"))
            time.sleep(POLL_SECONDS)
        return found


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[[list[Site]], Prometheus]]:
    started = []

    def start(sites: list[Site]) -> Prometheus:
        started.append(Prometheus(tmp_path, sites))
        return started[-1]

    yield start
    for prometheus in started:
        prometheus.stop()


def promtool(*arguments: object) -> str:
    done = subprocess.run(
        [PROMETHEUS.find().parent / "promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.prometheus
def test_each_alert_fires_for_its_fault_and_none_while_the_site_works(tmp_path: Path):
    shutil.copy(FOLDER / "alerts.yaml", tmp_path)
    shutil.copy(ROOT / "tests/monitoring.yaml", tmp_path)
    assert f"SUCCESS: {len(RULES)} rules found" in promtool("check", "rules", tmp_path / "alerts.yaml")
    promtool("test", "rules", tmp_path / "monitoring.yaml")
    cases = yaml.safe_load((ROOT / "tests/monitoring.yaml").read_text())["tests"]
    fired = [sample["labels"] for case in cases for sample in case["promql_expr_test"][0]["exp_samples"]]
    assert sorted(fired) == sorted(f'{{alertname="{rule["alert"]}"}}' for rule in RULES)


@pytest.mark.prometheus
def test_two_replicas_are_scraped_and_alerts_fire_and_clear(
    make_site: Callable[..., Site],
    join: Callable[..., Person],
    endpoint: Endpoint,
    start_prometheus: Callable[[list[Site]], Prometheus],
    record_property: Callable[[str, object], None],
):
    async def answer(exchange: Exchange) -> None:
        if exchange.body["messages"][-1]["content"] == "Fail":
            await exchange.fail(401)
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = answer
    first = make_site(METRICS_TOKEN=TOKEN)
    second = make_site(first.database_url, METRICS_TOKEN=TOKEN)
    prometheus = start_prometheus([first, second])
    person = join(first)
    report = [*prometheus.await_targets("up", "up")]
    prometheus.await_alerts()
    person.await_end(person.ask("Fail"))
    report += prometheus.await_alerts("ModelUnavailable")
    while "degraded" in (readiness(first), readiness(second)):  # until the replica that failed has answered
        person.await_end(person.ask("Why?"))
    prometheus.await_alerts()
    second.kill()
    report += [*prometheus.await_targets("up", "down"), *prometheus.await_alerts("ReplicaUnreachable")]
    second.start()
    report += prometheus.await_targets("up", "up")
    prometheus.await_alerts()
    record_property("report", "\n".join(report))


def readiness(site: Site) -> str:
    return httpx2.get(f"{site.url}/readyz").json()["status"]


def test_alerts_and_dashboard_use_metrics_that_exist_and_operators_find_each_alert_in_the_documentation():
    exposed = metrics.exposition().decode()
    names = set(re.findall(r"^# TYPE (\w+)", exposed, re.MULTILINE))
    suffixes = {"", "_total", "_count", "_bucket"}
    expressions = [rule["expr"] for rule in RULES]
    expressions += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    used = set(re.findall(r"chat_\w+", "\n".join(expressions)))
    assert used <= {name.removesuffix("_total") + suffix for name in names for suffix in suffixes}
    documented = (ROOT / "docs/operations.md").read_text()
    assert [rule["alert"] for rule in RULES if f"`{rule['alert']}`" not in documented] == []


def test_the_services_scrape_the_replicas_with_their_token_and_mount_files_that_exist():
    services = MONITORING["services"]
    (job,) = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"{replica}:8000" for replica in REPLICAS]}]
    assert job["authorization"] == {"credentials_file": "/run/secrets/metrics_token"}
    assert services["prometheus"]["secrets"] == ["metrics_token"]
    assert "metrics_token" in COMPOSE["secrets"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
        assert mounted
        assert all((ROOT / path).is_file() for path in mounted)
