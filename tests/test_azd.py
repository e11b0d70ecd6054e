"""Deployment with azd: outputs, settings, and the migration between building the image and creating the revision."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.urls import reverse

from conversations.accounts.sso.roles import REVIEWER, STAFF
from tests.bicep import is_secure, parameters_of
from tests.site import ROOT, WAIT
from tests.test_infra import INFRA, MAIN, WEB, only
from tests.test_settings import variables_of_settings

AZD = yaml.safe_load((ROOT / "azure.yaml").read_text())
GUIDE = ROOT / "docs/azure.md"
BY_AZD = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID", "AZURE_PRINCIPAL_TYPE", "SERVICE_WEB_IMAGE_NAME"}

FOR_SCRIPTS = {"ENTRA_REGISTRATION", "FIRST_ADMINISTRATOR"}


def inputs() -> set[str]:
    """Return the variables that a deployment can set."""
    variables = parameters_of(INFRA / "main.parameters.json")[1] | parameters_of(INFRA / "web.parameters.json")[1]
    return variables - BY_AZD - set(MAIN.outputs)


def test_every_output_is_used():
    scripts = "".join(path.read_text() for path in INFRA.glob("*.sh"))
    taken = parameters_of(INFRA / "web.parameters.json")[1] | set(re.findall(r"\$\{?(\w+)", scripts))
    by_developers = {"AZURE_TENANT_ID"} & variables_of_settings()
    assert set(MAIN.outputs) <= taken | by_developers
    assert parameters_of(INFRA / "web.parameters.json")[1] <= set(MAIN.outputs) | BY_AZD | inputs()
    workflow = (ROOT / ".github/workflows/azure-dev.yml").read_text()
    assert all(output in workflow for output in WEB.outputs)


def test_every_setting_is_documented_and_passed_to_the_pipeline():
    section = GUIDE.read_text().split("\n## Settings\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`([A-Z_]+)`", section)) == inputs() | FOR_SCRIPTS
    secret = {
        re.search(r"\w+", value.removeprefix("${"))[0]
        for name, value in raw_parameters().items()
        if is_secure(MAIN.parameters[name])
    }
    assert set(AZD["pipeline"]["secrets"]) == secret
    assert set(AZD["pipeline"]["variables"]) == inputs() - secret
    job = yaml.safe_load((ROOT / ".github/workflows/azure-dev.yml").read_text())["jobs"]["deploy"]
    # azd itself sets the secret with the answers to its questions, such as the model's region.
    (provision,) = (step for step in job["steps"] if "azd provision" in step.get("run", ""))
    assert provision["env"] == {
        name: f"${{{{ secrets.{name} }}}}" for name in secret | {"AZD_INITIAL_ENVIRONMENT_CONFIG"}
    }
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
    hooks = AZD["hooks"] | AZD["services"][service]["hooks"]
    assert {"preprovision", "postprovision", "predeploy", "postdeploy", "postdown"} == hooks.keys()
    for name, hook in hooks.items():
        assert hook["run"] == f"infra/{name}.sh"
        assert os.access(ROOT / hook["run"], os.X_OK)


FAKE_COMMAND = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
case "$*" in
    *"$REFUSED"*) exit 1 ;;
    *graph.microsoft.com*) echo new-application ;;
    *"federated-credential list"*) echo "$EXISTING" ;;
    *"job start"*) echo migration-abc ;;
    *"execution show"*) line=$(head -n 1 "$STATES"); sed -i 1d "$STATES"; echo "$line" ;;
esac
"""


class Hook:
    """A script of infra/, run by azd with the values of its environment; `calls` lists what it asked Azure for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("az", "azd"):
            (folder / name).write_text(FAKE_COMMAND)
            (folder / name).chmod(0o755)

    def run(self, name: str, states: tuple[str, ...] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        (self._folder / "calls").write_text("")
        (self._folder / "states").write_text("".join(f"{state}\n" for state in states))
        environment = {
            "PATH": f"{self._folder}:{os.environ['PATH']}",
            "CALLS": str(self._folder / "calls"),
            "STATES": str(self._folder / "states"),
            "REFUSED": "nothing is refused",
            "EXISTING": "",
            "POLL_SECONDS": "0",
            "AZURE_SUBSCRIPTION_ID": "subscription-x",
            "AZURE_RESOURCE_GROUP": "rg-x",
            "AZURE_TENANT_ID": "tenant-x",
            "WEB_STORAGE_URL": "azure://stx/files",
            "MIGRATION_JOB_NAME": "migration-x",
            "PRUNE_JOB_NAME": "prune-x",
            "SERVICE_WEB_IMAGE_NAME": "cr.example/ponder/web:1",
            "WEB_HOST": "web-x.example.azurecontainerapps.io",
            "WEB_IDENTITY_PRINCIPAL_ID": "identity-x",
        }
        return subprocess.run(
            [INFRA / name],
            cwd=ROOT,
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path)


@pytest.mark.parametrize(("states", "code"), [(("Running", "Processing", "Succeeded"), 0), (("Running", "Failed"), 1)])
def test_the_revision_is_created_only_after_a_successful_migration(hook: Hook, states: tuple[str, ...], code: int):
    result = hook.run("predeploy.sh", states)
    assert result.returncode == code, result.stderr
    assert ("ended with status Failed" in result.stderr) == bool(code)
    there = "--subscription subscription-x --resource-group rg-x --name"
    update = f"az containerapp job update --image cr.example/ponder/web:1 --output none {there}"
    assert hook.calls[:2] == [
        f"{update} migration-x",
        f"az containerapp job start --query name --output tsv {there} migration-x",
    ]
    assert all("execution show --job-execution-name migration-abc" in call for call in hook.calls[2 : 2 + len(states)])
    assert hook.calls[2 + len(states) :] == ([] if code else [f"{update} prune-x"])


@pytest.mark.parametrize("subscription", ["", "subscription-x"])
def test_nothing_is_created_if_the_azure_cli_is_not_signed_in(hook: Hook, subscription: str):
    assert hook.run("preprovision.sh", AZURE_SUBSCRIPTION_ID=subscription).returncode == 0
    assert ("--subscription" in hook.calls[0]) == bool(subscription)
    refused = hook.run("preprovision.sh", AZURE_SUBSCRIPTION_ID=subscription, REFUSED="get-access-token")
    assert (refused.returncode, "Run: az login" in refused.stderr) == (1, True)


def test_the_site_is_registered_with_entra_only_if_asked_and_only_once(hook: Hook):
    assert hook.run("postprovision.sh").returncode == 0
    assert hook.calls == []
    assert hook.run("postprovision.sh", ENTRA_REGISTRATION="true", REFUSED="sp show").returncode == 0
    made = hook.calls
    assert "azd env set ENTRA_CLIENT_ID new-application" in made
    assert "azd env set ENTRA_TENANT_ID tenant-x" in made
    callback = "https://web-x.example.azurecontainerapps.io/accounts/entra/login/callback/"
    assert f"az ad app update --id new-application --web-redirect-uris {callback}" in made
    assert "az ad sp create --id new-application --output none" in made
    (credential,) = (call for call in made if "federated-credential create" in call)
    given = json.loads(re.search(r"\{.*\}", credential)[0])
    assert given["issuer"] == "https://login.microsoftonline.com/tenant-x/v2.0"
    assert (given["subject"], given["audiences"]) == ("identity-x", ["api://AzureADTokenExchange"])
    known = {"ENTRA_REGISTRATION": "true", "ENTRA_CLIENT_ID": "known", "EXISTING": "ponder"}
    assert hook.run("postprovision.sh", **known, CUSTOM_DOMAIN="chat.example.org").returncode == 0
    assert not any("azd env set" in call or "create" in call for call in hook.calls)
    assert any("https://chat.example.org/accounts/entra/login/callback/" in call for call in hook.calls)
    assert any("federated-credential update --id known --federated-credential-id ponder" in call for call in hook.calls)


def test_the_redirect_address_and_the_roles_are_those_of_the_site():
    assert reverse("entra_callback") in (INFRA / "postprovision.sh").read_text()
    registration = json.loads((INFRA / "registration.json").read_text())
    assert registration["signInAudience"] == "AzureADMyOrg"
    assert {role["value"] for role in registration["appRoles"]} == {STAFF, REVIEWER}


def test_without_a_terminal_a_deployment_says_how_to_create_the_first_administrator(hook: Hook):
    result = hook.run("postdeploy.sh", FIRST_ADMINISTRATOR="you@example.org")
    assert (result.returncode, hook.calls) == (0, [])
    assert "--name web-x --command 'python manage.py first_administrator --email you@example.org'" in result.stdout


def test_a_new_deployment_after_azd_down_uses_other_names(hook: Hook):
    assert hook.run("postdown.sh").returncode == 0
    assert re.fullmatch(r"azd env set SALT \d+", hook.calls[0])
    assert "uniqueString(unsalted, salt)" in MAIN.text
