"""Run `manage.py` and modules in processes that are forked from one that has already imported the libraries.

Importing them is most of a start, and the tests start more than two hundred processes. What is imported beforehand does
not read the settings, and a forked process runs `manage.py` like any other. `make run`, the image and the benchmarks
start it as usual.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TextIO

LIBRARIES = [
    "aiohttp",
    "allauth.account.app_settings",
    "allauth.account.signals",
    "allauth.core.internal.modelkit",
    "allauth.core.internal.ratelimit",
    "allauth.decorators",
    "allauth.mfa.app_settings",
    "allauth.socialaccount.app_settings",
    "allauth.socialaccount.signals",
    "autobahn.twisted.wamp",
    "autobahn.wamp.protocol",
    "autobahn.websocket.protocol",
    "azure.identity",
    "channels.layers",
    "channels_redis.pubsub",
    "cryptography.x509",
    "csp.middleware",
    "dj_database_url",
    "django.contrib.admin.helpers",
    "django.contrib.admin.templatetags.admin_list",
    "django.contrib.admin.templatetags.admin_modify",
    "django.contrib.admin.templatetags.log",
    "django.contrib.admin.views.main",
    "django.contrib.auth.password_validation",
    "django.contrib.humanize.templatetags.humanize",
    "django.contrib.sessions.backends.db",
    "django.core.cache.backends.db",
    "django.core.management.commands.migrate",
    "django.db.backends.postgresql.psycopg_any",
    "django.db.backends.sqlite3.base",
    "django.db.migrations.executor",
    "django.template.defaulttags",
    "django.test.signals",
    "django.views.debug",
    "django_htmx.middleware",
    "environs",
    "fido2.server",
    "httpcore2",
    "httpx2",
    "jwt",
    "math_core",
    "nh3",
    "openai.resources.chat",
    "packaging.version",
    "prometheus_client",
    "psycopg",
    "psycopg_pool",
    "pygments.formatters",
    "pygments.lexers",
    "pyromark",
    "qrcode.image.svg",
    "redis.asyncio",
    "requests",
    "service_identity",
    "tomllib",
    "twisted.internet.endpoints",
    "twisted.internet.ssl",
    "twisted.web.http",
    "uvloop",
    "whitenoise.middleware",
    "whitenoise.storage",
]
# Of our own, what takes long: regular expressions are compiled.
OWN = [
    "chatsite.static_files",
    "conversations.extraction",
    "conversations.inference.registry",
    "conversations.rendering.compare",
    "conversations.rendering.find",
    "conversations.rendering.incremental",
    "conversations.rendering.pool",
    "conversations.rendering.snippets",
]

ROOT = Path(__file__).parent.parent
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*LIBRARIES, *OWN])
_lock = threading.Lock()  # multiprocessing's own bookkeeping is not safe for threads that start and wait


class Process:
    """`manage.py` of the checkout at `root`, or a module (`-m`, its name), with what tests use of `subprocess.Popen`.

    Its errors go to `stdout` too, unless `separate`: then to `stderr`.
    """

    def __init__(
        self, root: Path, arguments: Sequence[str], environment: Mapping[str, str], *, separate: bool = False
    ) -> None:
        pipes = [_context.Pipe(duplex=False) for _ in range(1 + separate)]
        given = (root, arguments, dict(environment), pipes[0][1], pipes[-1][1])
        # A daemon, so that one which a test leaves behind ends with the tests.
        self._process = _context.Process(target=_run, args=given, daemon=True)
        with _lock:
            self._process.start()
        self.pid: int = self._process.pid or 0
        for _, write in pipes:
            write.close()
        self.stdout = _text(pipes[0][0])
        if separate:
            self.stderr = _text(pipes[1][0])

    def poll(self) -> int | None:
        with _lock:
            return self._process.exitcode

    def wait(self, timeout: float) -> int:
        wait([self._process.sentinel], timeout)
        status = self.poll()
        if status is None:
            raise subprocess.TimeoutExpired("manage.py", timeout)
        return status

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _text(end: Connection) -> TextIO:
    with end:
        return os.fdopen(os.dup(end.fileno()), encoding="utf-8")


def run(
    root: Path, arguments: Sequence[str], environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a `Process` to its end, and return its output. Raises `subprocess.TimeoutExpired`."""
    process = Process(root, arguments, environment, separate=True)
    with process.stdout, process.stderr, ThreadPoolExecutor(2) as readers:
        texts = [readers.submit(stream.read) for stream in (process.stdout, process.stderr)]
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, status, *(text.result() for text in texts))


def _run(
    root: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    out: Connection,
    errors: Connection,
) -> None:
    """Become the process that `python manage.py` or `python -m` would be."""
    os.dup2(out.fileno(), 1)
    os.dup2(errors.fileno(), 2)
    out.close()
    errors.close()
    os.chdir(root)
    os.environ.clear()
    os.environ.update(environment)
    sys.path.insert(0, str(root))
    other = ("tests",) if root == ROOT else ("tests", "chatsite", "conversations")
    for name in [name for name in sys.modules if name.partition(".")[0] in other]:
        del sys.modules[name]  # another checkout has other modules of the same names
    gc.freeze()  # what was imported stays: no collection need look at it
    if arguments[0] == "-m":
        sys.argv = [*arguments[1:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["manage.py", *arguments]
        runpy.run_path("manage.py", run_name="__main__")
