"""Imports run one way, and some libraries have one home."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Each room and what it may import of the others.
ROOMS = {
    "models": set(),
    "inference": {"models"},
    "rendering": {"models"},
    "control": {"metrics"},
    "threads": set(),
    "metrics": set(),
    "generation": {"models", "inference", "rendering", "control", "threads", "metrics"},
    "actions": {"models", "control", "inference"},
    "review": {"models"},
    "forms": {"models"},
    "accounts": {"models", "control"},
    "checks": {"inference"},
    "entra": {"models", "review"},
    "consumers": {"models", "rendering", "generation", "control", "threads", "metrics", "sidebar"},
    "sidebar": {"models", "rendering"},
    "routing": {"consumers"},
    "views": {"models", "rendering", "generation", "inference", "actions", "review", "forms", "metrics"},
    "admin": {"models", "rendering", "control", "review"},
    "management": {"accounts", "models", "inference", "rendering", "generation", "control", "review"},
    "urls": {"views"},
    "middleware": set(),
    "apps": {"accounts", "checks", "review"},
    "migrations": {"models"},
    "templatetags": set(),
}
HOMES = {
    "openai": {"inference"},
    "httpx2": {"inference"},
    "azure": set(),
    "channels": {"consumers", "routing", "control"},
    "daphne": set(),
    "twisted": set(),
    "prometheus_client": {"metrics"},
    "pyromark": {"rendering"},
    "nh3": {"rendering"},
    "pygments": {"rendering"},
    "math_core": {"rendering"},
    "os.environ": set(),
}


def modules() -> list[Path]:
    return sorted((ROOT / "conversations").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT / "conversations").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield every imported name with its module, dotted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_what_its_room_may(path: Path):
    here = room(path)
    if here == "__init__":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "conversations":
            assert parts[1] in ROOMS[here] | {here}, f"{here} may not import {name}"
        elif parts[0] in HOMES:
            assert here in HOMES[parts[0]], f"{name} is not to be imported in {here}"


def test_every_room_is_named():
    assert {room(path) for path in modules()} - {"__init__"} <= set(ROOMS)


def test_only_the_identity_holds_a_credential():
    users = [
        path.name
        for path in sorted((ROOT / "chatsite").glob("*.py"))
        if any(name.split(".")[0] == "azure" for name in imported(path))
    ]
    assert users == ["identity.py"]


def test_only_the_settings_read_the_environment():
    readers = [
        path.relative_to(ROOT)
        for folder in ("chatsite", "conversations")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(name in path.read_text() for name in ("os.environ[", "os.environ.get", "os.getenv", "FileAwareEnv"))
    ]
    assert readers == [Path("chatsite/settings.py")]


def test_commands_that_ask_no_model_do_not_wait_for_its_sdk():
    # With all that pages need: each takes longer to import than everything else together.
    loaded = "import django, sys; django.setup(); import chatsite.urls, conversations.routing; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "conversations.views" in modules.stdout.split()
    assert not {"openai", "aiohttp", "azure.identity"} & set(modules.stdout.split())
