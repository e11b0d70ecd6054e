"""Which variables `chatsite/settings.py` reads, and which values it rejects."""

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest
from environs import FileAwareEnv
from environs.exceptions import EnvError

ROOT = Path(__file__).parent.parent


def variables_of_settings() -> set[str]:
    """Return the names of the variables that the settings read."""
    calls = (
        node for node in ast.walk(ast.parse((ROOT / "chatsite/settings.py").read_text())) if isinstance(node, ast.Call)
    )
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "env"
        and call.func.attr != "read_env"
    }


def read(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """Return the settings that these variables produce; this process keeps its own."""
    monkeypatch.setattr(FileAwareEnv, "read_env", lambda *_, **__: None)  # a developer's .env
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "chatsite/settings.py"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "short"),
        ("DEBUG", "maybe"),
        ("ALLOWED_HOSTS", "*"),
        ("CSRF_TRUSTED_ORIGINS", "https://*.example.org"),
        ("SIGNUP", "sometimes"),
        ("SIGNUP", "domain:"),
        ("DATABASE_URL", "mysql://somewhere"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "http://somewhere"),
        ("EMAIL_URL", "pigeon://somewhere"),
        ("CSRF_TRUSTED_ORIGINS", "chat.example.org"),
        ("TRUSTED_PROXY_COUNT", "-1"),
        ("OPENAI_BASE_URL", "api.example.com"),
        ("OPENAI_MODEL", ""),
        ("AZURE_INFERENCE_ENDPOINT", "https://name.services.ai.azure.com"),
        ("CONTEXT_TOKENS", "many"),
        ("THINKING", "perhaps"),
        ("REASONING_EFFORT", "heroic"),
        ("PREFIX_COMPLETION", "sometimes"),
        ("USER_CONCURRENCY", "0"),
        ("GENERATION_CONCURRENCY", "none"),
        ("STALL_SECONDS", "0"),
        ("DRAIN_SECONDS", "-5"),
        ("PORT", "99999"),
        ("LOG_FORMAT", "xml"),
        ("METRICS_TOKEN", "short"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:password@collector:4318"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%0Ab"),
        ("SECURITY_CONTACT", "security@example.org"),
        ("SECURITY_CONTACT", "https://example.org\nContact: https://evil.example"),
        ("USER_DAILY_TOKENS", "plenty"),
        ("RETAIN_CONVERSATIONS_DAYS", "-1"),
        ("RETAIN_CONVERSATIONS_DAYS", "1000000"),
        ("AUDIT_KEYS", "short"),
        ("OPENAI_API_KEY_FILE", "/nowhere/key"),
        ("OPENAI_API_KEY_FILE", "/"),
    ],
)
def test_an_invalid_value_stops_the_start_and_names_the_variable(monkeypatch, variable: str, value: str):
    connected = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_MODEL": "m"}
    with pytest.raises(EnvError, match=f'"{variable}"'):
        read(monkeypatch, **connected | {variable: value})


@pytest.mark.parametrize(
    ("variable", "value"), [("ALLOWED_HOSTS", "chat.example.org"), ("CSRF_TRUSTED_ORIGINS", "http://192.0.2.1:8000")]
)
def test_debug_mode_is_rejected_on_a_public_site(monkeypatch, variable: str, value: str):
    with pytest.raises(EnvError, match='"DEBUG" invalid'):
        read(monkeypatch, DEBUG="true", **{variable: value})
    assert read(monkeypatch, DEBUG="false", **{variable: value})["DEBUG"] is False


def test_debug_mode_is_allowed_on_a_local_site(monkeypatch):
    hosts = {"ALLOWED_HOSTS": "site.localhost", "CSRF_TRUSTED_ORIGINS": "http://127.0.0.1:8000"}
    assert read(monkeypatch, DEBUG="true", **hosts)["DEBUG"] is True


@pytest.mark.parametrize("host", ["name-8000.app.github.dev", "abc123-8000.euw.devtunnels.ms"])
def test_a_forwarded_port_is_not_a_public_site(monkeypatch, host: str):
    found = read(monkeypatch, DEBUG="true", CSRF_TRUSTED_ORIGINS=f"https://{host}")
    # The same site is open at http://localhost, where a browser keeps no secure cookies.
    assert (found["SESSION_COOKIE_SECURE"], found["CSRF_COOKIE_SECURE"], found["SECURE_HSTS_SECONDS"]) == (
        False,
        False,
        0,
    )
    public = read(monkeypatch, DEBUG="false", CSRF_TRUSTED_ORIGINS=f"https://{host},https://chat.example.org")
    assert public["SESSION_COOKIE_SECURE"] is True


def test_the_hosts_of_trusted_origins_are_allowed(monkeypatch):
    found = read(monkeypatch, ALLOWED_HOSTS="a.example.org", CSRF_TRUSTED_ORIGINS="https://b.example.org:8443")
    assert found["ALLOWED_HOSTS"][:2] == ["a.example.org", "b.example.org"]


@pytest.mark.parametrize(
    "variable", ["AUDIT_KEYS", "SECRET_KEY_FALLBACKS", "CSRF_TRUSTED_ORIGINS", "ALLOWED_HOSTS", "REVIEW_REASONS"]
)
def test_spaces_around_commas_do_not_count(monkeypatch, variable: str):
    values = [f"https://{letter * 50}.example.org" for letter in "ab"]
    assert list(read(monkeypatch, **{variable: f" {values[0]}, {values[1]} ,"})[variable])[:2] == values


def test_what_was_signed_with_a_key_and_its_spaces_remains_valid(monkeypatch):
    key, old = "k" * 50, "o" * 50
    found = read(monkeypatch, SECRET_KEY=f"{key}\n", SECRET_KEY_FALLBACKS=f"{old} ")
    assert (found["SECRET_KEY"], found["SECRET_KEY_FALLBACKS"]) == (f"{key}\n", [old, f"{old} "])
    assert found["AUDIT_KEYS"] == [f"{key}\n", old, f"{old} "]
    assert read(monkeypatch, AUDIT_KEYS=f"{key}, {old}\n")["AUDIT_KEYS"] == [key, old, f" {old}\n"]


@pytest.mark.parametrize(("debug", "signup"), [("false", "closed"), ("true", "open")])
def test_nobody_signs_up_by_default_except_where_developers_work(monkeypatch, debug: str, signup: str):
    monkeypatch.delenv("SIGNUP")
    assert read(monkeypatch, DEBUG=debug)["SIGNUP"] == signup


def test_an_azure_endpoint_needs_its_deployment(monkeypatch):
    with pytest.raises(EnvError, match='"AZURE_DEEPSEEK_DEPLOYMENT" invalid'):
        read(monkeypatch, AZURE_INFERENCE_ENDPOINT="https://name.services.ai.azure.com")


@pytest.mark.parametrize(
    ("origins", "prefix"), [("", ""), ("http://chat.lan:8000", ""), ("https://chat.example.org", "__Host-")]
)
def test_over_https_no_other_host_can_set_the_cookies(monkeypatch, origins: str, prefix: str):
    found = read(monkeypatch, CSRF_TRUSTED_ORIGINS=origins)
    assert (found["SESSION_COOKIE_NAME"], found["CSRF_COOKIE_NAME"]) == (f"{prefix}sessionid", f"{prefix}csrftoken")
    assert found["SESSION_COOKIE_SECURE"] == found["CSRF_COOKIE_SECURE"] == bool(prefix)
    # Browsers accept the prefix only with this path and without a domain, which are Django's defaults.
    assert not any(
        name.startswith(("SESSION_COOKIE_", "CSRF_COOKIE_")) and name.endswith(("PATH", "DOMAIN")) for name in found
    )


POSTGRESQL = "postgresql://app@db.example.org/site"
REDIS = "rediss://redis.example.org:10000"


@pytest.mark.parametrize(
    ("variable", "variables"),
    [
        ("DATABASE_AUTH", {"DATABASE_AUTH": "kerberos", "DATABASE_URL": POSTGRESQL}),
        ("DATABASE_AUTH", {"DATABASE_AUTH": "entra", "DATABASE_URL": "sqlite://:memory:"}),
        ("DATABASE_URL", {"DATABASE_AUTH": "entra", "DATABASE_URL": "postgresql://app:secret@db.example.org/site"}),
        ("DATABASE_URL", {"DATABASE_AUTH": "entra", "DATABASE_URL": f"{POSTGRESQL}?password=secret"}),
        ("DATABASE_URL", {"DATABASE_AUTH": "entra", "DATABASE_URL": "postgresql://db.example.org/site"}),
        ("DATABASE_URL", {"DATABASE_AUTH": "entra", "DATABASE_URL": f"{POSTGRESQL}?sslmode=prefer"}),
        ("REDIS_AUTH", {"REDIS_AUTH": "kerberos", "REDIS_URL": REDIS}),
        ("REDIS_AUTH", {"REDIS_AUTH": "entra", "REDIS_URL": ""}),
        ("REDIS_AUTH", {"REDIS_AUTH": "entra", "REDIS_URL": "redis://redis.example.org:6379"}),
        ("REDIS_AUTH", {"REDIS_AUTH": "entra", "REDIS_URL": "unix:///run/redis"}),
        ("REDIS_URL", {"REDIS_AUTH": "entra", "REDIS_URL": "rediss://:secret@redis.example.org:10000"}),
        ("REDIS_URL", {"REDIS_AUTH": "entra", "REDIS_URL": f"{REDIS}?password=secret"}),
    ],
)
def test_invalid_keyless_connections_stop_the_start(monkeypatch, variable: str, variables: dict[str, str]):
    with pytest.raises(EnvError, match=f'"{variable}" invalid') as refusal:
        read(monkeypatch, **variables)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("query", "mode", "verifies"),
    [("", "verify-full", True), ("?sslmode=verify-ca", "verify-ca", True), ("?sslmode=require", "require", False)],
)
def test_tokens_are_sent_to_a_database_only_through_tls(monkeypatch, query: str, mode: str, verifies: bool):
    options = read(monkeypatch, DATABASE_AUTH="entra", DATABASE_URL=POSTGRESQL + query)["DATABASES"]["default"][
        "OPTIONS"
    ]
    assert options["sslmode"] == mode
    assert ("sslrootcert" in options) == verifies


def test_a_custom_certificate_authority_is_kept(monkeypatch):
    url = f"{POSTGRESQL}?sslrootcert=/etc/ours.pem"
    options = read(monkeypatch, DATABASE_AUTH="entra", DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/ours.pem")


def test_on_loopback_a_token_needs_no_tls(monkeypatch):
    url = "postgresql://app@127.0.0.1/site?sslmode=disable"
    found = read(
        monkeypatch, DATABASE_AUTH="entra", DATABASE_URL=url, REDIS_AUTH="entra", REDIS_URL="redis://127.0.0.1"
    )
    assert found["DATABASES"]["default"]["OPTIONS"]["sslmode"] == "disable"


TENANT = {
    "ENTRA_TENANT_ID": "11111111-2222-4333-8444-555555555555",
    "ENTRA_CLIENT_ID": "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    "ENTRA_CLIENT_SECRET": "secret",
}
KEYLESS = {"ENTRA_CLIENT_SECRET": "", "RUNNING_IN_PRODUCTION": "true", "AZURE_CLIENT_ID": "identity"}


@pytest.mark.parametrize(
    ("variable", "variables"),
    [
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "common"}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "organizations"}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "consumers"}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "9188040d-6c67-4c5b-b112-36a304b66dad"}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "example.org"}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": ""}),
        ("ENTRA_TENANT_ID", {"ENTRA_TENANT_ID": "", "ENTRA_CLIENT_ID": ""}),
        ("ENTRA_CLIENT_ID", {"ENTRA_CLIENT_ID": ""}),
        ("ENTRA_CLIENT_ID", {"ENTRA_CLIENT_ID": "ponder"}),
        ("ENTRA_CLIENT_SECRET", {"ENTRA_CLIENT_SECRET": ""}),
        ("ENTRA_CLIENT_SECRET", KEYLESS | {"RUNNING_IN_PRODUCTION": "false"}),
        ("ENTRA_CLIENT_SECRET", KEYLESS | {"AZURE_CLIENT_ID": ""}),
        ("ENTRA_AUTHORITY_HOST", {"ENTRA_AUTHORITY_HOST": "http://login.example.org"}),
        ("ENTRA_AUTHORITY_HOST", {"ENTRA_AUTHORITY_HOST": "https://login.example.org/tenant"}),
        ("ENTRA_AUTHORITY_HOST", {"ENTRA_AUTHORITY_HOST": "login.example.org"}),
    ],
)
def test_an_invalid_tenant_or_a_missing_secret_stops_the_start(monkeypatch, variable: str, variables: dict[str, str]):
    with pytest.raises(EnvError, match=f'"{variable}" invalid'):
        read(monkeypatch, **TENANT | variables)


def test_a_tenant_needs_a_secret_or_the_managed_identity(monkeypatch):
    for variables in (TENANT, TENANT | KEYLESS, TENANT | {"ENTRA_AUTHORITY_HOST": "https://login.microsoftonline.us/"}):
        found = read(monkeypatch, **variables)
        assert found["ENTRA_CLIENT_ID"] == "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
    assert found["ENTRA_AUTHORITY_HOST"] == "https://login.microsoftonline.us"


PROVIDER = {
    "OIDC_ISSUER": "https://id.example.org/realms/main",
    "OIDC_CLIENT_ID": "ponder",
    "OIDC_CLIENT_SECRET": "secret",
}


@pytest.mark.parametrize(
    ("variable", "variables"),
    [
        ("OIDC_ISSUER", {"OIDC_ISSUER": "http://id.example.org"}),
        ("OIDC_ISSUER", {"OIDC_ISSUER": "id.example.org"}),
        ("OIDC_ISSUER", {"OIDC_ISSUER": "https://id.example.org/?realm=main"}),
        ("OIDC_ISSUER", {"OIDC_ISSUER": ""}),
        ("OIDC_CLIENT_ID", {"OIDC_CLIENT_ID": ""}),
        ("OIDC_CLIENT_SECRET", {"OIDC_CLIENT_SECRET": ""}),
        ("OIDC_NAME", {"OIDC_NAME": ""}),
        ("OIDC_NAME", {"OIDC_NAME": "x" * 41}),
        ("LOCAL_ACCOUNTS", {"LOCAL_ACCOUNTS": "false", **dict.fromkeys(PROVIDER, "")}),
        ("LOCAL_ACCOUNTS", {"LOCAL_ACCOUNTS": "perhaps"}),
    ],
)
def test_an_invalid_provider_stops_the_start(monkeypatch, variable: str, variables: dict[str, str]):
    with pytest.raises(EnvError, match=f'"{variable}" invalid'):
        read(monkeypatch, **PROVIDER | variables)


def test_without_local_accounts_one_provider_is_enough(monkeypatch):
    for variables in (PROVIDER, TENANT | dict.fromkeys(PROVIDER, "")):
        assert read(monkeypatch, LOCAL_ACCOUNTS="false", **variables)["LOCAL_ACCOUNTS"] is False


@pytest.mark.parametrize(
    ("variables", "confirms"),
    [
        ({}, False),
        ({"CSRF_TRUSTED_ORIGINS": "https://name-8000.app.github.dev"}, False),
        ({"SIGNUP": "domain:example.org"}, True),
        ({"CSRF_TRUSTED_ORIGINS": "https://chat.example.org"}, True),
    ],
)
def test_people_confirm_their_addresses_on_a_public_site(monkeypatch, variables: dict[str, str], confirms: bool):
    found = read(monkeypatch, **variables)
    assert (found["ACCOUNT_EMAIL_VERIFICATION"] == "mandatory") == confirms
    assert (found["ACCOUNT_PREVENT_ENUMERATION"] == "strict") == confirms
