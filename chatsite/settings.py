"""Settings: the only module that reads the environment.

Each reader is typed and raises `environs.EnvError` with the variable's name for an invalid value, which `manage.py`
prints as one sentence. The environment takes precedence over `.env` in the project's root. A variable can be
set by a file, as container secrets are: `SECRET_KEY_FILE=/run/secrets/key`.
"""

import re
import secrets
from collections.abc import Callable, Sequence
from email.utils import parseaddr
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import certifi
from django.utils.log import CallbackFilter
from environs import FileAwareEnv, validate
from environs.exceptions import EnvError, EnvValidationError

from conversations.inference.models_toml import InvalidModels
from conversations.inference.registry import EndpointSettings, Models, Reasoning, one_model, read_models

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"


def invalid(variable: str, reason: str) -> EnvValidationError:
    """Return the error that stops the start, worded like those of environs."""
    return EnvValidationError(f'Environment variable "{variable}" invalid: {reason}', [reason])


class Environment:
    """The readers of environs. A `*_FILE` that cannot be read is an invalid value too."""

    def __init__(self) -> None:
        self._env = FileAwareEnv(strip_whitespace=True)
        self._env.read_env(BASE_DIR / ".env", recurse=False)

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        read = getattr(self._env, kind)

        def checked(variable: str, *args: Any, **kwargs: Any) -> Any:
            try:
                return read(variable, *args, **kwargs)
            except EnvError:
                raise
            except (ValueError, OSError) as error:
                reason = "it must be the path of a text file that the site can read."
                raise invalid(f"{variable}_FILE", reason) from error

        return checked

    def list(self, variable: str, default: Sequence[str]) -> Sequence[str]:
        """Return the values between commas. Spaces around them do not count."""
        read: Sequence[str] | None = self.__getattr__("list")(variable, None)
        return default if read is None else [value.strip() for value in read if value.strip()]

    def keys(self, variable: str, default: Sequence[str]) -> Sequence[str]:
        """Return such a list, and then its values with their spaces: earlier versions have signed with those."""
        read: Sequence[str] = self.__getattr__("list")(variable, [])
        keys = [*self.list(variable, default), *(value for value in read if value.strip())]
        return list(dict.fromkeys(keys))


env = Environment()


# Hosts, cookies and request limits

DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY", secrets.token_urlsafe(50) if DEBUG else "")
if len(SECRET_KEY) < 32:
    raise invalid("SECRET_KEY", "set it to at least 32 random characters (`make run` writes one to .env).")
SECRET_KEY_FALLBACKS = env.keys("SECRET_KEY_FALLBACKS", [])
# Loopback names are always allowed: a container's health check uses them.
LOOPBACK = ["127.0.0.1", "localhost", "[::1]", "::1"]
# Ports that GitHub Codespaces and Visual Studio Code forward to people who have signed in there: not public sites.
FORWARDED = (".app.github.dev", ".devtunnels.ms")
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", [])
ALLOWED_HOSTS = [
    *env.list("ALLOWED_HOSTS", []),
    *(urlsplit(origin).hostname or "" for origin in CSRF_TRUSTED_ORIGINS),
    *LOOPBACK,
]
for _origin in CSRF_TRUSTED_ORIGINS:
    if not _origin.startswith(("http://", "https://")):
        raise invalid("CSRF_TRUSTED_ORIGINS", f"{_origin!r} must start with http:// or https://.")
    if "*" in _origin:
        raise invalid(
            "CSRF_TRUSTED_ORIGINS", f"wildcards such as {_origin!r} would trust other sites. List each origin."
        )
if "*" in ALLOWED_HOSTS:
    raise invalid("ALLOWED_HOSTS", "'*' would let anyone choose where links in emails lead. List each host.")
IS_PUBLIC = any(name not in LOOPBACK and not name.endswith((".localhost", *FORWARDED)) for name in ALLOWED_HOSTS)
if DEBUG and IS_PUBLIC:
    raise invalid(
        "DEBUG", "error pages would show settings and source code. Turn it off when hosts or origins are public."
    )
ALLAUTH_TRUSTED_PROXY_COUNT = env.int("TRUSTED_PROXY_COUNT", 0, validate=validate.Range(min=0))
# A site with a public https origin is served through TLS. Without one (a laptop, a test, a port that is forwarded
# and also open at localhost) browsers would not send secure cookies back, and nobody could sign in.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = any(
    origin.startswith("https://") and not (urlsplit(origin).hostname or "").endswith(FORWARDED)
    for origin in CSRF_TRUSTED_ORIGINS
)
# Browsers accept this prefix only over https, for this host alone: no other host of the domain can set these cookies.
_prefix = "__Host-" if SESSION_COOKIE_SECURE else ""
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_prefix}sessionid", f"{_prefix}csrftoken"
SECURE_HSTS_SECONDS = 31_536_000 if SESSION_COOKIE_SECURE else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ALLAUTH_TRUSTED_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Seconds. A session ends when it has not been used for the first, and at the latest so long after sign-in.
SESSION_COOKIE_AGE = 7 * 24 * 60 * 60
SESSION_ABSOLUTE_AGE = 30 * 24 * 60 * 60
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "connect-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
# The limit of the server (bytes received) and of Django. 200,000 percent-encoded emoji have 2.4 MB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
PROMPT_CHARACTERS = 200_000
# Where people attach files, bodies may be larger. The proxy of compose.yaml allows a little more than IMPORT_BYTES.
FILE_BYTES = 25 * 1024 * 1024
UPLOAD_BYTES = 32 * 1024 * 1024
UPLOAD_PATHS = re.compile(r"(/api/v1)?/attachments/|/conversations/([0-9a-f-]{36}/messages/)?|/messages/[0-9]+/edit/")
IMPORT_BYTES = 100 * 1024 * 1024 + 64 * 1024  # of a form with a file of 100 MB to import
IMPORT_PATH = "/import/"
SHARED_PATH = "/shared/"  # pages that people may read without signing in
# Always files, never memory. What a process that dies leaves here, `conversations.file_cleanup` deletes.
FILE_UPLOAD_HANDLERS = ["chatsite.uploads.UploadHandler"]
FILE_UPLOAD_TEMP_DIR = VAR_DIR / "uploads"
FILE_UPLOAD_TEMP_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)  # Django's checks require it

SITE_NAME = env.str("SITE_NAME", "Ponder")
SECURITY_CONTACT = env.str("SECURITY_CONTACT", "")
if SECURITY_CONTACT and not re.fullmatch(r"(https://|mailto:)\S+", SECURITY_CONTACT):
    raise invalid("SECURITY_CONTACT", "it must be https:// and an address, or mailto: and an email address.")
SITE_VERSION = env.str("SITE_VERSION", "development")  # set by the image
SIGNUP = env.str("SIGNUP", "open" if DEBUG else "closed")
SIGNUP_DOMAIN = SIGNUP.removeprefix("domain:").lower() if SIGNUP.startswith("domain:") else ""
if SIGNUP not in ("open", "invite", "closed") and "." not in SIGNUP_DOMAIN:
    raise invalid("SIGNUP", "use open, invite, closed, or domain:example.org for email addresses at that domain.")

# Who may read what people share by link: nobody, people who sign in, or also everyone who has the link
SHARING = env.str("SHARING", "members", validate=validate.OneOf(["off", "members", "public"]))

# Review: the reasons for reading conversations, and the keys of the audit trail (the first signs, all verify)

REVIEW_REASONS = env.list("REVIEW_REASONS", ["Safety", "Quality", "Complaint", "Legal request"])
if not REVIEW_REASONS or any(len(reason) > 80 for reason in REVIEW_REASONS):
    raise invalid("REVIEW_REASONS", "list reasons of 1 to 80 characters, separated by commas.")
AUDIT_KEYS = env.keys("AUDIT_KEYS", [SECRET_KEY, *SECRET_KEY_FALLBACKS])
if not AUDIT_KEYS or any(len(key) < 32 for key in AUDIT_KEYS):
    raise invalid("AUDIT_KEYS", "each key needs at least 32 random characters. Put the newest first.")
# Retention in days; 0: no limit. `manage.py prune` deletes what is older.
_days = validate.Range(min=0, max=36_500)
RETAIN_REASONING_DAYS = env.int("RETAIN_REASONING_DAYS", 0, validate=_days)
RETAIN_CONVERSATIONS_DAYS = env.int("RETAIN_CONVERSATIONS_DAYS", 0, validate=_days)
RETAIN_AUDIT_DAYS = env.int("RETAIN_AUDIT_DAYS", 0, validate=_days)
RETAIN_DEACTIVATED_DAYS = env.int("RETAIN_DEACTIVATED_DAYS", 0, validate=_days)

# Database, events and cache

# Threads that use the database: for requests, and for streams and sockets. Few, because Python runs one at a time.
REQUEST_THREADS = 8
STREAM_THREADS = 8
UPLOAD_THREADS = 4  # mostly waiting for the two processes that read files
# A worker counts as dead when another worker, with a working database, has not seen its heartbeat change for this long.
# Not a variable, because replicas need the same value: one with a lower value would take over running generations.
DEAD_SECONDS = 15.0

DATABASES: dict[str, dict[str, Any]] = {
    "default": dict(env.dj_db_url("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}"))
}
_database = DATABASES["default"]
if _database["ENGINE"] == "django.db.backends.sqlite3":
    # Opening a connection costs as much as two queries.
    _database["CONN_MAX_AGE"] = None
    # With several threads, DEFERRED transactions fail with "database is locked"; IMMEDIATE ones wait for the lock.
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # Each thread's connection caches pages and statements: by default 2 MB of pages, which the system's page cache
        # contains anyway, and 128 statements of up to 24 KB.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-512;",
        "cached_statements": 64,
    }
    Path(_database["NAME"]).parent.mkdir(parents=True, exist_ok=True)
elif _database["ENGINE"] == "django.db.backends.postgresql":
    _database["CONN_MAX_AGE"] = 0
    _database["CONN_HEALTH_CHECKS"] = True  # the pool may contain connections that a restarted server has closed
    _given = _database.get("OPTIONS", {})
    _database["OPTIONS"] = {
        # A server that disappeared is noticed within half a minute instead of the system's two hours.
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        **_given,
        # The server ends transactions of processes that were suspended or cut off in one: others wait for their locks.
        "options": f"-c idle_in_transaction_session_timeout={DEAD_SECONDS:.0f}s {_given.get('options', '')}",
        # By default the pool's backoff grows, so it would reconnect long after the server is back, and other workers
        # would take this one for dead. With a short timeout it gives up, and the next use of it tries again.
        "pool": {
            "min_size": 1,
            "max_size": REQUEST_THREADS + STREAM_THREADS + UPLOAD_THREADS,
            "timeout": 5,
            "reconnect_timeout": 2,
        },
    }
else:
    raise invalid("DATABASE_URL", "use sqlite:///path or postgresql://user:password@host:port/name.")
# A password in the URL, or tokens of Microsoft Entra ID, which are sent only through TLS or on loopback.
AUTHENTICATIONS = validate.OneOf(["password", "entra"])
DATABASE_AUTH = env.str("DATABASE_AUTH", "password", validate=AUTHENTICATIONS)
if DATABASE_AUTH == "entra":
    if _database["ENGINE"] != "django.db.backends.postgresql":
        raise invalid("DATABASE_AUTH", "entra needs PostgreSQL. Set DATABASE_URL to postgresql://role@host:5432/name.")
    _options = _database["OPTIONS"]
    if _database["PASSWORD"] or "password" in _options:
        raise invalid("DATABASE_URL", "remove the password. With DATABASE_AUTH=entra a token is used instead.")
    if not _database["USER"]:
        raise invalid("DATABASE_URL", "include the identity's role: postgresql://role@host:5432/name.")
    if _options.setdefault("sslmode", "verify-full").startswith("verify-"):
        _options.setdefault("sslrootcert", certifi.where())  # libpq has no certificate authorities of its own
    elif _options["sslmode"] != "require" and _database["HOST"] not in LOOPBACK:
        raise invalid("DATABASE_URL", "DATABASE_AUTH=entra needs TLS. Remove sslmode.")
    from chatsite.keyless import DatabaseConnection

    _options["pool"]["connection_class"] = DatabaseConnection

# Attached files. By default they are beside an SQLite database.

_is_sqlite_file = _database["ENGINE"].endswith("sqlite3") and _database["NAME"] != ":memory:"
_files = f"{Path(_database['NAME']).absolute()}-files" if _is_sqlite_file else VAR_DIR / "files"
STORAGE_URL = env.str("STORAGE_URL", "") or f"file://{_files}"


def storage_of(url: str) -> dict[str, Any]:
    """Return the entry of STORAGES for the value of STORAGE_URL."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or parts.password:
        raise invalid("STORAGE_URL", "it has no user, password or options: the site uses its own identity.")
    if parts.scheme == "file" and not parts.netloc and parts.path not in ("", "/"):
        options: dict[str, Any] = {"location": unquote(parts.path)}
        options |= {"file_permissions_mode": 0o600, "directory_permissions_mode": 0o700}
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    name = parts.path.strip("/")
    if parts.scheme == "azure" and re.fullmatch(r"[a-z0-9-]{3,63}", name):
        from chatsite.identity import StorageCredential

        account, _, suffix = parts.netloc.partition(".blob.")
        if re.fullmatch(r"[a-z0-9]{3,24}", account):
            options = {
                "account_name": account,
                "azure_container": name,
                "endpoint_suffix": suffix or "core.windows.net",
                "token_credential": StorageCredential(),
                "overwrite_files": True,  # names are random: no need to ask first
                "client_options": {"connection_timeout": 5, "read_timeout": 30, "retry_total": 2},
            }
            return {"BACKEND": "storages.backends.azure_storage.AzureStorage", "OPTIONS": options}
    if parts.scheme == "s3" and not name and re.fullmatch(r"[a-z0-9.-]{3,63}", parts.netloc):
        from boto3.s3.transfer import TransferConfig
        from botocore.config import Config

        options = {
            "bucket_name": parts.netloc,
            # In one piece: pieces of an upload that a killed process has left would stay. Without threads: what reads
            # the database for an upload would leave a connection open in each.
            "transfer_config": TransferConfig(multipart_threshold=2 * UPLOAD_BYTES, use_threads=False),
            "client_config": Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3}),
            "max_memory_size": 2 * 1024 * 1024,
        }
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}
    raise invalid("STORAGE_URL", "use file:///path, azure://account/container or s3://bucket.")


REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL and not REDIS_URL.startswith(("redis://", "rediss://", "unix://")):
    raise invalid("REDIS_URL", "it must start with redis://, rediss:// or unix://.")
REDIS_AUTH = env.str("REDIS_AUTH", "password", validate=AUTHENTICATIONS)
REDIS_HOST: str | dict[str, Any] = REDIS_URL  # as channels_redis takes it
if REDIS_AUTH == "entra":
    _redis = urlsplit(REDIS_URL)
    if _redis.scheme != "rediss" and not (_redis.scheme == "redis" and _redis.hostname in LOOPBACK):
        raise invalid("REDIS_AUTH", "entra needs TLS. Set REDIS_URL to rediss://host:10000.")
    if _redis.username or _redis.password or "password=" in _redis.query:
        raise invalid("REDIS_URL", "remove the user and password. With REDIS_AUTH=entra a token is used instead.")
    from chatsite.keyless import redis_host

    REDIS_HOST = redis_host(REDIS_URL)
# Shared by all replicas, and available during an outage of Redis: sign-in limits are counted here.
# A full cache evicts counters. They expire after five minutes at most, so filling it would take 300 requests a second.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# Email

_email = env.dj_email_url("EMAIL_URL", "console://")
if "EMAIL_BACKEND" not in _email:
    raise invalid("EMAIL_URL", "use smtp://user:password@host:port/?tls=True, or console:// to print emails.")
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST = _email["EMAIL_HOST"] or ""
EMAIL_PORT = _email["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _email["EMAIL_USE_TLS"]
EMAIL_USE_SSL = _email["EMAIL_USE_SSL"]
DEFAULT_FROM_EMAIL = _email.get("DEFAULT_FROM_EMAIL") or "no-reply@localhost"
if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1]:
    raise invalid("EMAIL_URL", "_default_from_email must be an email address.")

# The models: those of MODELS, or one by the variables that are set: at Azure, at an OpenAI-compatible endpoint, or the
# embedded model. `settings.MODELS` is all of it that the rest of the site uses.

AZURE_CLIENT_ID = env.str("AZURE_CLIENT_ID", "")
AZURE_TENANT_ID = env.str("AZURE_TENANT_ID", "")
RUNNING_IN_PRODUCTION = env.bool("RUNNING_IN_PRODUCTION", False)
_models = env.str("MODELS", "")
_azure = env.str("AZURE_INFERENCE_ENDPOINT", "")
_deployment = env.str("AZURE_DEEPSEEK_DEPLOYMENT", "")
_scope = env.str("AZURE_TOKEN_SCOPE", "https://cognitiveservices.azure.com/.default")
_version = env.str("AZURE_API_VERSION", "")
_base_url = env.str("OPENAI_BASE_URL", "")
_key = env.str("OPENAI_API_KEY", "")
_name = env.str("OPENAI_MODEL", "")
_facts = {
    "CONTEXT_TOKENS": env.int("CONTEXT_TOKENS", 0, validate=validate.Range(min=0)),  # 0: what is known of the model
    "MAX_OUTPUT_TOKENS": env.int("MAX_OUTPUT_TOKENS", 0, validate=validate.Range(min=0)),  # 0: the endpoint's limit
    "PREFIX_COMPLETION": env.bool("PREFIX_COMPLETION", None),  # None: what is known of the model
}
THINKING = env.str("THINKING", "", validate=validate.OneOf(["", "on", "off"]))
REASONING_EFFORT = env.str(
    "REASONING_EFFORT", "", validate=validate.OneOf(["", "minimal", "low", "medium", "high", "max"])
)
for _variable, _url in (("AZURE_INFERENCE_ENDPOINT", _azure), ("OPENAI_BASE_URL", _base_url)):
    if _url and not _url.startswith(("http://", "https://")):
        raise invalid(_variable, "it must start with https:// (or http:// for a server on your own network).")
_pinned = Reasoning({"on": True, "off": False}.get(THINKING), REASONING_EFFORT)
if _models:
    for _variable, _value in {
        "AZURE_INFERENCE_ENDPOINT": _azure,
        "AZURE_DEEPSEEK_DEPLOYMENT": _deployment,
        "OPENAI_BASE_URL": _base_url,
        "OPENAI_MODEL": _name,
        **_facts,
    }.items():
        if _value:
            raise invalid(_variable, "MODELS is also set. Set it there, and remove this variable.")
    try:
        MODELS: Models = read_models(
            _models, partial(env.str, default=""), _pinned, token_scope=_scope, api_version=_version
        )
    except InvalidModels as _error:
        raise invalid("MODELS", str(_error)) from _error
else:
    if _azure and (_base_url or _key):
        raise invalid(
            "AZURE_INFERENCE_ENDPOINT", "OPENAI_BASE_URL or OPENAI_API_KEY is also set. Configure only one endpoint."
        )
    if _azure and not _deployment:
        raise invalid("AZURE_DEEPSEEK_DEPLOYMENT", "set it to the name of the model deployment.")
    if _deployment and not _azure:
        raise invalid("AZURE_INFERENCE_ENDPOINT", "set it to the address of the Azure AI resource.")
    if (_base_url or _key) and not _name:
        raise invalid("OPENAI_MODEL", "set it to the name of the model at the endpoint.")
    if _name and not (_base_url or _key):
        raise invalid("OPENAI_BASE_URL", "set it to the endpoint's address, for example https://api.deepseek.com.")
    _endpoint = None
    if _azure:
        _endpoint = EndpointSettings(azure=_azure, token_scope=_scope, api_version=_version)
    elif _name:
        _endpoint = EndpointSettings(
            base_url=_base_url or "https://api.openai.com/v1", key_name="OPENAI_API_KEY", api_key=_key
        )
    _given = {name.lower(): value for name, value in _facts.items() if value or value is False}
    MODELS = one_model(_endpoint, _deployment or _name, _pinned, _given)

SYSTEM_PROMPT = env.str("SYSTEM_PROMPT", "")
# Whether models write titles: at the endpoint that the conversation uses, or also at another one.
TITLES = env.str("TITLES", "on", validate=validate.OneOf(["on", "off", "any-endpoint"]))

GENERATION_CONCURRENCY = env.int("GENERATION_CONCURRENCY", 200, validate=validate.Range(min=1))
USER_CONCURRENCY = env.int("USER_CONCURRENCY", 3, validate=validate.Range(min=1, max=100))
USER_DAILY_TOKENS = env.int("USER_DAILY_TOKENS", 0, validate=validate.Range(min=0))  # 0: no limit
STALL_SECONDS = env.float("STALL_SECONDS", 90.0, validate=validate.Range(min=1))
DRAIN_SECONDS = env.float("DRAIN_SECONDS", 25.0, validate=validate.Range(min=0))
# How long a deletion can be undone. Pages promise ten seconds; the rest is for the page to arrive and to be read.
UNDO_SECONDS = 15.0
PORT = env.int("PORT", 8000, validate=validate.Range(min=0, max=65535))

METRICS_TOKEN = env.str("METRICS_TOKEN", "")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    raise invalid("METRICS_TOKEN", "set it to at least 16 random characters, or remove it.")
LOG_FORMAT = env.str("LOG_FORMAT", "text", validate=validate.OneOf(["text", "json"]))
# As OpenTelemetry names and reads them: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
OTEL_EXPORTER_OTLP_ENDPOINT = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
_collector = urlsplit(OTEL_EXPORTER_OTLP_ENDPOINT)
if OTEL_EXPORTER_OTLP_ENDPOINT and (
    _collector.scheme not in ("http", "https")
    or not _collector.hostname
    or _collector.username
    or _collector.query
    or _collector.fragment
):
    raise invalid("OTEL_EXPORTER_OTLP_ENDPOINT", "it must be like https://collector.example.org:4318, with no user.")
OTEL_EXPORTER_OTLP_HEADERS: dict[str, str] = {}
for _header in env.list("OTEL_EXPORTER_OTLP_HEADERS", []):
    _name, _, _value = (unquote(part.strip()) for part in _header.partition("="))
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", _name, re.ASCII) or not re.fullmatch(r"[ -~]+", _value):
        raise invalid("OTEL_EXPORTER_OTLP_HEADERS", "list headers like api-key=secret, separated by commas.")
    OTEL_EXPORTER_OTLP_HEADERS[_name] = _value
OTEL_SERVICE_NAME = env.str("OTEL_SERVICE_NAME", "ponder")

# Sign-in with Entra ID for the people of one tenant, which has registered this site (docs/entra.md)

ENTRA_TENANT_ID = env.str("ENTRA_TENANT_ID", "").lower()
ENTRA_CLIENT_ID = env.str("ENTRA_CLIENT_ID", "").lower()
ENTRA_CLIENT_SECRET = env.str("ENTRA_CLIENT_SECRET", "")
ENTRA_AUTHORITY_HOST = env.str("ENTRA_AUTHORITY_HOST", "https://login.microsoftonline.com").rstrip("/")
PERSONAL_ACCOUNTS = "9188040d-6c67-4c5b-b112-36a304b66dad"  # the tenant of all personal Microsoft accounts
for _name, _id, _what in (
    ("ENTRA_TENANT_ID", ENTRA_TENANT_ID, "the tenant's id, a GUID ('common' and similar values would let in anyone)"),
    ("ENTRA_CLIENT_ID", ENTRA_CLIENT_ID, "the application (client) id of the app registration, a GUID"),
):
    if not _id and (ENTRA_TENANT_ID or ENTRA_CLIENT_ID or ENTRA_CLIENT_SECRET):
        raise invalid(_name, f"sign-in with Entra ID needs {_what}.")
    if _id and (not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", _id) or _id == PERSONAL_ACCOUNTS):
        raise invalid(_name, f"set it to {_what}.")
if ENTRA_TENANT_ID and not ENTRA_CLIENT_SECRET and not (RUNNING_IN_PRODUCTION and AZURE_CLIENT_ID):
    raise invalid(
        "ENTRA_CLIENT_SECRET",
        "set it. Only on Azure (RUNNING_IN_PRODUCTION and AZURE_CLIENT_ID) can the managed identity replace it.",
    )
if not re.fullmatch(r"https://[\w.-]+(:\d+)?|http://(127\.0\.0\.1|localhost)(:\d+)?", ENTRA_AUTHORITY_HOST):
    raise invalid("ENTRA_AUTHORITY_HOST", "it must be https:// and a host name, with no path.")

# Sign-in with any other OpenID Connect provider (docs/oidc.md)

OIDC_ISSUER = env.str("OIDC_ISSUER", "")
OIDC_CLIENT_ID = env.str("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = env.str("OIDC_CLIENT_SECRET", "")
OIDC_NAME = env.str("OIDC_NAME", "single sign-on")
OIDC_ROLES_CLAIM = env.str("OIDC_ROLES_CLAIM", "")
if OIDC_ISSUER and not re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)[:/])[^\s?#]+", OIDC_ISSUER):
    raise invalid("OIDC_ISSUER", "it must be the provider's issuer, an https:// address.")
for _name, _value in (
    ("OIDC_ISSUER", OIDC_ISSUER),
    ("OIDC_CLIENT_ID", OIDC_CLIENT_ID),
    ("OIDC_CLIENT_SECRET", OIDC_CLIENT_SECRET),
):
    if not _value and (OIDC_ISSUER or OIDC_CLIENT_ID or OIDC_CLIENT_SECRET):
        raise invalid(_name, "sign-in with OpenID Connect needs an issuer, a client id and a client secret.")
if not 0 < len(OIDC_NAME) <= 40:
    raise invalid("OIDC_NAME", "it must have 1 to 40 characters.")

LOCAL_ACCOUNTS = env.bool("LOCAL_ACCOUNTS", True)
if not LOCAL_ACCOUNTS and not (ENTRA_TENANT_ID or OIDC_ISSUER):
    raise invalid("LOCAL_ACCOUNTS", "nobody could sign in. Set ENTRA_TENANT_ID or OIDC_ISSUER first.")

# Django

ROOT_URLCONF = "chatsite.urls"
ASGI_APPLICATION = "chatsite.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "conversations",
    "conversations.accounts",
    "conversations.accounts.entra",
    "conversations.accounts.oidc",
    "conversations.review",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "csp",
    "django_htmx",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "chatsite.middleware.refuse_nul",
    "chatsite.middleware.ignore_cookies",
    "chatsite.time_zones.use_time_zone",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "chatsite.middleware.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "chatsite.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "conversations.accounts.middleware.SessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "chatsite.middleware.DatabaseOutageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "conversations.views.context_processors.site",
            ]
        },
    }
]
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False  # English only; with translations, formatting every number would look up the language
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"  # outside var/, which is a volume in a container
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": storage_of(STORAGE_URL),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "chatsite.static_files.BundledStorage"
    },
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # no page names others, and each file is looked at when the site starts

# Accounts

AUTH_USER_MODEL = "conversations.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": name}
    for name in (
        "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "django.contrib.auth.password_validation.MinimumLengthValidator",
        "conversations.accounts.passwords.KnownPasswordValidator",
        "django.contrib.auth.password_validation.NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "conversations.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}  # of the account that LoginForm found by its username or email address
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_FORMS = {"login": "conversations.accounts.forms.LoginForm", "signup": "conversations.accounts.forms.SignupForm"}
# People must own the address that allows them to sign up. Elsewhere, an email can reveal to nobody but the owner of an
# address whether it has an account. A laptop sends no emails.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if IS_PUBLIC or SIGNUP_DOMAIN else "optional"
ACCOUNT_UNIQUE_EMAIL = True
# Strict where people show that an address is theirs: others may claim it, but claims keep nobody from signing up.
ACCOUNT_PREVENT_ENUMERATION = "strict" if IS_PUBLIC or SIGNUP_DOMAIN or SIGNUP == "invite" else True
ACCOUNT_SESSION_REMEMBER = True
# Ask for the password or another factor again before a change by which somebody could take over the account, and
# report the change by email.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
MFA_ADAPTER = "conversations.accounts.factors.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = LOCAL_ACCOUNTS
MFA_FORMS = {
    "add_webauthn": "conversations.accounts.passkeys.AddPasskeyForm",
    "edit_webauthn": "conversations.accounts.passkeys.RenamePasskeyForm",
}
MFA_TOTP_ISSUER = SITE_NAME  # MFA_TOTP_TOLERANCE stays 0: codes are remembered as used for their half minute only
# A site that requires confirmed addresses does so at sign-in already.
MFA_ALLOW_UNVERIFIED_EMAIL = True
SOCIALACCOUNT_ADAPTER = "conversations.accounts.sso.adapter.SocialAccountAdapter"
# These people need no email address here: none is requested and none is stored.
SOCIALACCOUNT_EMAIL_REQUIRED = False
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_USERNAME_BLACKLIST = ["admin", "administrator", "root", "system"]

# Logs contain events, never the content of messages. The server, the SDK and Azure's libraries log only problems.

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "class": "chatsite.logs.TextFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
        "json": {"()": "chatsite.logs.JsonFormatter"},
    },
    "filters": {
        # A site that is not ready says so itself, once. Django would log each answer to a probe, with level error.
        "no 503": {"()": CallbackFilter, "callback": lambda record: getattr(record, "status_code", None) != 503},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "chatsite": {"level": "INFO"},
        "conversations": {"level": "INFO"},
        "channels_redis": {
            "level": "CRITICAL"
        },  # a traceback per second during an outage of Redis; `events` logs it once
        "azure": {"level": "ERROR"},  # two warnings for each failed token; `identity` logs it once
        "psycopg.pool": {
            "level": "ERROR"
        },  # a warning per attempt during an outage of PostgreSQL, which is logged elsewhere
        "django": {"handlers": [], "level": "WARNING", "propagate": True},
        # Rejected forms and unknown URLs are not worth a line.
        "django.request": {"level": "ERROR", "filters": ["no 503"]},
    },
}
