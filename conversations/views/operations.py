"""What probes and monitors ask."""

import hmac

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from chatsite import metrics
from chatsite.identity import DATABASE, identity
from conversations.generation import worker
from conversations.models import Generation, Status

_migrated = False  # probes ask every second, and what was applied stays so


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: the process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready for people: database there and migrated, a model connected, not on the way out. Else 503 and why."""
    reasons = []
    try:
        if not _is_migrated():
            reasons.append("migrations are not applied")
    except DatabaseError:
        reasons.append("the database is not responding")
        if identity.fails(DATABASE):
            reasons.append("no token for the database")
    running = worker.current()
    if running is None:
        reasons.append("no model is connected")
    elif running.draining:
        reasons.append("shutting down")
    return JsonResponse(
        {"status": "unavailable" if reasons else "ok", "reasons": reasons}, status=503 if reasons else 200
    )


@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Tell the metrics to whoever brings `METRICS_TOKEN`; without that setting there is nothing here."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not settings.METRICS_TOKEN or not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        raise Http404
    if running := worker.current():
        running.measure()
    try:
        metrics.QUEUED.set(Generation.objects.filter(status=Status.QUEUED).count())
    except DatabaseError:
        metrics.QUEUED.set("nan")
    if pool := getattr(connection, "pool", None):
        found = pool.get_stats()
        metrics.POOL.labels("open").set(found.get("pool_size", 0))
        metrics.POOL.labels("free").set(found.get("pool_available", 0))
        metrics.POOL.labels("waited for").set(found.get("requests_waiting", 0))
    return HttpResponse(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


def _is_migrated() -> bool:
    """Tell whether all migrations are applied. Raises `DatabaseError` while the database does not answer."""
    global _migrated
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
    else:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
