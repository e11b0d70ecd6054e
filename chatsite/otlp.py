"""Send spans to a collector, with OTLP over HTTP in protobuf: https://opentelemetry.io/docs/specs/otlp/#otlphttp.

A background thread sends them in batches, so requests neither wait for the collector nor fail with it. While it is
unavailable, up to `MAX_WAITING` spans are queued; more are dropped and counted.

OpenTelemetry's SDK takes five times the CPU for a span, and ten packages instead of two. It does not count what it
drops, nor end within a limit of ours. See docs/dependencies.md.
"""

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from http import HTTPStatus

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from chatsite import metrics
from chatsite.tracing import ERROR, Span, Value

logger = logging.getLogger(__name__)

MAX_WAITING = 4096  # spans: about 4 MB
BATCH = 512  # spans in one request
SEND_SECONDS = 2.0  # between requests, unless a whole batch waits
RETRY_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0  # to connect, and for each part of the response
# https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes
RETRYABLE = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}


class Exporter:
    """Sends spans to the collector at `endpoint`, with these headers, until `close`."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], resource: Mapping[str, Value]) -> None:
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._session = requests.Session()
        self._session.headers.update(headers)
        self._session.headers["Content-Type"] = "application/x-protobuf"
        self._resource = resource
        self._waiting: deque[Span] = deque()
        self._batch: list[Span] = []  # being sent, or to be sent again
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._failure = ""  # of the last request
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def add(self, span: Span) -> None:
        """Send a span soon, or drop it if too many wait. Does not block, and may be called in any thread."""
        if len(self._waiting) >= MAX_WAITING:
            metrics.SPANS_DROPPED.inc()
            return
        self._waiting.append(span)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def close(self, seconds: float) -> None:
        """Send what waits, for so many seconds at most."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)
        if left := len(self._waiting) + len(self._batch):
            logger.warning("%s spans were not sent", left)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(SEND_SECONDS)
            self._wake.clear()
            if not self._send_waiting():
                self._closing.wait(RETRY_SECONDS)
        self._send_waiting()
        self._session.close()

    def _send_waiting(self) -> bool:
        """Send all that waits; return False if the collector does not take any now."""
        while self._waiting or self._batch:
            while self._waiting and len(self._batch) < BATCH:
                self._batch.append(self._waiting.popleft())
            try:
                failure, retryable = self._send(encode(self._resource, self._batch))
            except Exception as error:  # noqa: BLE001  (of any kind: the next spans can still be sent)
                failure, retryable = type(error).__name__, isinstance(error, requests.RequestException)
            self._note(failure)
            if retryable:
                return False
            if failure:
                metrics.SPANS_DROPPED.inc(len(self._batch))
            self._batch = []
        return True

    def _send(self, body: bytes) -> tuple[str, bool]:
        """Return why the collector has not taken this, empty if it has, and whether to send it again."""
        # Not to another address: the headers are secret.
        response = self._session.post(self._url, data=body, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        status = response.status_code
        return "" if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES else str(status), status in RETRYABLE

    def _note(self, failure: str) -> None:
        if failure and failure != self._failure:
            logger.warning("the collector does not take spans: %s", failure)
        elif self._failure and not failure:
            logger.info("the collector takes spans again")
        self._failure = failure


def encode(resource: Mapping[str, Value], spans: Sequence[Span]) -> bytes:
    """Return the body of a request."""
    scope = trace_pb2.ScopeSpans(scope=InstrumentationScope(name="ponder"), spans=[_span(span) for span in spans])
    all_of_it = trace_pb2.ResourceSpans(resource=Resource(attributes=_attributes(resource)), scope_spans=[scope])
    return ExportTraceServiceRequest(resource_spans=[all_of_it]).SerializeToString()


def _span(span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span(
        trace_id=span.context.trace_id,
        span_id=span.context.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=trace_pb2.Span.SpanKind.ValueType(span.kind),
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=_attributes(span.attributes),
        events=[trace_pb2.Span.Event(time_unix_nano=at, name=name) for at, name in span.events],
    )
    if span.link:
        message.links.add(trace_id=span.link.trace_id, span_id=span.link.span_id)
    if ERROR in span.attributes:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
    return message


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [
        KeyValue(key=name, value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value))
        for name, value in values.items()
    ]
