"""What the pipelines and the development container promise is there, and nothing in them can be replaced unnoticed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.site import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", [])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_may_only_read(path: Path):
    workflow = yaml.safe_load(path.read_text())
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        # The one that deploys proves to Azure who it is; a token of GitHub's can do no more there either.
        signed_in = {"contents": "read", "id-token": "write"} if name == "deploy" else None
        assert job.get("permissions") == signed_in
        if "uses" in job:
            assert (ROOT / job["uses"]).exists()  # another of ours
        else:
            assert "timeout-minutes" in job
    for step in steps(workflow):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_main_is_deployed_when_it_is_tested_and_by_its_own_name_alone():
    deployment = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())
    tests = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    job = deployment["jobs"]["deploy"]
    assert deployment["jobs"][job["needs"]]["uses"] == "./.github/workflows/test.yml"
    assert "workflow_call" in tests[True]  # YAML takes the key `on` for a truth
    assert "github.ref == 'refs/heads/main'" in job["if"]
    assert deployment["concurrency"]["cancel-in-progress"] is False


def test_the_development_container_has_what_deploys():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    programs = {feature.rsplit("/", 1)[1].split(":")[0] for feature in container["features"]}
    assert {"azure-cli", "azd"} <= programs


def test_every_python_that_is_promised_is_tested():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    oldest = re.search(r"version_info < \((\d+), (\d+)\)", (ROOT / "Makefile").read_text())
    assert tested[0] == ".".join(oldest.groups())


def test_what_is_run_is_there():
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
