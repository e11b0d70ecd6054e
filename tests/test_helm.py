"""The Helm chart: rendered by Helm, valid for three versions of Kubernetes, and read by the site's own settings."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from conversations.generation.worker import SIGN_OFF_SECONDS, WRITE_SECONDS
from tests.site import ROOT, manage
from tests.test_compose import SECRET
from tests.test_settings import variables_of_settings

CHART = ROOT / "deploy/helm"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
# Variables that no value of the chart sets under their own name, and why.
EXCEPTIONS = {
    "DEBUG": "not for production",
    "PORT": "the chart's ports are fixed",
    "SITE_VERSION": "the image sets it",
    "MODELS": "`models` becomes MODELS_FILE",
    "DRAIN_SECONDS": "`drainSeconds`, which the time to end depends on",
}
KUBERNETES = ("1.31", "1.34", "1.37")
REQUIRED = {"image": {"repository": "registry.example.org/ponder", "tag": "1"}, "existingSecret": "ponder"}
MODELS = """
[endpoints.deepseek]
base_url = "https://api.deepseek.com"
api_key = "DEEPSEEK_API_KEY"
[[models]]
id = "v4"
label = "DeepSeek V4"
endpoint = "deepseek"
name = "deepseek-v4"
"""
CASES = {
    "plain": {},
    "everything": {
        "models": MODELS,
        "modelKeys": ["DEEPSEEK_API_KEY"],
        "settings": {"CSRF_TRUSTED_ORIGINS": "https://chat.example.org", "USER_CONCURRENCY": 5},
        "image": {"pullSecrets": ["registry"]},
        "autoscaling": {"enabled": True, "targetGenerations": 50},
        "serviceAccountName": "ponder",
        "workloadIdentity": True,
        "ingress": {"enabled": True, "className": "nginx", "host": "chat.example.org", "tlsSecret": "tls"},
        "volume": {"storageClass": "azurefile"},
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    },
    "scaled by CPU, with files in Azure": {
        "autoscaling": {"enabled": True},
        "settings": {"STORAGE_URL": "azure://account/files"},
    },
    "trial": {"existingSecret": "", "trial": {"enabled": True}},
}
Manifests = dict[tuple[str, str], dict[str, Any]]
Render = Callable[[dict[str, Any]], Manifests]


@pytest.fixture
def helm(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run Helm on the chart with these values."""

    def run(command: str, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        arguments = [Path(sys.executable).with_name("helm"), *command.split(), CHART, "--values", file]
        return subprocess.run(arguments, capture_output=True, text=True, check=False, env={"HOME": str(tmp_path)})

    return run


@pytest.fixture
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    def render(values: dict[str, Any]) -> Manifests:
        merged = REQUIRED | values | {"image": REQUIRED["image"] | values.get("image", {})}
        done = helm("template chat", merged)
        assert done.returncode == 0, done.stderr
        found = [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]
        return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}

    return render


def pods(manifests: Manifests) -> list[dict[str, Any]]:
    """Return the specifications of all pods."""
    specs = [manifest.get("spec", {}) for manifest in manifests.values()]
    templates = [spec.get("jobTemplate", {}).get("spec", spec).get("template") for spec in specs]
    return [template["spec"] for template in templates if template]


def containers_of(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def containers(manifests: Manifests) -> list[dict[str, Any]]:
    """Return the containers of the site's image."""
    found = [one for pod in pods(manifests) for one in containers_of(pod)]
    return [one for one in found if one["image"] == "registry.example.org/ponder:1"]


@pytest.mark.parametrize("case", CASES)
def test_manifests_are_valid_for_each_version_of_kubernetes(
    case: str, render: Render, record_property: Callable[[str, object], None]
):
    from kubernetes_validate import validate

    manifests = render(CASES[case])
    for (kind, _), manifest in manifests.items():
        if kind != "ServiceMonitor":  # of Prometheus Operator
            for version in KUBERNETES:
                validate(manifest, version, strict=True)
    record_property("report", f"{len(manifests)} manifests are valid for Kubernetes {', '.join(KUBERNETES)}")
    kinds = {kind for kind, _ in manifests}
    assert kinds >= {"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy", "CronJob"}
    assert ("Job" in kinds) != (case == "trial")  # which migrates before the site starts
    assert ("StatefulSet" in kinds) == (case == "trial")
    assert ("PersistentVolumeClaim" in kinds) == ("Azure" not in case)
    assert ("HorizontalPodAutoscaler" in kinds) == ("autoscaling" in CASES[case])
    if case == "everything":
        assert kinds >= {"Ingress", "ConfigMap", "ServiceMonitor"}


def test_helm_finds_no_fault_and_names_what_is_missing(helm: Callable[..., subprocess.CompletedProcess[str]]):
    lint = helm("lint --strict", REQUIRED)
    assert lint.returncode == 0, lint.stdout
    for name in REQUIRED:
        refused = helm("template chat", {key: value for key, value in REQUIRED.items() if key != name})
        assert refused.returncode != 0
        assert f"Set {name}" in refused.stderr


def test_the_site_reads_what_the_chart_gives_it(render: Render, tmp_path: Path):
    everything = render(CASES["everything"])
    assert {one["name"] for one in containers(everything)} == {"site", "migrate", "prune"}
    (site,) = (one for one in containers(everything) if one["name"] == "site")
    (tmp_path / "models.toml").write_text(everything["ConfigMap", "chat-ponder-models"]["data"]["models.toml"])
    secrets = {name.lower(): "" for name in SECRET} | {
        "secret_key": "k" * 50,
        "database_url": f"sqlite:///{tmp_path}/db.sqlite3",
        "audit_keys": "a" * 50,
        "email_url": "console://",
        "deepseek_api_key": "canary",
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    variables = {one["name"]: one["value"] for one in site["env"]}
    places = {"/run/secrets/ponder": str(tmp_path), "/etc/ponder": str(tmp_path), "/app/files": f"{tmp_path}/files"}
    for place, here in places.items():
        variables = {name: value.replace(place, here) for name, value in variables.items()}
    unset = dict.fromkeys(SECRET | {"MODELS"})  # they come from files
    code = "from django.conf import settings as s; print(list(s.MODELS), s.USER_CONCURRENCY, s.IS_PUBLIC)"
    done = manage("shell", "--no-imports", "--command", code, **(unset | variables))
    assert (done.returncode, done.stdout) == (0, "['v4'] 5 True\n"), done.stderr


def test_booleans_and_numbers_reach_the_site_as_they_are_written(render: Render):
    given = {"LOCAL_ACCOUNTS": False, "USER_DAILY_TOKENS": 0, "CONTEXT_TOKENS": 1_000_000, "STALL_SECONDS": 90.5}
    expected = {
        "LOCAL_ACCOUNTS": "false",
        "USER_DAILY_TOKENS": "0",
        "CONTEXT_TOKENS": "1000000",
        "STALL_SECONDS": "90.5",
    }
    for one in containers(render({"settings": given | {"SITE_NAME": ""}})):
        variables = {variable["name"]: variable["value"] for variable in one["env"]}
        assert variables.items() >= expected.items()
        assert "SITE_NAME" not in variables


def test_what_a_trial_leaves_behind_works_again_after_an_installation(render: Render):
    manifests = render(CASES["trial"])
    kept = [
        key for key, one in manifests.items() if "helm.sh/resource-policy" in one["metadata"].get("annotations", {})
    ]
    # The volume of PostgreSQL, which Helm never deletes, has the password and what the keys have signed.
    assert kept == [("Secret", "chat-ponder-trial"), ("PersistentVolumeClaim", "chat-ponder-files")]


def test_running_answers_have_their_time_to_end(render: Render):
    deployment = render({"drainSeconds": 40})["Deployment", "chat-ponder"]
    pod = deployment["spec"]["template"]["spec"]
    (site,) = pod["containers"]
    (_, before) = site["lifecycle"]["preStop"]["exec"]["command"]
    assert {"name": "DRAIN_SECONDS", "value": "40"} in site["env"]
    assert pod["terminationGracePeriodSeconds"] >= int(before) + 40 + WRITE_SECONDS + SIGN_OFF_SECONDS


@pytest.mark.parametrize("case", CASES)
def test_pods_select_themselves_and_run_without_privileges(case: str, render: Render):
    manifests = render(CASES[case])
    for kind, name in manifests:
        if kind in ("Deployment", "StatefulSet"):
            spec = manifests[kind, name]["spec"]
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    for pod in pods(manifests):  # Kubernetes' "restricted" standard for pods
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"] > 0) == (True, True)
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in containers_of(pod):
            security = one["securityContext"]
            assert (security["allowPrivilegeEscalation"], security["capabilities"]) == (False, {"drop": ["ALL"]})
    for one in containers(manifests):
        assert one["securityContext"]["readOnlyRootFilesystem"]
        mounted = {mount["mountPath"] for mount in one["volumeMounts"]}
        assert mounted >= {"/run/secrets/ponder", "/app/var"}
        # Commands do not use the files, and on another node could not mount the volume of a trial.
        assert ("/app/files" in mounted) == ("Azure" not in case and one["name"] == "site")


def test_every_setting_reaches_the_chart():
    settings = VALUES["settings"].keys()
    assert settings | SECRET | EXCEPTIONS.keys() == variables_of_settings()
    assert not settings & (SECRET | EXCEPTIONS.keys())
