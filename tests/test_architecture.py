"""Check which modules may import which, for the whole project in one loop."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.site import ROOT

FOLDERS = ("chatsite", "conversations", "benchmarks")
MAX_LINES = 350  # of a module, so that it can be read in one sitting; the settings are one list
# The packages and modules of conversations/, lowest layer first. Each may import from lower layers and from itself.
LAYERS = (
    {"models", "events", "extraction", "figure", "pagination", "threads", "templatetags", "zip_buffer"},
    {"inference", "rendering", "migrations", "request", "limits", "export", "storage"},
    {"actions", "generation", "sidebar", "session_monitor", "checks", "file_cleanup", "file_responses", "printed"},
    {"page_state", "forms", "importing", "rounds"},
    {"forwarding"},
    {"consumers"},  # below review, without which the core works
    {"review"},
    {"accounts"},
    {"archives"},
    {"views", "admin", "management"},
    {"urls", "routing", "apps"},
)
# Views belong to the core too: all they show of review is the notice on a conversation's page.
FOR_VIEWS = "conversations.review.notices."
# Where chatsite/ may import conversations/. What else it needs is passed to it.
ENTRY_POINTS = {"chatsite/asgi.py", "chatsite/urls.py"}
# The settings build the registry of models, which needs nothing of Django.
FOR_SETTINGS = ("conversations.inference.registry.", "conversations.inference.models_toml.")
# The only places that may import a library, as path prefixes. The environment counts as one.
HOMES = {
    "openai": ("conversations/inference/",),
    "httpx2": ("conversations/inference/",),
    "aiohttp": ("conversations/inference/",),
    "azure": ("chatsite/identity.py",),
    "environs": ("chatsite/settings.py",),
    "channels": (
        "chatsite/asgi.py",
        "conversations/consumers.py",
        "conversations/routing.py",
    ),
    "channels_redis": ("conversations/events.py",),
    "daphne": ("chatsite/server.py", "chatsite/http_protocol.py"),
    "twisted": ("chatsite/server.py", "chatsite/http_protocol.py"),
    "prometheus_client": ("chatsite/metrics.py",),
    "opentelemetry": ("chatsite/otlp.py",),
    "pyromark": ("conversations/rendering/",),
    "nh3": ("conversations/rendering/", "conversations/extraction/html.py"),
    "pygments": ("conversations/rendering/",),
    "math_core": ("conversations/rendering/",),
    "pypdf": ("conversations/extraction/pdf.py",),
    "python_calamine": ("conversations/extraction/excel.py",),
    "PIL": ("conversations/extraction/image.py",),
    "charset_normalizer": ("conversations/extraction/text.py",),
    "os.environ": ("chatsite/settings.py", "chatsite/asgi.py"),  # the latter names the settings module there
    "os.getenv": (),
}
# Benchmarks measure the libraries beside the site, and start processes with an environment of their own.
FREE_OF_HOMES = "benchmarks/"


def imports(tree: ast.Module) -> Iterator[str]:
    """Yield the dotted name of everything imported, and `os.environ` and `os.getenv` where they are read."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            case ast.ImportFrom():
                yield "." * node.level
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "getenv"):
                yield f"os.{node.attr}"


def layer(name: str) -> int | None:
    return next((number for number, names in enumerate(LAYERS) if name in names), None)


def violations(path: str, source: str) -> Iterator[str]:
    """Yield a sentence for each import in `source` that a module at `path` (relative to the project) may not have."""
    folder, here = (*Path(path).with_suffix("").parts, "")[:2]
    for name in imports(ast.parse(source)):
        library, there = (*name.split("."), "")[:2]
        if library == "":
            yield f"{path}: imports are absolute"
        elif library == "conversations":
            if path == "chatsite/settings.py" and name.startswith(FOR_SETTINGS):
                continue
            if folder == "chatsite" and path not in ENTRY_POINTS:
                yield f"{path}: chatsite does not import {name}"
            if folder != "conversations" or here in (there, "__init__"):
                continue
            if layer(here) is None or layer(there) is None:
                yield f"{path}: {here} or {there} is in no layer"
            elif layer(here) <= layer(there):
                yield f"{path}: {here} is not above {there}"
            if (here, there) == ("views", "review") and not name.startswith(FOR_VIEWS):
                yield f"{path}: the core does not import {name}"
        elif library == "benchmarks" and folder != "benchmarks":
            yield f"{path}: only benchmarks import {name}"
        elif library == "tests" and folder != "benchmarks":
            yield f"{path}: only tests and benchmarks import {name}"
        else:
            for homes in (HOMES.get(library), HOMES.get(f"{library}.{there}")):
                if homes is not None and not path.startswith((*homes, FREE_OF_HOMES)):
                    yield f"{path}: {name} is used in {' and '.join(homes) or 'no module'} only"


def test_modules_are_short():
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    long = {path.relative_to(ROOT).as_posix() for path in paths if len(path.read_text().splitlines()) > MAX_LINES}
    assert long == {"chatsite/settings.py"}


def test_every_module_imports_only_what_it_may():
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in paths} == set(FOLDERS)
    found = [violation for path in paths for violation in violations(str(path.relative_to(ROOT)), path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("chatsite/http.py", "from conversations import metrics"),
        ("chatsite/settings.py", "from conversations import models"),
        ("conversations/models/message.py", "from conversations import actions"),
        ("conversations/inference/stream.py", "import conversations.rendering.markdown"),
        ("conversations/actions/questions.py", "from conversations.generation import worker"),
        ("conversations/sidebar.py", "def f():\n    from conversations.review import queue"),
        ("conversations/views/messages.py", "from conversations.review import audit"),
        ("conversations/new.py", "from conversations import models"),
        ("conversations/views/pages.py", "from . import messages"),
        ("conversations/extraction/read.py", "from conversations.models import Message"),
        ("conversations/views/pages.py", "import openai"),
        ("conversations/views/pages.py", "from PIL import Image"),
        ("conversations/inference/endpoint.py", "from azure.identity import ManagedIdentityCredential"),
        ("conversations/generation/worker.py", "from channels_redis.pubsub import RedisPubSubChannelLayer"),
        ("conversations/views/pages.py", "import os\nos.environ.get('DEBUG')"),
        ("conversations/views/pages.py", "from os import environ"),
        ("conversations/views/pages.py", "import os\nos.getenv('DEBUG')"),
        ("chatsite/server.py", "from tests import site"),
        ("conversations/views/pages.py", "from benchmarks import people"),
    ],
)
def test_an_import_that_is_not_allowed_is_found(path: str, source: str):
    assert len(list(violations(path, source))) == 1


def test_an_import_that_is_allowed_is_not():
    source = "from conversations import actions\nfrom conversations.models import Message\nimport json"
    assert list(violations("conversations/views/messages.py", source)) == []


def test_commands_that_ask_no_model_do_not_load_its_sdk():
    # Nor do pages: each of these takes longer to import than everything else together.
    loaded = "import django, sys; django.setup(); import chatsite.urls, conversations.routing; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "conversations.views" in modules.stdout.split()
    assert not {"openai", "aiohttp", "azure.identity"} & set(modules.stdout.split())
