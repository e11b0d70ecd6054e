"""Traces: spans of requests and generations, sent to a collector if OTEL_EXPORTER_OTLP_ENDPOINT is set.

The spans of a generation, at whatever replicas, and of the request that queued it are one trace: its id is derived from
the generation's, so nothing has to be stored or passed on. Until `start`, and without the setting, all functions do
nothing.

No span contains text of people or models. Names are constants or routes without their values. Attributes are numbers,
the ids that log lines contain, names of models and classes of errors. See "Traces" in docs/operations.md.
"""

import hashlib
import hmac
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import IntEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest

from chatsite.logs import bind_log_context, log_context

if TYPE_CHECKING:
    from chatsite.otlp import Exporter

CLOSE_SECONDS = 2.0  # to send the last spans when the process ends
# What spans have in common with log lines. Lines about signing in also have the address of the client.
IDS = {"request", "user", "conversation", "generation"}
ERROR = "error.type"  # OpenTelemetry's name; a span with this attribute has failed
# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")

Value = str | int


class Kind(IntEnum):
    """The kinds of spans, as OTLP numbers them."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class SpanContext(NamedTuple):
    """What identifies a span: 16 and 8 bytes."""

    trace_id: bytes
    span_id: bytes


@dataclass(slots=True)
class Span:
    """A piece of work. Times are nanoseconds since 1970; `events` are (time, name)."""

    name: str
    context: SpanContext
    parent_id: bytes  # empty if it is the first of its trace
    start: int
    kind: Kind = Kind.INTERNAL
    end: int = 0
    attributes: dict[str, Value] = field(default_factory=dict)
    events: list[tuple[int, str]] = field(default_factory=list)
    link: SpanContext | None = None  # to a span of another trace


_exporter: "Exporter | None" = None
_current: ContextVar[Span | None] = ContextVar("current_span", default=None)


def start() -> None:
    """Start to send spans, if the setting is set."""
    global _exporter
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from chatsite.otlp import Exporter

        resource = {
            "service.name": settings.OTEL_SERVICE_NAME,
            "service.version": settings.SITE_VERSION,
            "service.instance.id": f"{socket.gethostname()}-{secrets.token_hex(4)}",
        }
        _exporter = Exporter(settings.OTEL_EXPORTER_OTLP_ENDPOINT, settings.OTEL_EXPORTER_OTLP_HEADERS, resource)


def close() -> None:
    """Send what waits, for `CLOSE_SECONDS` at most. Blocks."""
    global _exporter
    if _exporter:
        _exporter.close(CLOSE_SECONDS)
        _exporter = None


def is_on() -> bool:
    return _exporter is not None


def context_of(generation_id: int) -> SpanContext:
    """Return the context of the request that queued a generation, which is the first span of the generation's trace."""
    digest = hmac.digest(settings.SECRET_KEY.encode(), f"trace {generation_id}".encode(), hashlib.sha256)
    return SpanContext(digest[:16], digest[16:24])


def add(name: str, parent: SpanContext, start: int, end: int, **attributes: Value) -> None:
    """Add a span that has ended."""
    if _exporter:
        context = SpanContext(parent.trace_id, secrets.token_bytes(8))
        _exporter.add(Span(name, context, parent.span_id, start, end=max(start, end), attributes=attributes))


@contextmanager
def span(
    name: str, parent: SpanContext | None = None, kind: Kind = Kind.INTERNAL, **attributes: Value
) -> Iterator[Span | None]:
    """Trace what happens inside, as a part of `parent` or of the current span; without either, do nothing."""
    if parent is None and (outer := _current.get()):
        parent = outer.context
    if _exporter is None or parent is None:
        yield None
        return
    context = SpanContext(parent.trace_id, secrets.token_bytes(8))
    inner = Span(name, context, parent.span_id, time.time_ns(), kind, attributes=attributes)
    token = _current.set(inner)
    try:
        yield inner
    except Exception as error:
        inner.attributes[ERROR] = type(error).__name__
        raise
    finally:
        _current.reset(token)
        _finish(inner)


def add_event(name: str) -> None:
    """Note that something has happened in the current span."""
    if current := _current.get():
        current.events.append((time.time_ns(), name))


def note_outcome(outcome: str, cause: str) -> None:
    """Note how the current span ends, and because of which error, if any."""
    if current := _current.get():
        current.attributes["outcome"] = outcome
        if cause:
            current.attributes[ERROR] = cause


def note_queued(generation_id: int) -> None:
    """Make the current request the first span of the trace of a generation that it has queued."""
    if current := _current.get():
        if current.parent_id:  # the proxy's trace
            current.link = SpanContext(current.context.trace_id, current.parent_id)
        current.context, current.parent_id = context_of(generation_id), b""
        bind_log_context(trace=current.context.trace_id.hex())


def begin_request(scope: dict[str, Any], request_id: str) -> Span | None:
    """Return a new current span for a request, which `end_request` adds; None without tracing.

    It belongs to the trace of the proxy in front of the site, if that has sent one. No other client can choose a trace.
    """
    if _exporter is None:
        return None
    trace_id, parent_id = bytes.fromhex(request_id), b""
    if settings.ALLAUTH_TRUSTED_PROXY_COUNT:
        given = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        if found := TRACEPARENT.fullmatch(given):
            trace_id, parent_id = bytes.fromhex(found[1]), bytes.fromhex(found[2])
    begun = Span("", SpanContext(trace_id, secrets.token_bytes(8)), parent_id, time.time_ns(), Kind.SERVER)
    _current.set(begun)
    bind_log_context(trace=trace_id.hex())
    return begun


def end_request(begun: Span, method: str, request: HttpRequest | None, status: int) -> None:
    """Add the span of a request, unless it is no view's (a file, an unknown address)."""
    match = request.resolver_match if request else None
    if match is None:
        return
    begun.name = f"{method} /{match.route}"
    begun.attributes = {name: str(value) for name, value in log_context().items() if name in IDS}
    begun.attributes |= {"http.request.method": method, "http.route": match.route, "http.response.status_code": status}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        begun.attributes[ERROR] = str(status)
    _finish(begun)


def _finish(ended: Span) -> None:
    ended.end = max(ended.start, time.time_ns())
    if _exporter:
        _exporter.add(ended)
