"""A collector for tests: an OTLP receiver over HTTP on loopback. It decodes what arrives, as OpenTelemetry does."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

WAIT = 60  # seconds


class Collector:
    """The server, in threads of its own. `bodies` are the requests as they came, `headers` those of the last one.

    `status` is what it responds; with 0 it does not respond at all.
    """

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        self.headers: dict[str, str] = {}
        self._arrived = threading.Condition()
        self._closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[tuple[str, Span]]:
        """Return all spans that have arrived, each with the id of its process, in order of their start."""
        return sorted(self._spans(), key=lambda found: found[1].start_time_unix_nano)

    def _spans(self) -> Iterator[tuple[str, Span]]:
        for body in list(self.bodies):
            for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                process = attributes(resource_spans.resource)["service.instance.id"]
                yield from ((process, span) for scope in resource_spans.scope_spans for span in scope.spans)

    def await_request(self, number: int = 1) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.bodies) >= number, WAIT), f"no request {number}"

    def await_spans(self, found: Callable[[list[Span]], bool]) -> list[tuple[str, Span]]:
        """Wait until what has arrived is enough."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: found([span for _, span in self.spans]), WAIT), self.spans
        return self.spans

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                with collector._arrived:
                    collector.headers = {name.lower(): value for name, value in self.headers.items()}
                    collector.bodies.append(body)
                    collector._arrived.notify_all()
                if not collector.status:
                    collector._closed.wait(WAIT)
                    return
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def attributes(of: object) -> dict[str, str | int]:
    return {one.key: one.value.string_value or one.value.int_value for one in of.attributes}
