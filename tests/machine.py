"""File systems for containers, copied from this machine: without a registry of images there are no others."""

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from tests.parts import POSTGRESQL, PROXY, REDIS

# What compiled packages expect of any glibc system, beside what a program itself is linked with.
LIBRARIES = ("libdl.so.2", "libgcc_s.so.1", "libnss_files.so.2", "libpthread.so.0", "librt.so.1", "libstdc++.so.6")
PYTHON_LEFT_OUT = ("__pycache__", "test", "tests", "site-packages", "dist-packages", "ensurepip", "idlelib", "config-*")
POSTGRESQL_LEFT_OUT = ("bitcode", "llvmjit*")
PIP_CONFIGURATION = "[global]\nno-index = true\nfind-links = /wheels\n"
# What the Dockerfile's RUN lines call, and what compose.yaml and the scripts in deploy/ call.
SITE_PROGRAMS = ["sh", "env", "install", "groupadd", "useradd", "sleep"]
SERVICE_PROGRAMS = [
    *("sh", "env", "cat", "chown", "cp", "date", "dirname", "find", "grep", "ln", "mkdir", "mktemp", "mv"),
    *("rm", "setpriv", "sleep", "sort", "sync", "tail", "wc"),
]
COMMAND_SECONDS = 300


def run(*command: object, **options: object) -> str:
    """Run a program; return what it prints. Fail with its output if it fails."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lay_python(root: Path) -> None:
    """Copy what an official Python image has, as far as the Dockerfile uses it, to `root`."""
    library = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.executable).resolve()
    inside = root / "usr/local/lib" / library.name
    shutil.copytree(library, inside, ignore=shutil.ignore_patterns(*PYTHON_LEFT_OUT))
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", inside / "pip")
    lay_programs(root, SITE_PROGRAMS, [python, *library.glob("lib-dynload/*.so")])
    (root / "usr/local/bin").mkdir()
    shutil.copy2(python, root / "usr/local/bin")
    (root / "usr/local/bin/python").symlink_to(python.name)
    (root / "etc/pip.conf").write_text(PIP_CONFIGURATION)


def lay_services(root: Path) -> None:
    """Copy PostgreSQL, Redis and Caddy to `root`, their programs to its /usr/bin."""
    binaries = POSTGRESQL.find().resolve().parent
    installed = binaries.parent  # /usr/lib/postgresql/<version>
    shared = Path("/usr/share/postgresql", installed.name)
    for folder in (installed, shared, Path("/usr/share/zoneinfo")):
        ignore = shutil.ignore_patterns(*POSTGRESQL_LEFT_OUT)
        shutil.copytree(folder, root / folder.relative_to("/"), symlinks=True, ignore=ignore)
    programs = [*SERVICE_PROGRAMS, REDIS.find(), "redis-cli", PROXY.find()]
    lay_programs(root, programs, (root / installed.relative_to("/")).glob("*/*"))
    for path in binaries.iterdir():
        link = root / "usr/bin" / path.name
        link.unlink(missing_ok=True)  # Debian's wrapper of that name
        link.symlink_to(path)
    with (root / "etc/passwd").open("a") as users:
        users.write("postgres:x:999:999::/:/bin/sh\n")


def lay_programs(root: Path, programs: Iterable[str | Path], linked: Iterable[Path]) -> None:
    """Copy programs to /usr/bin in `root`, with the libraries of these and of other `linked` files."""
    known = dict(re.findall(r"(\S+) \(.*\) => (/\S+)", run("/sbin/ldconfig", "-p")))
    found = [Path(shutil.which(program)) for program in programs]
    libraries = {Path(known[name]) for name in LIBRARIES}
    for binary in (*found, *linked):
        # It fails for what is linked with nothing.
        listed = subprocess.run(["ldd", binary], capture_output=True, text=True, check=False).stdout
        libraries.update(map(Path, re.findall(r"(/\S+) \(0x", listed)))
    files = {path: root / "usr/bin" / path.name for path in found}
    files |= {path: root / str(path).lstrip("/") for path in libraries}
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/sh").symlink_to("/usr/bin/sh")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
