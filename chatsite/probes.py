"""What load balancers and monitors request. What only the application knows is passed in by `chatsite/urls.py`."""

import hmac
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from chatsite import metrics
from chatsite.identity import DATABASE, identity
from chatsite.supervision import supervisor

_migrated = False  # once true it stays true, and probes come every second


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Respond with 200: the process is alive."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest, problems: Callable[[], list[str]]) -> JsonResponse:
    """Respond with 200 if the database responds and is migrated, all loops run, and there are no `problems`.

    Else with 503 and the reasons.
    """
    reasons = [f"the background loop {name!r} has ended" for name in supervisor.dead]
    try:
        if not _is_migrated():
            reasons.append("migrations are not applied")
    except DatabaseError:
        reasons.append("the database is not responding")
        if identity.fails(DATABASE):
            reasons.append("no token for the database")
    reasons += problems()
    return JsonResponse(
        {"status": "unavailable" if reasons else "ok", "reasons": reasons}, status=503 if reasons else 200
    )


@require_safe
def prometheus(request: HttpRequest, update: Callable[[], None]) -> HttpResponse:
    """Respond with all metrics, after `update` has set those that it measures.

    Requests need `METRICS_TOKEN`. Without it, and while it is not set, the response is 404.
    """
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        raise Http404
    update()
    if pool := getattr(connection, "pool", None):
        found = pool.get_stats()
        metrics.POOL.labels("open").set(found.get("pool_size", 0))
        metrics.POOL.labels("free").set(found.get("pool_available", 0))
        metrics.POOL.labels("waited for").set(found.get("requests_waiting", 0))
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _is_migrated() -> bool:
    """Return whether all migrations are applied. Raises `DatabaseError` if the database does not respond."""
    global _migrated
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    else:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
