"""What operators measure: the names and meanings of all metrics, as Prometheus scrapes them at /metrics.

Counted in this process since it began; every replica is scraped by itself. No label holds an id or a word of anybody.
"""

from django.conf import settings
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)

registry = CollectorRegistry()

READY = Gauge("chat_ready", "1 if /readyz responds with 200.", registry=registry)
DEGRADED = Gauge("chat_degraded", "1 if something does not work although pages do.", registry=registry)
RUNNING = Gauge("chat_generations_running", "Generations that this process runs.", registry=registry)
# Not those that wait for an answer of their own conversation or person.
QUEUED = Gauge(
    "chat_generations_queued", "Generations that wait for a free place, in all processes.", registry=registry
)
ENDED = Counter("chat_generations_ended", "Generations that ended here.", ["outcome", "cause"], registry=registry)
FIRST_DELTA = Histogram(
    "chat_first_delta_seconds", "From a claim to the first word.", registry=registry, buckets=SECONDS
)
DURATION = Histogram("chat_generation_seconds", "From a claim to its end.", registry=registry, buckets=SECONDS)
COMMIT_AGE = Gauge(
    "chat_commit_age_seconds", "Since the last commit of what streams: what a crash would lose.", registry=registry
)
WAITING_CHARACTERS = Gauge("chat_uncommitted_characters", "Text that waits for the database.", registry=registry)
SOCKETS = Gauge("chat_sockets", "Open conversations' sockets, and streams of the API.", registry=registry)
LATE_FRAMES = Counter("chat_frames_late", "Frames that waited for a viewer who reads slowly.", registry=registry)
EVENTS_LOST = Counter("chat_events_lost", "Events that the channel layer did not take.", registry=registry)
REQUESTS = Histogram(
    "chat_request_seconds",
    "Requests except probes, by method and status.",
    ["method", "status"],
    registry=registry,
    buckets=SECONDS,
)
SPANS_DROPPED = Counter("chat_spans_dropped", "Spans that the collector did not take.", registry=registry)
POOL = Gauge("chat_database_connections", "PostgreSQL's connections in the pool.", ["state"], registry=registry)
BUILD = Info("chat_build", "The version of the site.", registry=registry)
BUILD.info({"version": settings.SITE_VERSION})


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(registry)
