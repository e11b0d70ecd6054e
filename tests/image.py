"""The container image for tests: really built and really run, where no registry of images can be reached.

buildah builds it from the Dockerfile with no daemon. The base is a stand-in: this machine's own Python and C library,
laid out as the official Python images are. If TEST_IMAGE names one of Docker's images, that is used and nothing is
built. runc runs it with a read-only root file system; tests/podman.py runs it with Compose.
"""

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

from tests.machine import lay_python, run
from tests.parts import BUILDER, RUNTIME
from tests.site import ROOT, WAIT, Site, environment

TEST_IMAGE = os.environ.get("TEST_IMAGE", "")
BASE = "localhost/python-stand-in"
BASE_RECIPE = "FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin:/usr/bin:/bin\n"
THIS_MACHINES = ("PATH", "HOME", "TMPDIR", "DJANGO_SETTINGS_MODULE")  # a container has its own


class Image:
    """An image in `folder`: `root` is its file system, `config` says how it is run, `name` is its name in `store`."""

    root: Path
    config: dict[str, Any]
    name = TEST_IMAGE or "localhost/site"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # For buildah and Podman.
        self.store = ["--root", folder / "store", "--runroot", folder / "run", "--storage-driver=overlay"]
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
        lay_python(folder / "base")
        (folder / "Dockerfile").write_text(BASE_RECIPE)
        self._buildah("bud", "--isolation=chroot", "--tag", BASE, "--file", folder / "Dockerfile", folder / "base")
        arguments = ("--from", BASE, "--pull-never", "--volume", f"{wheels}:/wheels:ro")
        # Docker's own format: the other one has no health checks.
        self._buildah("bud", "--isolation=chroot", "--format=docker", *arguments, "--tag", self.name, ROOT)
        self.config = json.loads(self._buildah("inspect", "--type=image", self.name))["Docker"]["config"]
        container = self._buildah("from", "--pull-never", self.name).strip()
        self.root = Path(self._buildah("mount", container).strip())

    def remove(self) -> None:
        if not TEST_IMAGE:
            run("umount", "--recursive", self._folder / "store/overlay")  # also what other programs have mounted
        shutil.rmtree(self._folder)

    def _buildah(self, *arguments: object) -> str:
        return run(BUILDER.find(), *self.store, *arguments)


class Container(Site):
    """The site in a container of the image: as the image's own user, on a read-only root."""

    def __init__(self, image: Image, folder: Path, database_url: str, **variables: Any) -> None:
        self.name = f"site-{uuid.uuid4().hex}"
        self._image = image
        self._folder = folder
        super().__init__(database_url, **variables)

    def start(self) -> None:
        super().start()
        self.url = self.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  (where it listens is no name to ask it by)

    def _spawn(self) -> subprocess.Popen[str]:
        variables = self.variables | {"PORT": self.port}
        command = container(self._image, self._folder, self.name, self._image.config["Cmd"], variables)
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
    variables = {"STORAGE_URL": "file:///app/var/files"} | variables
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
