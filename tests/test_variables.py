"""Every variable of the settings is documented and reaches the site, however it runs."""

import json
import re

import yaml

from tests.bicep import Template, parameters_of
from tests.site import ROOT
from tests.test_settings import variables_of_settings

INFRA = ROOT / "infra"
EVERYWHERE = {"README.md", "compose.yaml", "infra"}
# Where a variable is left out, and why.
EXCEPTIONS = {
    "SITE_VERSION": {"compose.yaml": "the image contains it", "infra": "the image contains it"},
    "PORT": {"compose.yaml": "the proxy expects 8000; HTTP_PORT is the port of the site"},
    "DEBUG": {"infra": "the site is public"},
    "AZURE_TENANT_ID": {"infra": "the managed identity knows its tenant; this is for a developer's sign-in"},
    "ENTRA_CLIENT_SECRET": {"infra": "the managed identity takes its place"},
    "ENTRA_AUTHORITY_HOST": {"infra": "national clouds need a secret, and other templates"},
    **{
        f"OIDC_{name}": {"infra": "Entra ID is there, and needs no secret"}
        for name in ("ISSUER", "CLIENT_ID", "CLIENT_SECRET", "NAME", "ROLES_CLAIM")
    },
    "RETAIN_AUDIT_DAYS": {"infra": "the pruning job does not own the tables, so it cannot delete audit entries"},
}


def in_readme() -> set[str]:
    section = (ROOT / "README.md").read_text().split("## Configuration")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row.split("|")[1])}


def in_compose() -> set[str]:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return {name.removesuffix("_FILE") for name in services["web-1"]["environment"]}


def in_infra() -> set[str]:
    """Return the variables that the site and its jobs get on Azure."""
    web, main, vault = (Template(INFRA / f"{name}.bicep") for name in ("web", "main", "modules/vault"))
    secrets = json.dumps([vault.variables[name] for name in ("generatedNames", "mail", "model", "traces", "data")])
    return (
        set(web.variables["settled"]["value"])
        | set(parameters_of(INFRA / "web.parameters.json")[0]["settings"])
        | {name.upper().replace("-", "_") for name in re.findall(r'"([a-z]+-[a-z-]+)"', secrets)}
        | set(re.findall(r"^\s+([A-Z_]+): ", main.text, re.MULTILINE))
    )


def test_every_variable_is_in_the_readme_in_compose_and_in_bicep_or_has_a_reason_not_to_be():
    found = {"README.md": in_readme(), "compose.yaml": in_compose(), "infra": in_infra()}
    for place, variables in found.items():
        left_out = {name for name, reasons in EXCEPTIONS.items() if place in reasons}
        assert variables == variables_of_settings() - left_out, place
    assert all(reasons.keys() <= EVERYWHERE for reasons in EXCEPTIONS.values())
