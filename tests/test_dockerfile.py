"""The Dockerfile: linting, and what a container depends on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import resolve

PROJECT = Path(__file__).resolve().parent.parent
DOCKERFILE = PROJECT / "Dockerfile"
NOT_SERVED = {"tests", "benchmarks"}

Stage = dict[str, list[str]]


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """Return, for each build stage, the arguments of its instructions by name."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[Stage] = []
    for line in filter(None, text.splitlines()):
        name, arguments = line.split(maxsplit=1)
        if name == "FROM":
            stages.append({})
        if stages:
            stages[-1].setdefault(name, []).append(" ".join(arguments.split()))
    return stages


@pytest.fixture(scope="module")
def copied(stages: list[Stage]) -> set[str]:
    """Return the paths of the project that the build copies."""
    return {source for copy in stages[1]["COPY"] for source in copy.split()[:-1]}


def test_hadolint_reports_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    result = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_azures_registry_can_read_the_base_image():
    """Before it builds, it expands variables in FROM as Go's `os.Expand`: it fails at `${NAME:+value}`. So: none."""
    stages: set[str] = set()
    for base, stage in re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE.read_text(), flags=re.MULTILINE):
        if base not in stages:  # a tag for people, a digest for builds
            assert re.fullmatch(r"[a-z/.-]+:[\w.-]+@sha256:[0-9a-f]{64}", base)
        stages.add(stage)
    assert stages


def test_the_image_contains_its_version(stages: list[Stage]):
    assert stages[-1]["ARG"] == ["SITE_VERSION=development"]
    assert "SITE_VERSION=${SITE_VERSION}" in stages[-1]["ENV"][0]


def test_the_site_runs_as_a_fixed_user_that_is_not_root(stages: list[Stage]):
    (user,) = stages[-1]["USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_signals_reach_the_server(stages: list[Stage]):
    (command,) = stages[-1]["CMD"]
    assert command == '["python", "manage.py", "serve", "--host", "0.0.0.0"]'
    assert "ENTRYPOINT" not in stages[-1]


def test_only_wheels_with_hashes_in_the_lock_are_installed(stages: list[Stage]):
    (installation,) = (run for stage in stages for run in stage.get("RUN", []) if " pip " in run)
    assert "--require-hashes --only-binary :all: -r requirements.txt" in installation


def test_the_build_context_contains_only_what_the_build_copies(copied: set[str]):
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    everything, *exceptions = (line for line in lines if line and not line.startswith(("#", "**/")))
    assert everything == "*"
    assert {line.removeprefix("!") for line in exceptions} == copied


def test_everything_that_the_site_needs_is_copied(copied: set[str]):
    packages = {path.parent.name for path in PROJECT.glob("*/__init__.py")} - NOT_SERVED
    folders = {Path(folder).name for folder in (*settings.TEMPLATES[0]["DIRS"], *settings.STATICFILES_DIRS)}
    assert packages
    assert packages | folders | {"manage.py", "requirements.txt"} == copied


def test_the_volume_contains_the_data_and_does_not_hide_static_files(stages: list[Stage]):
    (volume,) = stages[-1]["VOLUME"]
    (folder,) = stages[-1]["WORKDIR"]
    data = PROJECT / Path(volume).relative_to(folder)
    assert data == settings.VAR_DIR
    assert not Path(settings.STATIC_ROOT).is_relative_to(data)


def test_the_health_check_requests_an_existing_url(stages: list[Stage]):
    (check,) = stages[-1]["HEALTHCHECK"]
    (path,) = re.findall(r"'(/\w+)'", check)
    assert resolve(path)
