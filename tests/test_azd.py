"""Deployment with azd: outputs, settings, and the migration between building the image and creating the revision."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from azure.mgmt.appcontainers.models import JobExecutionRunningState

from tests.bicep import is_secure, parameters_of
from tests.site import ROOT, WAIT
from tests.test_infra import INFRA, MAIN, WEB, only
from tests.test_settings import variables_of_settings

AZD = yaml.safe_load((ROOT / "azure.yaml").read_text())
GUIDE = ROOT / "docs/azure.md"
BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID", "AZURE_PRINCIPAL_TYPE", "SERVICE_WEB_IMAGE_NAME"}


def inputs() -> set[str]:
    """Return the variables that a deployment can set."""
    variables = parameters_of(INFRA / "main.parameters.json")[1] | parameters_of(INFRA / "web.parameters.json")[1]
    return variables - BY_AZD - set(MAIN.outputs)


def test_every_output_is_used():
    taken = parameters_of(INFRA / "web.parameters.json")[1] | set(
        re.findall(r"\$(\w+)", (INFRA / "predeploy.sh").read_text())
    )
    by_developers = {"AZURE_TENANT_ID"} & variables_of_settings()
    assert set(MAIN.outputs) <= taken | by_developers
    assert parameters_of(INFRA / "web.parameters.json")[1] <= set(MAIN.outputs) | BY_AZD | inputs()
    workflow = (ROOT / ".github/workflows/azure-dev.yml").read_text()
    assert all(output in workflow for output in WEB.outputs)


def test_every_setting_is_documented_and_passed_to_the_pipeline():
    section = GUIDE.read_text().split("## What may be set")[1].split("\n## ")[0]
    assert set(re.findall(r"`([A-Z_]+)`", section)) == inputs()
    secret = {
        re.search(r"\w+", value.removeprefix("${"))[0]
        for name, value in raw_parameters().items()
        if is_secure(MAIN.parameters[name])
    }
    assert set(AZD["pipeline"]["secrets"]) == secret
    assert set(AZD["pipeline"]["variables"]) == inputs() - secret
    job = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())["jobs"]["deploy"]
    (provision,) = (step for step in job["steps"] if "azd provision" in step.get("run", ""))
    assert provision["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in secret}
    for name in inputs() - secret:
        assert job["env"][name] == f"${{{{ vars.{name} }}}}"


def raw_parameters() -> dict[str, str]:
    file = json.loads((INFRA / "main.parameters.json").read_text())
    return {name: parameter["value"] for name, parameter in file["parameters"].items()}


def test_azd_deploys_the_service_after_the_migration():
    (service,) = AZD["services"]
    web = only(WEB, "Microsoft.App/containerApps")
    assert WEB.path == (ROOT / AZD["infra"]["path"] / service).with_suffix(".bicep")
    assert web.config["tags"]["'azd-service-name'"] == service
    assert AZD["services"][service]["apiVersion"] == web.version
    hook = ROOT / AZD["services"][service]["hooks"]["predeploy"]["run"]
    assert os.access(hook, os.X_OK)


FAKE_COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
    *"job start"*) echo migration-abc ;;
    *"execution show"*) line=$(head -n 1 "$STATES"); sed -i 1d "$STATES"; echo "$line" ;;
esac
"""


@pytest.mark.parametrize(("states", "code"), [(["Running", "Processing", "Succeeded"], 0), (["Running", "Failed"], 1)])
def test_the_revision_is_created_only_after_a_successful_migration(tmp_path: Path, states: list[str], code: int):
    for name in ("az", "azd"):
        (tmp_path / name).write_text(FAKE_COMMAND)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "states").write_text("\n".join(states) + "\n")
    variables = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "STATES": str(tmp_path / "states"),
        "POLL_SECONDS": "0",
        "AZURE_RESOURCE_GROUP": "rg-x",
        "MIGRATION_JOB_NAME": "migration-x",
        "PRUNE_JOB_NAME": "prune-x",
        "SERVICE_WEB_IMAGE_NAME": "cr.example/ponder/web:1",
    }
    result = subprocess.run(
        [INFRA / "predeploy.sh"], env=variables, capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert result.returncode == code, result.stderr
    assert ("ended with status Failed" in result.stderr) == bool(code)
    calls = (tmp_path / "calls").read_text().splitlines()
    update = "az containerapp job update --image cr.example/ponder/web:1 --output none --resource-group rg-x --name"
    assert calls[:3] == [
        "azd env set SERVICE_WEB_TEMPLATE_HASH none",
        f"{update} migration-x",
        "az containerapp job start --query name --output tsv --resource-group rg-x --name migration-x",
    ]
    assert all("execution show --job-execution-name migration-abc" in call for call in calls[3 : 3 + len(states)])
    assert calls[3 + len(states) :] == ([] if code else [f"{update} prune-x"])
    assert set(states) <= {state.value for state in JobExecutionRunningState}
