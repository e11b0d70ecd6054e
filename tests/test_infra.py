"""Checks of infra/ without a subscription and without the Bicep compiler, which runs in the pipeline."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.urls import resolve

from chatsite.server import PING_SECONDS
from conversations.generation.worker import SIGN_OFF_SECONDS, WRITE_SECONDS
from tests.bicep import Resource, Template, is_secure, parameters_of, unwrapped
from tests.site import ROOT, manage
from tests.test_settings import variables_of_settings

INFRA = ROOT / "infra"
MAIN, WEB = Template(INFRA / "main.bicep"), Template(INFRA / "web.bicep")
VAULT = Template(INFRA / "modules/vault.bicep")
TEMPLATES = [MAIN, WEB, *(Template(path) for path in sorted(INFRA.glob("modules/*.bicep")))]
IDLE_SECONDS = 240  # after which the ingress of Container Apps closes an idle connection

ROLES = {
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "a97b65f3-24c7-4388-baec-2e87135dc908": "Cognitive Services User",
}
named = pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.path.stem)


def only(template: Template, kind: str) -> Resource:
    (resource,) = (resource for resource in template.resources if resource.type == kind)
    return resource


def made(name: str) -> Template:
    return Template(INFRA / f"modules/{name}.bicep")


@named
def test_declared_names_are_unique_and_used(template: Template):
    declared = re.findall(r"(?m)^(?:param|var|resource|module) (\w+)", template.text)
    assert len(declared) == len(set(declared))
    unused = [name for name in (*template.parameters, *template.variables) if template.uses_of(name) < 1]
    assert unused == []


def test_modules_receive_their_parameters_and_their_outputs_are_used():
    called = set()
    for template in TEMPLATES:
        for name, module, given in template.modules:
            called.add(module.path)
            required = {name for name, parameter in module.parameters.items() if parameter["default"] is None}
            assert required <= given.keys() <= module.parameters.keys(), name
    assert called == set(INFRA.glob("modules/*.bicep"))
    for name, module, _ in MAIN.modules:
        for output in module.outputs:
            assert re.search(rf"\b{name}!?\.outputs\.{output}\b", MAIN.text), (name, output)


def test_deployments_of_modules_have_names_of_their_own():
    """A fixed name would make two deployments at once in one resource group collide."""
    assert not re.search(r"^module [^{]*\{\n(?:  )+name:", "\n".join(t.text for t in TEMPLATES), re.MULTILINE)


def test_the_model_is_offered_where_its_quota_has_room():
    (metadata,) = (d["argument"] for d in MAIN.parameters["modelLocation"]["decorators"] if d["type"] == "metadata")
    defaults = {name: MAIN.parameters[name]["default"] for name in ("modelSku", "modelName", "modelCapacity")}
    usage = "AIServices.{modelSku}.{modelName},{modelCapacity}".format(**defaults)
    assert metadata["azd"] == {"type": "location", "usageName": [usage]}
    assert MAIN.parameters["modelLocation"]["default"] is None  # else azd would not ask


def test_secrets_of_the_vault_are_written_one_after_another():
    modules = VAULT.tree["modules"]
    assert {"type": "batchSize", "argument": 1} in modules["generated"]["decorators"]
    chain = [
        unwrapped(modules[name]["config"]).get("dependsOn") for name in ("email", "openai", "otel", "database", "owner")
    ]
    assert chain == [["generated"], ["email"], ["openai"], ["otel"], ["database"]]


@pytest.mark.parametrize("template", [MAIN, WEB], ids=["main", "web"])
def test_the_parameters_file_sets_exactly_the_declared_parameters(template: Template):
    values, _ = parameters_of(template.path.with_suffix(".parameters.json"))
    assert values.keys() == template.parameters.keys()
    defaults = {name: parameter["default"] for name, parameter in template.parameters.items()}
    assert {name: str(default) for name, default in defaults.items() if default is not None} == {
        name: value for name, value in values.items() if defaults[name] is not None
    }


@pytest.mark.parametrize("path", sorted(INFRA.glob("snapshots/*.bicepparam")), ids=lambda path: path.stem)
def test_the_configurations_whose_resources_are_predicted_set_all_that_is_required(path: Path):
    template = Template((path.parent / re.search("^using '(.+)'", path.read_text())[1]).resolve())
    given = set(re.findall(r"^param (\w+) = ", path.read_text(), re.MULTILINE))
    required = {name for name, parameter in template.parameters.items() if parameter["default"] is None}
    assert required <= given <= template.parameters.keys()


def names_in(value: Any) -> set[str]:
    """Return the names of environment variables among the keys, at any depth."""
    if isinstance(value, dict):
        return {key for key in value if re.fullmatch("[A-Z_]+", key)}.union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


def site_secrets() -> set[str]:
    """Return the names of the site's secrets in the vault."""
    lists = json.dumps([VAULT.variables[name] for name in ("generatedNames", "mail", "model", "traces", "data")])
    return set(re.findall(r'"([a-z]+-[a-z-]+)"', lists))


def test_the_site_and_its_jobs_receive_only_variables_of_the_settings():
    settled = WEB.variables["settled"]["value"]
    settings = settings_file()["settings"]
    secrets = {name.upper().replace("-", "_") for name in site_secrets()}
    assert {"SECRET_KEY", "AUDIT_KEYS", "DATABASE_URL", "OPENAI_API_KEY"} <= secrets
    assert settled.keys() | settings.keys() | secrets <= variables_of_settings()
    assert not settled.keys() & settings.keys()
    job_variables = names_in([MAIN.tree["modules"], MAIN.variables])
    assert {"DATABASE_URL", "AZURE_CLIENT_ID", "RETAIN_REASONING_DAYS"} <= job_variables <= variables_of_settings()


def test_the_settings_accept_the_variables_of_the_site():
    """Values in the format that web.bicep and main.bicep produce, for every variable that they set."""
    host = "web-x.wittyhill-1234.swedencentral.azurecontainerapps.io"
    variables = {
        "ALLOWED_HOSTS": f"{host},chat.example.org",
        "CSRF_TRUSTED_ORIGINS": f"https://{host},https://chat.example.org",
        "TRUSTED_PROXY_COUNT": "1",
        "RUNNING_IN_PRODUCTION": "true",
        "AZURE_CLIENT_ID": "0f8fad5b-d9cb-469f-a165-70867728950e",
        "MODELS": "",
        "AZURE_INFERENCE_ENDPOINT": "https://ai-x.services.ai.azure.com",
        "AZURE_DEEPSEEK_DEPLOYMENT": "deepseek",
        "DATABASE_URL": "postgresql://id-web-x@psql-x.postgres.database.azure.com:5432/site",
        "DATABASE_AUTH": "entra",
        "STORAGE_URL": "azure://stx/files",
        "REDIS_URL": "rediss://redis-x.swedencentral.redis.azure.net:10000",
        "REDIS_AUTH": "entra",
        "DRAIN_SECONDS": "60",
        "PORT": "8000",
        "LOG_FORMAT": "json",
    }
    assert variables.keys() == WEB.variables["settled"]["value"].keys()
    defaults = {name: value for name, value in settings_file()["settings"].items() if value}
    keys = dict.fromkeys(("SECRET_KEY", "SECRET_KEY_FALLBACKS", "AUDIT_KEYS", "METRICS_TOKEN"), f"{uuid4()}{uuid4()}")
    shown = manage("diffsettings", **variables, **defaults, **keys)
    assert shown.returncode == 0, shown.stderr
    assert "SESSION_COOKIE_SECURE = True" in shown.stdout
    assert "'USER': 'id-web-x'" in shown.stdout
    unused_key = re.search(r"SECRET_KEY: '(a-migration[^']+)'", MAIN.text)[1]
    migration = {name: variables[name] for name in ("RUNNING_IN_PRODUCTION", "DATABASE_URL", "DATABASE_AUTH")}
    assert manage("diffsettings", **migration, SECRET_KEY=unused_key).returncode == 0


def settings_file() -> dict[str, Any]:
    return parameters_of(INFRA / "web.parameters.json")[0]


def test_signing_keys_are_generated_once_and_the_site_cannot_read_the_database_owners_password():
    assert {"secret-key", "audit-keys"} <= set(VAULT.variables["generatedNames"]["value"])
    assert "@onlyIfNotExists()\nresource secret " in made("generated-secret").text
    assert "database-owner-url" not in site_secrets()
    readers = {name: given["readerId"] for name, _, given in VAULT.modules}
    assert readers.pop("owner") == "migrationPrincipalId"
    assert set(readers.values()) == {"webPrincipalId"}


def test_the_owner_of_the_tables_cannot_read_the_audit_keys():
    given = {name: (params, json.dumps(params)) for name, _, params in MAIN.modules}
    for name, keyed in (("migration", False), ("prune", True)):
        params, text = given[name]
        assert ('"keys"' in text) == keyed
        assert "AUDIT_KEYS" not in text
        assert ("migrationId" in json.dumps(params["identityId"])) != keyed
        assert ('"asOwner"' in text) != keyed
        assert ('"asSite"' in text) == keyed


@named
def test_secrets_are_stored_only_in_the_vault(template: Template):
    assert "listKeys" not in template.text
    assert "listCredentials" not in template.text
    secure = {name for name, parameter in template.parameters.items() if is_secure(parameter)}
    for output in template.outputs.values():
        assert not secure & set(re.findall(r"\w+", json.dumps(output["value"])))
    for _, module, given in template.modules:
        for name, value in given.items():
            if secure & set(re.findall(r"\w+", json.dumps(value))):
                assert is_secure(module.parameters[name])


def test_passwords_and_keys_are_disabled():
    def properties(name: str, kind: str) -> dict[str, Any]:
        return only(made(name), kind).config["properties"]

    assert properties("model", "Microsoft.CognitiveServices/accounts")["disableLocalAuth"] is True
    assert properties("registry", "Microsoft.ContainerRegistry/registries")["adminUserEnabled"] is False
    assert properties("containers", "Microsoft.OperationalInsights/workspaces")["features"]["disableLocalAuth"] is True
    assert properties("redis", "Microsoft.Cache/redisEnterprise/databases")["accessKeysAuthentication"] == "Disabled"
    server = properties("database", "Microsoft.DBforPostgreSQL/flexibleServers")
    assert server["authConfig"]["passwordAuth"] == "Disabled"
    assert "delegatedSubnetResourceId" in server["network"]
    files = properties("storage", "Microsoft.Storage/storageAccounts")
    assert files["allowSharedKeyAccess"] is files["allowBlobPublicAccess"] is False
    vault = properties("vault", "Microsoft.KeyVault/vaults")
    assert vault["enableRbacAuthorization"] is vault["enablePurgeProtection"] is True


@named
def test_role_assignments_use_known_roles_and_principal_types(template: Template):
    assert set(re.findall(r"roleDefinitions', '([0-9a-f-]{36})'", template.text)) <= ROLES.keys()
    for resource in template.resources:
        if resource.type == "Microsoft.Authorization/roleAssignments":
            properties = resource.config["properties"]
            deployer = properties["principalId"] in ("principalId", "pusherId")
            expected = properties["principalId"].removesuffix("Id") + "Type" if deployer else "ServicePrincipal"
            assert properties["principalType"] == expected


def test_trigrams_are_allowed_and_changes_of_the_server_are_sequential():
    chain = [resource for resource in made("database").resources if resource.config.get("parent") == "server"]
    assert [resource.config.get("dependsOn") for resource in chain] == [None, ["extensions"], ["site"]]
    assert chain[0].config["properties"]["value"] == "PG_TRGM"


def test_redis_is_created_for_two_or_more_replicas():
    operands = MAIN.variables["makesRedis"]["value"]["operator"]
    assert (operands["type"], *operands["operands"].values()) == ("greater_than", "replicas", 1)
    assert MAIN.tree["modules"]["redis"]["config"]["condition"] == "makesRedis"
    (minimum,) = (d["argument"] for d in MAIN.parameters["replicas"]["decorators"] if d["type"] == "min_value")
    assert minimum == 1  # without a replica no worker would recover orphans
    assert "minReplicas: int(replicas), maxReplicas: int(replicas)" in WEB.text


def test_a_replica_has_time_to_drain_and_pings_prevent_idle_timeouts():
    grace = re.search(r"terminationGracePeriodSeconds: int\(drainSeconds\) \+ (\d+)", WEB.text)
    assert int(grace[1]) >= max(5, WRITE_SECONDS + SIGN_OFF_SECONDS)
    assert PING_SECONDS < IDLE_SECONDS


def test_probes_use_existing_urls_and_allowed_limits():
    (container,) = only(WEB, "Microsoft.App/containerApps").config["properties"]["template"]["containers"]
    assert [probe["type"] for probe in container["probes"]] == ["Startup", "Liveness", "Readiness"]
    for probe in container["probes"]:
        request = probe["httpGet"]
        assert resolve(request["path"])
        assert request["path"] == ("/readyz" if probe["type"] == "Readiness" else "/healthz")
        assert request["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
        assert request["port"] == int(WEB.variables["settled"]["value"]["PORT"])
        assert probe["failureThreshold"] <= 10
        assert probe.get("initialDelaySeconds", 0) <= 60
