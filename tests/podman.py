"""Podman as the engine for Compose, with images made of this machine's programs instead of those in compose.yaml.

It runs as root, also inside a container. Limits of memory and processes are accepted and not enforced.
"""

import errno
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.machine import lay_services, run
from tests.parts import BUILDER, PODMAN
from tests.site import WAIT

# crun refuses a hybrid hierarchy: in this namespace there is only version 2.
NAMESPACE = "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec"
CONFIGURATION = """
[containers]
cgroups = "disabled"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
events_logger = "file"
exit_command_delay = 1
"""
CHECK_SECONDS = 1
SIOCSIFHWADDR = 0x8924  # linux/sockios.h: sets the hardware address of an interface
ARPHRD_ETHER = 1
NET_ADDR_SET = 3  # linux/netdevice.h: somebody has set the address
START_POSTGRESQL = r"""#!/bin/sh
# The part of the official image's entry point that compose.yaml relies on.
set -eu
[ "$1" = postgres ] || exec "$@"
as="setpriv --reuid=postgres --regid=999 --clear-groups"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    chown postgres "$PGDATA"
    $as initdb -D "$PGDATA" --username="$POSTGRES_USER" --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust \
        --auth-host=scram-sha-256 --no-sync --encoding=UTF8
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    $as pg_ctl -D "$PGDATA" -w -o "-h '' -k /tmp" start
    $as createdb --host=/tmp --username="$POSTGRES_USER" "$POSTGRES_DB"
    $as pg_ctl -D "$PGDATA" -m fast -w stop
fi
exec $as postgres -D "$PGDATA" -k /tmp -h '*' -c fsync=off
"""
START_REDIS = """#!/bin/sh
[ "$1" = redis-server ] && set -- "$@" --protected-mode no
exec "$@"
"""
RECIPES = {
    "postgres": """
ENV PGDATA=/var/lib/postgresql/data PGHOST=/tmp
VOLUME /var/lib/postgresql/data
COPY start-postgresql /usr/bin/
ENTRYPOINT ["start-postgresql"]
STOPSIGNAL SIGINT
CMD ["postgres"]
""",
    # The official image is open to its network too.
    "redis": 'COPY start-redis /usr/bin/\nENTRYPOINT ["start-redis"]\nCMD ["redis-server"]\n',
    "caddy": """
ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
""",
}
BASE = "localhost/services"


class Podman:
    """The engine, with the images of the `store` that buildah fills. `variables` tell Compose where it listens."""

    def __init__(self, folder: Path, store: list[object]) -> None:
        self._folder, self._store = folder, store
        (folder / "containers.conf").write_text(CONFIGURATION)
        url = f"unix://{folder / 'podman.sock'}"
        self.variables = {"DOCKER_HOST": url}
        self._environment = os.environ | {"CONTAINERS_CONF": str(folder / "containers.conf")}
        command = ["unshare", "--mount", "--propagation=private", "sh", "-c", f'{NAMESPACE} "$@"', "sh"]
        command += [PODMAN.find(), *store, "system", "service", "--time=0", url]
        self._log = (folder / "podman.log").open("w")
        self._service = subprocess.Popen(
            [str(part) for part in command], env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._ended = threading.Event()
        while not self._answers():
            assert self._service.poll() is None, (folder / "podman.log").read_text()
        self._checking = threading.Thread(target=self._check, daemon=True)
        self._checking.start()

    def make_stand_ins(self, names: Iterable[str]) -> None:
        """Make images of this machine's PostgreSQL, Redis and Caddy under these names (repository:tag)."""
        folder = self._folder / "services"
        lay_services(folder)
        self._build(folder, BASE, "FROM scratch\nCOPY . /\nENV PATH=/usr/bin:/bin\n")
        shutil.rmtree(folder)
        folder.mkdir()
        for name, script in (("start-postgresql", START_POSTGRESQL), ("start-redis", START_REDIS)):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)
        for name in names:
            recipe = RECIPES[name.partition(":")[0]]
            self._build(folder, f"docker.io/library/{name}", f"FROM {BASE}\n{recipe}")

    def stop(self) -> None:
        self._ended.set()
        self._checking.join(WAIT)
        self._service.terminate()
        self._service.wait(WAIT)
        self._log.close()

    def _build(self, folder: Path, name: str, recipe: str) -> None:
        file = self._folder / "Dockerfile"
        file.write_text(recipe)
        options = ("--isolation=chroot", "--format=docker", "--pull-never", "--quiet")
        run(BUILDER.find(), *self._store, "bud", *options, "--tag", name, "--file", file, folder)

    def _answers(self) -> bool:
        return self._remote("version").returncode == 0

    def _check(self) -> None:
        """Run the health checks, as Docker does itself and Podman leaves to systemd. Fix the addresses of bridges."""
        while not self._ended.wait(CHECK_SECONDS):
            for bridge in Path("/sys/class/net").glob("podman*"):
                fix_address(bridge)
            for line in self._remote("ps", "--format", "{{.ID}} {{.Status}}").stdout.splitlines():
                container, _, status = line.partition(" ")
                if "(starting)" in status and not self._ended.is_set():
                    self._remote("healthcheck", "run", container)

    def _remote(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(PODMAN.find()), "--url", self.variables["DOCKER_HOST"], *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=WAIT, check=False)


def fix_address(bridge: Path) -> None:
    """Keep the hardware address that a bridge has now.

    Otherwise it is the lowest of its containers'. It changes when they start and stop, and then the name server cannot
    be reached by the others for seconds. Fixed in netavark 1.9: https://github.com/containers/netavark/pull/833
    """
    try:
        if int((bridge / "addr_assign_type").read_text()) == NET_ADDR_SET:
            return
        address = bytes.fromhex((bridge / "address").read_text().strip().replace(":", ""))
        request = struct.pack("16sH6s8x", bridge.name.encode(), ARPHRD_ETHER, address)  # a struct ifreq
        with socket.socket(type=socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFHWADDR, request)
    except OSError as error:
        # It has been removed meanwhile, or (EINVAL) is being removed; netdev_show in the kernel's net/core/net-sysfs.c.
        if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EINVAL):
            raise
