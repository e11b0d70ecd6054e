"""Programs that some tests need, and what becomes of those tests where a program is missing.

A test names what it needs with a marker: `@pytest.mark.browser`. Where the program is missing, its tests are
left out, and the last lines of the run say so. With `CI=true` that is an error: a green run there is a whole
one. `python -m tests.parts MARKER…` prints the Debian packages that are missing for these, for `make` to install.
"""

import os
import shutil
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


BROWSER = Part("browser", ("chromium", "chromium-browser", "google-chrome"), "chromium")
REDIS = Part("redis", ("redis-server",), "redis-server")
POSTGRESQL = Part("postgresql", ("initdb",), "postgresql", off_path="usr/lib/postgresql/*/bin/initdb")
BUILDER = Part("builder", ("buildah",), "buildah")
RUNTIME = Part("container", ("runc",), "runc")
PROXY = Part("proxy", ("caddy",), "caddy")
PARTS = (BROWSER, REDIS, POSTGRESQL, BUILDER, RUNTIME, PROXY)

LEFT_OUT = pytest.StashKey[Counter[Part]]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for part in PARTS:
        config.addinivalue_line("markers", f"{part.marker}: needs {' or '.join(part.programs)}")


@pytest.hookimpl(trylast=True)  # after -k and -m: only what would have run can be left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests whose program is missing. With CI=true, raise UsageError instead."""
    missing = [part for part in PARTS if part.find() is None]
    left_out: Counter[Part] = Counter()
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
    """Say which tests were left out, one line for each missing program."""
    for line in lines(config.stash.get(LEFT_OUT, Counter())):
        terminalreporter.write_line(line, yellow=True)


def lines(left_out: Counter[Part]) -> list[str]:
    """Return a line for each missing program: what it costs, and what would bring it."""
    return [
        f"{count} {part.marker} test(s) cannot run: no {' or '.join(part.programs)} here"
        f" (on Debian: apt-get install {part.debian_package})"
        for part, count in left_out.items()
    ]


if __name__ == "__main__":
    print(*(part.debian_package for part in PARTS if part.marker in sys.argv[1:] and part.find() is None))
