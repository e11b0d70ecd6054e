"""Programs and history that some tests need, and what becomes of those tests where a part is missing.

A test names what it needs with a marker: `@pytest.mark.redis`. Where the part is missing, its tests are
left out, and the last lines of the run say so. With `CI=true` that is an error: a green run there is a whole
one. `python -m tests.parts MARKER…` prints the Debian packages that are missing for these, for `make` to install.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Part:
    """What the tests with one marker need: any one of the programs."""

    marker: str
    programs: tuple[str, ...]
    debian_package: str
    off_path: str | None = None  # a pattern, relative to /, of where Debian keeps them instead of on PATH

    def find(self) -> Path | None:
        """Return the path of the first program found (the newest version's, off PATH), or None."""
        for program in self.programs:
            if on_path := shutil.which(program):
                return Path(on_path)
        return max(Path("/").glob(self.off_path), default=None) if self.off_path else None

    @property
    def need(self) -> str:
        return " or ".join(self.programs)

    @property
    def remedy(self) -> str:
        return f"on Debian: apt-get install {self.debian_package}"


@dataclass(frozen=True)
class Commit:
    """What the tests with one marker need: a commit of this repository, whose code they run beside today's."""

    marker: str
    id: str
    remedy = "git fetch --unshallow"

    def git(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        # A container often works in a clone of another user's, which git refuses unless it is named.
        command = ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, *arguments]
        return subprocess.run(command, capture_output=True, check=False)

    def find(self) -> str | None:
        """Return the commit's id, or None if this is no clone, or a shallow one that begins later."""
        known = shutil.which("git") and self.git("cat-file", "-e", f"{self.id}^{{commit}}").returncode == 0
        return self.id if known else None

    @property
    def need(self) -> str:
        return f"commit {self.id[:7]}"


@dataclass(frozen=True)
class NodeProgram:
    """What the tests with one marker need from npm: a program that `make test` installs from a lock in tests/."""

    marker: str
    program: str
    remedy = "install npm, then run `make test` again"

    def find(self) -> Path | None:
        path = ROOT / ".venv" / self.marker / "node_modules/.bin" / self.program
        return path if path.exists() else None

    @property
    def need(self) -> str:
        return self.program


ROOT = Path(__file__).parent.parent
# The shell is what Playwright itself uses without a display: smaller, and twice as fast as the whole browser.
BROWSER = Part(
    "browser",
    ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
    "chromium-headless-shell",
)
REDIS = Part("redis", ("redis-server",), "redis-server")
POSTGRESQL = Part("postgresql", ("initdb",), "postgresql", off_path="usr/lib/postgresql/*/bin/initdb")
BUILDER = Part("builder", ("buildah",), "buildah")
RUNTIME = Part("container", ("runc",), "runc")
PODMAN = Part("podman", ("podman",), "podman crun netavark aardvark-dns iptables")
INIT = Part("podman", ("catatonit",), "catatonit")  # Podman's, for services with `init: true`
PROXY = Part("proxy", ("caddy",), "caddy")
PROMETHEUS = Part("prometheus", ("prometheus",), "prometheus")
NPM = Part("azurite", ("npm",), "npm")
PROGRAMS = (BROWSER, REDIS, POSTGRESQL, BUILDER, RUNTIME, PODMAN, INIT, PROXY, PROMETHEUS, NPM)
AZURITE = NodeProgram("azurite", "azurite-blob")
# What an old replica runs beside a new one. Move it on when today's packages do not run it any more.
HISTORY = Commit("history", "d1a57fc3355b2e1be27cc3fc34b272ce97e7f6e0")
PARTS = (*PROGRAMS, AZURITE, HISTORY)

LEFT_OUT = pytest.StashKey[Counter[Part | NodeProgram | Commit]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for part in PARTS:
        config.addinivalue_line("markers", f"{part.marker}: needs {part.need}")


@pytest.hookimpl(trylast=True)  # after -k and -m: only what would have run can be left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose part is missing. With CI=true, raise UsageError instead."""
    missing = [part for part in PARTS if part.find() is None]
    left_out: Counter[Part | NodeProgram | Commit] = Counter()
    able, unable = [], []
    for item in items:
        lacking = [part for part in missing if item.get_closest_marker(part.marker)]
        left_out.update(lacking)
        (unable if lacking else able).append(item)
    if unable and os.environ.get("CI") == "true":
        raise pytest.UsageError(*lines(left_out))
    config.stash[LEFT_OUT] = left_out
    config.hook.pytest_deselected(items=unable)
    items[:] = able


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which tests were left out, one line for each missing part."""
    for line in lines(config.stash.get(LEFT_OUT, Counter())):
        terminalreporter.write_line(line, yellow=True)


def lines(left_out: Counter[Part | NodeProgram | Commit]) -> list[str]:
    """Return a line for each missing part: what it costs, and what would bring it."""
    return [
        f"{count} {part.marker} test(s) cannot run: no {part.need} here ({part.remedy})"
        for part, count in left_out.items()
    ]


if __name__ == "__main__":
    print(*(part.debian_package for part in PROGRAMS if part.marker in sys.argv[1:] and part.find() is None))
