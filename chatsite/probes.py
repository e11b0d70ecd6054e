"""What load balancers and monitors request. What only the application knows is passed in by `chatsite/urls.py`."""

import hmac
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from chatsite import metrics
from chatsite.identity import DATABASE, identity
from chatsite.supervision import supervisor

CHECK_SECONDS = 1.0  # for which the database counts as available after a check
WAIT_SECONDS = 2.0  # for a check; load balancers wait for a response for longer (Caddy: 5 s)
DISK_FULL = "53100"  # SQLSTATE

_migrated = False  # once true it stays true, and probes come every second


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Respond with 200: the process is alive."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(
    request: HttpRequest, problems: Callable[[], list[str]], degradations: Callable[[], list[str]]
) -> JsonResponse:
    """Respond with 503 and the reasons if this process should get no requests; else with 200.

    Those are the application's `problems`, a dead background loop, and a database that cannot be used. What does not
    work although pages do (`degradations`) does not change the status.
    """
    if reasons := [*_own_problems(), *problems()]:
        return JsonResponse({"status": "unavailable", "reasons": reasons}, status=503)
    reasons = degradations()
    return JsonResponse({"status": "degraded" if reasons else "ok", "reasons": reasons})


def _own_problems() -> list[str]:
    reasons = [f"the background loop {name!r} has ended" for name in supervisor.dead]
    if unusable := database.problems():
        reasons += unusable
        if identity.fails(DATABASE):
            reasons.append("no token for the database")
    return reasons


@require_safe
def prometheus(
    request: HttpRequest,
    update: Callable[[], None],
    problems: Callable[[], list[str]],
    degradations: Callable[[], list[str]],
) -> HttpResponse:
    """Respond with all metrics: those of `readyz`, those that `update` sets, and what was counted.

    Requests need `METRICS_TOKEN`. Without it, and while it is not set, the response is 404.
    """
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        raise Http404
    metrics.READY.set(not (_own_problems() or problems()))
    metrics.DEGRADED.set(bool(degradations()))
    update()
    if pool := getattr(connection, "pool", None):
        found = pool.get_stats()
        metrics.POOL.labels("open").set(found.get("pool_size", 0))
        metrics.POOL.labels("free").set(found.get("pool_available", 0))
        metrics.POOL.labels("waited for").set(found.get("requests_waiting", 0))
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


class DatabaseCheck:
    """Checks the database in a thread of its own: once a second at most, and however long it takes, one at a time."""

    def __init__(self, check: Callable[[], list[str]]) -> None:
        self._check = check
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self._lock = threading.Lock()
        self._result: Future[list[str]] | None = None  # of the latest check, which may be in progress
        self._available_until = 0.0

    def problems(self) -> list[str]:
        """Return the reasons why the database cannot be used, within `WAIT_SECONDS`."""
        with self._lock:
            if time.monotonic() < self._available_until:
                return []
            if self._result is None or self._result.done():
                self._result = self._thread.submit(self._check)
            result = self._result
        try:
            problems = result.result(WAIT_SECONDS)
        except TimeoutError:
            return ["the database is not responding"]
        if not problems:
            self._available_until = time.monotonic() + CHECK_SECONDS
        return problems


def database_problems() -> list[str]:
    try:
        return _find_database_problems()
    except Error as error:  # also InterfaceError, which is not a DatabaseError: the connection was closed
        full = getattr(error.__cause__, "sqlstate", None) == DISK_FULL
        return ["the database's disk is full" if full else "the database is not responding"]
    finally:
        close_old_connections()


def _find_database_problems() -> list[str]:
    """Check that the database responds, is migrated and, on PostgreSQL, can be written. Raises `Error`.

    That the worker's heartbeat is written is among the application's problems. On PostgreSQL it takes no space, so it
    is written on a full disk too. The export of a snapshot takes some: it writes a small file, and deletes it.
    """
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not _migrated:
            return ["migrations are not applied"]
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("select 1 from django_migrations limit 1")
            return []
        cursor.execute(
            "select current_setting('transaction_read_only'), pg_export_snapshot() from django_migrations limit 1"
        )
        [(read_only, _)] = cursor.fetchall()
    return ["the database is read-only"] if read_only == "on" else []


database = DatabaseCheck(database_problems)
