"""What probes ask."""

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from conversations.generation import worker


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """Alive: the process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Ready for people: database there and migrated, a model connected, not on the way out. Else 503 and why."""
    reasons = []
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            reasons.append("migrations are not applied")
    except DatabaseError:
        reasons.append("the database does not answer")
    running = worker.current()
    if running is None:
        reasons.append("no model is connected")
    elif running.draining:
        reasons.append("shutting down")
    return JsonResponse(
        {"status": "unavailable" if reasons else "ok", "reasons": reasons}, status=503 if reasons else 200
    )
