"""The pipelines and the development container: what they use exists, and is pinned."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kinds import KINDS
from tests.site import ROOT

DOCKERFILE = ROOT / "Dockerfile"
# Of jobs that need more than to read. The first token is for Azure, the other proves who signs the image.
PERMISSIONS = {
    "deploy": {"contents": "read", "id-token": "write"},
    "publish": {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
}
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_with_read_only_permissions(path: Path):
    workflow = yaml.safe_load(path.read_text())
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        assert job.get("permissions") == PERMISSIONS.get(name)
        if "uses" in job:
            assert (ROOT / job["uses"]).exists()  # a workflow of this repository
        else:
            assert "timeout-minutes" in job
    for step in steps(workflow):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_only_main_is_deployed_and_only_after_the_tests():
    deployment = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())
    tests = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    job = deployment["jobs"]["deploy"]
    assert deployment["jobs"][job["needs"]]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in tests[True]  # YAML reads the key `on` as true
    assert "github.ref == 'refs/heads/main'" in job["if"]
    assert deployment["concurrency"]["cancel-in-progress"] is False


def test_the_development_container_contains_the_deployment_tools():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    programs = {feature.rsplit("/", 1)[1].split(":")[0] for feature in container["features"]}
    assert {"azure-cli", "azd"} <= programs


def test_every_kind_of_test_and_every_supported_python_has_a_job():
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    assert {*jobs["test"]["strategy"]["matrix"]["only"], "image"} == KINDS.keys()
    assert "image" in jobs
    oldest = ".".join(re.search(r"version_info < \((\d+), (\d+)\)", (ROOT / "Makefile").read_text()).groups())
    assert jobs["test"]["container"] == f"python:{oldest}-bookworm"
    image = re.search(r"^FROM python:(\d+\.\d+)\.", DOCKERFILE.read_text(), re.MULTILINE)[1]
    assert image in jobs["pythons"]["strategy"]["matrix"]["python"]


def test_a_release_publishes_a_signed_image_with_its_contents_and_origin_after_the_tests():
    jobs = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]
    assert jobs[jobs["publish"]["needs"]]["uses"] == "./.github/workflows/test.yml"
    (build,) = (step["with"] for step in jobs["publish"]["steps"] if "build-push" in step.get("uses", ""))
    assert set(build["platforms"].split(",")) == {"linux/amd64", "linux/arm64"}
    assert (build["push"], build["sbom"], build["provenance"]) == (True, True, "mode=max")
    assert "SITE_VERSION=" in build["build-args"]
    assert any("cosign sign" in step.get("run", "") for step in jobs["publish"]["steps"])


def test_updates_wait_a_week():
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "github-actions", "docker", "docker-compose"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_the_workflows_are_safe():
    """zizmor knows how workflows are attacked: injection, stolen tokens, unpinned actions."""
    zizmor = Path(sys.executable).with_name("zizmor")
    checked = subprocess.run(
        [zizmor, "--offline", "--no-progress", ".github"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_image_is_built_once():
    building = re.compile(r"docker (?:compose )?build\b|--build\b|buildah|\.ci/run$|make test-image")
    built = [
        step["run"]
        for path in WORKFLOWS
        for step in steps(yaml.safe_load(path.read_text()))
        if building.search(step.get("run", "")) and "TEST_IMAGE=" not in step["run"]
    ]
    assert len(built) == 1


def test_scripts_and_targets_of_the_pipelines_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    commands = [container["postCreateCommand"]]
    for path in WORKFLOWS:
        commands += [step["run"] for step in steps(yaml.safe_load(path.read_text())) if "run" in step]
    for command in commands:
        for target in re.findall(r"\bmake ([a-z-]+)", command):
            assert target in targets
        for script in re.findall(r"\b(?:ba)?sh (\S+)", command):
            assert (ROOT / script).exists()
