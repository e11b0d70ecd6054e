"""The container image for tests: really built and really run, where no registry of images can be reached.

buildah builds it from the Dockerfile with no daemon. The base is a stand-in: this machine's own Python and C library,
laid out as the official Python images are. If TEST_IMAGE names one of Docker's images, that is used and nothing is
built. runc runs it with a read-only root file system.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import uuid
from pathlib import Path
from typing import Any

from tests.parts import BUILDER, RUNTIME
from tests.site import ROOT, WAIT, Site, environment

TEST_IMAGE = os.environ.get("TEST_IMAGE", "")
BASE = "localhost/python-stand-in"
BASE_RECIPE = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n"
PROGRAMS = ("sh", "env", "install", "groupadd", "useradd")  # what the Dockerfile's RUN lines call
# What compiled packages expect of any glibc system, beside what Python itself is linked with.
LIBRARIES = ("libdl.so.2", "libgcc_s.so.1", "libnss_files.so.2", "libpthread.so.0", "librt.so.1", "libstdc++.so.6")
LEFT_OUT = ("__pycache__", "test", "tests", "site-packages", "dist-packages", "ensurepip", "idlelib", "config-*")
PIP_CONFIGURATION = "[global]\nno-index = true\nfind-links = /wheels\n"
THIS_MACHINES = ("PATH", "HOME", "TMPDIR", "DJANGO_SETTINGS_MODULE")  # a container has its own
BUILD_SECONDS = 300


class Image:
    """An image in `folder`: `root` is its file system, `config` says how it is run."""

    root: Path
    config: dict[str, Any]

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if TEST_IMAGE:
            self._take_from_docker()
        else:
            self._build()

    def _take_from_docker(self) -> None:
        [image] = json.loads(run("docker", "image", "inspect", TEST_IMAGE))
        self.config = image["Config"]
        container = run("docker", "create", TEST_IMAGE).strip()
        self.root = self._folder / "root"
        self.root.mkdir()
        archive = self._folder / "root.tar"
        run("docker", "export", "--output", archive, container)
        run("tar", "--extract", "--file", archive, "--directory", self.root)
        run("docker", "rm", container)

    def _build(self) -> None:
        """Build it, in a store of its own."""
        folder = self._folder
        wheels = folder / "wheels"
        lock = ("--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", ROOT / "requirements.txt")
        run(sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, *lock)
        lay_base(folder / "base")
        (folder / "Dockerfile").write_text(BASE_RECIPE)
        self._buildah("bud", "--isolation=chroot", "--tag", BASE, "--file", folder / "Dockerfile", folder / "base")
        arguments = ("--build-arg", f"PYTHON_IMAGE={BASE}", "--pull-never", "--volume", f"{wheels}:/wheels:ro")
        # Docker's own format: the other one has no health checks.
        self._buildah("bud", "--isolation=chroot", "--format=docker", *arguments, "--tag", "site", ROOT)
        self.config = json.loads(self._buildah("inspect", "--type=image", "site"))["Docker"]["config"]
        self._container = self._buildah("from", "--pull-never", "site").strip()
        self.root = Path(self._buildah("mount", self._container).strip())

    def remove(self) -> None:
        if not TEST_IMAGE:
            self._buildah("umount", self._container)
        shutil.rmtree(self._folder)

    def _buildah(self, *arguments: object) -> str:
        store = ("--root", self._folder / "store", "--runroot", self._folder / "run", "--storage-driver=overlay")
        return run(BUILDER.find(), *store, *arguments)


def run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lay_base(root: Path) -> None:
    """Copy what an official Python image has, as far as the Dockerfile uses it, from this machine to `root`."""
    library = Path(sysconfig.get_path("stdlib"))
    python = Path(sys.executable).resolve()
    inside = root / "usr/local/lib" / library.name
    shutil.copytree(library, inside, ignore=shutil.ignore_patterns(*LEFT_OUT))
    shutil.copytree(Path(sysconfig.get_path("purelib")) / "pip", inside / "pip")
    known = dict(re.findall(r"(\S+) \(.*\) => (/\S+)", run("/sbin/ldconfig", "-p")))
    files = {path: root / "usr/bin" / path.name for path in (Path(shutil.which(name)) for name in PROGRAMS)}
    files[python] = root / "usr/local/bin" / python.name
    linked = {Path(known[name]) for name in LIBRARIES}
    for program in (*files, *library.glob("lib-dynload/*.so")):
        linked.update(map(Path, re.findall(r"(/\S+) \(0x", run("ldd", program))))
    files |= {path: root / str(path).lstrip("/") for path in linked}
    for source, target in files.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    (root / "usr/local/bin/python").symlink_to(python.name)
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin/sh").symlink_to("/usr/bin/sh")
    (root / "tmp").mkdir(mode=0o1777)
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/pip.conf").write_text(PIP_CONFIGURATION)


class Container(Site):
    """The site in a container of the image: as the image's own user, on a read-only root."""

    def __init__(self, image: Image, folder: Path, port: int, database_url: str, **variables: Any) -> None:
        self.name = f"site-{uuid.uuid4().hex}"
        self._image = image
        self._folder = folder
        super().__init__(database_url, PORT=port, **variables)

    def start(self, port: str = "0") -> None:
        super().start(port)
        self.url = self.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  (where it listens is no name to ask it by)

    def _spawn(self, port: str) -> subprocess.Popen[str]:
        command = container(self._image, self._folder, self.name, self._image.config["Cmd"], self.variables)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def kill(self) -> None:
        run(RUNTIME.find(), "kill", self.name, "KILL")  # the runtime passes on every signal but this one
        super().kill()

    @property
    def status(self) -> dict[str, list[str]]:
        """Return what the kernel says of its first process."""
        pid = json.loads(run(RUNTIME.find(), "state", self.name))["pid"]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}

    def check_health(self) -> None:
        """Do what the image's HEALTHCHECK does; fail as it would."""
        _, *check = self._image.config["Healthcheck"]["Test"]
        run(RUNTIME.find(), "exec", self.name, *check)


def run_once(image: Image, folder: Path, *arguments: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    """Run a one-off command of the image to its end."""
    command = container(image, folder, f"once-{uuid.uuid4().hex}", ["python", "manage.py", *arguments], variables)
    return subprocess.run(command, capture_output=True, text=True, timeout=4 * WAIT, check=False)


def container(image: Image, folder: Path, name: str, arguments: list[str], variables: dict[str, Any]) -> list[object]:
    """Write an OCI bundle into `folder`; return the command that runs it. `folder`/var is its volume."""
    bundle, volume = folder / name, folder / "var"
    bundle.mkdir()
    user, group = map(int, image.config["User"].split(":"))
    if not volume.exists():
        volume.mkdir(mode=0o700)
        os.chown(volume, user, group)
    given = {name: value for name, value in environment(**variables).items() if name not in THIS_MACHINES}
    (mounted,) = image.config["Volumes"]
    process = {
        "user": {"uid": user, "gid": group},
        "args": arguments,
        "env": [*image.config["Env"], *(f"{key}={value}" for key, value in given.items())],
        "cwd": image.config["WorkingDir"],
        "noNewPrivileges": True,
    }
    configuration = {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": str(image.root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": mounted, "type": "none", "source": str(volume), "options": ["bind", "rw"]},
        ],
        # No network of its own: it listens on this machine's loopback.
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")]},
    }
    (bundle / "config.json").write_text(json.dumps(configuration))
    return [RUNTIME.find(), "run", "--bundle", bundle, name]
