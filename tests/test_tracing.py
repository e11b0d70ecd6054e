"""Traces: one for a question at two replicas, without content; and a dead collector does no harm."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import httpx2
import pytest
from django.conf import settings as django_settings

from chatsite import metrics, otlp, tracing
from chatsite.logs import bind_log_context, log_context
from chatsite.otlp import Exporter
from chatsite.tracing import Span, SpanContext
from tests.collector import Collector, attributes
from tests.endpoint import Endpoint, Exchange
from tests.site import ROOT, WAIT, Person, Site

CANARY = "xylophone"
TOKEN = "a-token-for-metrics"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SPAN = Span("test", SpanContext(b"t" * 16, b"s" * 8), b"", start=1, end=2)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture
def exporter(collector: Collector) -> Iterator[Exporter]:
    exporter = Exporter(collector.url, {"api-key": "secret"}, {"service.instance.id": "here"})
    yield exporter
    exporter.close(WAIT)


def dropped() -> float:
    return metrics.registry.get_sample_value("chat_spans_dropped_total") or 0


@pytest.mark.postgresql
@pytest.mark.redis
def test_a_question_asked_at_one_replica_and_answered_by_another_is_one_trace_without_content(
    make_site: Callable[..., Site],
    join: Callable[..., Person],
    postgresql_database: str,
    redis_server,
    endpoint: Endpoint,
    collector: Collector,
    record_property: Callable[[str, object], None],
):
    async def answer(exchange: Exchange) -> None:
        if "busy" in exchange.body["messages"][-1]["content"]:
            await exchange.gate("first")
        await exchange.reason(f"The {CANARY} of a thought.")
        await exchange.gate("committed")
        await exchange.answer(f"The {CANARY} of an answer.")
        await exchange.finish()

    endpoint.respond = answer
    variables = {
        "REDIS_URL": redis_server.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key,x-team=chat",
        "OTEL_SERVICE_NAME": "our-chat",
        "LOG_FORMAT": "json",
        "METRICS_TOKEN": TOKEN,
    }
    asked = make_site(postgresql_database, **variables, GENERATION_CONCURRENCY=1)
    person = join(asked, f"{CANARY}person")
    person.ask("Keep this replica busy.")
    endpoint.await_reached("first")
    make_site(postgresql_database, **variables)  # it answers the next question
    person.http.headers["traceparent"] = TRACEPARENT
    files = {"file": (f"{CANARY}.txt", f"{CANARY} file", "text/plain")}
    headers = {"X-CSRFToken": person.http.cookies["csrftoken"], "Origin": asked.url}
    response = person.http.post("/conversations/", data={"content": f"Why {CANARY}?"}, files=files, headers=headers)
    assert response.status_code == 302, response.text
    conversation = response.headers["Location"]
    endpoint.await_reached("committed")
    asked.await_rows("select 1 from conversations_chunk")
    endpoint.open("committed")
    endpoint.open("first")
    person.await_end(conversation)
    person.post(f"{conversation}rename/", title=f"All about {CANARY}")
    assert person.http.get("/readyz").status_code == 200
    person.http.get(f"/search/?q={CANARY}")

    def has_ended(spans) -> bool:
        names = [span.name for span in spans]
        return names.count("generation") == 2 and "GET /search/" in names

    spans = collector.await_spans(has_ended)
    assert not any("readyz" in span.name for _, span in spans)
    generation = next(
        span
        for _, span in spans
        if attributes(span).get("conversation") == conversation.strip("/").split("/")[1] and span.name == "generation"
    )
    trace = [(process, span) for process, span in spans if span.trace_id == generation.trace_id]
    by_name = {span.name: span for _, span in trace}
    request = by_name["POST /conversations/"]
    assert {span.name for _, span in trace} == {
        "POST /conversations/",
        "queue",
        "claim",
        "generation",
        "model endpoint",
        "commit",
        "end",
    }
    parents = {name: by_name[name].parent_span_id for name in by_name}
    assert parents.pop("POST /conversations/") == b""
    assert {parents.pop(name) for name in ("queue", "claim", "generation")} == {request.span_id}
    assert set(parents.values()) == {generation.span_id}
    processes = {name: {process for process, span in trace if span.name == name} for name in by_name}
    assert not processes["POST /conversations/"] & processes["generation"]
    assert [event.name for event in by_name["model endpoint"].events] == ["first thought", "first word"]
    assert all(span.end_time_unix_nano >= span.start_time_unix_nano > 10**18 for _, span in trace)
    assert attributes(generation)["outcome"] == "complete"
    assert attributes(generation)["conversation"] == conversation.strip("/").split("/")[1]
    # The request's first trace was the proxy's: the other one is linked to it, and all other requests are in it.
    assert [link.trace_id.hex() for link in request.links] == [TRACEPARENT.split("-")[1]]
    [search] = [span for _, span in spans if span.name == "GET /search/"]
    assert (search.trace_id.hex(), search.parent_span_id.hex()) == tuple(TRACEPARENT.split("-")[1:3])
    assert attributes(request)["request"] == response.headers["X-Request-ID"]
    assert "traceparent" not in {name.lower() for name in endpoint.exchanges[1].headers}
    assert (collector.headers["api-key"], collector.headers["x-team"]) == ("a key", "chat")
    received = b"".join(collector.bodies)
    assert b"our-chat" in received
    assert CANARY.encode() not in received
    assert conversation.strip("/").split("/")[1].encode() in received  # what would be found
    began = request.start_time_unix_nano
    report = [f"trace {generation.trace_id.hex()}"]
    for process, span in trace:
        events = ", ".join(f"{event.name} {(event.time_unix_nano - began) / 1e6:.0f} ms" for event in span.events)
        at = (span.start_time_unix_nano - began) / 1e6
        took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        report.append(f"{process[-4:]} {at:6.0f} ms {took:6.0f} ms  {span.name}{f' ({events})' if events else ''}")
    record_property("report", "\n".join(report))


def test_log_lines_contain_the_id_of_the_trace(
    make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint, collector: Collector
):
    async def fail(exchange: Exchange) -> None:
        exchange.cut()

    endpoint.respond = fail
    site = make_site(LOG_FORMAT="json", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    person = join(site)
    person.await_end(person.ask("Why?"))
    line = json.loads(site.await_line(" failed: "))
    spans = [span for _, span in collector.await_spans(lambda spans: "generation" in {span.name for span in spans})]
    [generation] = [span for span in spans if span.name == "generation"]
    assert (line["trace"], line["generation"]) == (generation.trace_id.hex(), attributes(generation)["generation"])
    assert attributes(generation)["outcome"] == "failed"
    attempts = [span for span in spans if span.name == "model endpoint"]
    assert [attributes(span)["attempt"] for span in attempts] == [1, 2, 3]
    assert {span.status.code for span in [*attempts, generation]} == {2}


@pytest.mark.parametrize("status", [0, 503], ids=["silent", "refusing"])
def test_a_collector_that_takes_nothing_delays_neither_answers_nor_the_end(
    make_site: Callable[..., Site], join: Callable[..., Person], collector: Collector, status: int
):
    collector.status = status
    site = make_site(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    person = join(site)
    collector.await_request()
    [(status, *_)] = person.await_end(person.ask("Why?"))
    assert status == "complete"
    assert site.stop() == 0
    assert any("spans were not sent" in line for line in site.lines)


def test_a_dead_collector_is_logged_once_and_the_site_works(
    make_site: Callable[..., Site], join: Callable[..., Person], collector: Collector
):
    collector.close()
    site = make_site(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    person = join(site)
    site.await_line("the collector does not take spans: ConnectionError")
    assert person.await_end(person.ask("Why?"))[0][0] == "complete"
    assert site.stop() == 0
    assert len([line for line in site.lines if "does not take spans" in line]) == 1


def test_without_the_setting_nothing_is_imported_and_no_line_has_a_trace():
    code = """
import sys
import django
django.setup()
import chatsite.urls
from chatsite import tracing
tracing.start()
print("chatsite.otlp" in sys.modules, "opentelemetry.proto" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
    assert tracing.begin_request({"headers": []}, "0" * 32) is None
    with tracing.span("outer", tracing.context_of(1)) as span:
        assert span is None
        tracing.note_queued(1)
        tracing.add_event("first word")
    assert "trace" not in log_context()


def test_spans_wait_in_a_bounded_queue_and_the_rest_is_counted(
    exporter: Exporter, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(otlp, "MAX_WAITING", 3)
    monkeypatch.setattr(otlp, "BATCH", 1)
    collector.status = 0
    before = dropped()
    exporter.add(SPAN)
    collector.await_request()  # that one is being sent, and hangs
    for _ in range(5):
        exporter.add(SPAN)
    assert dropped() - before == 2
    collector.close()


def test_spans_are_sent_again_when_the_collector_is_back(
    exporter: Exporter, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(otlp, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(otlp, "SEND_SECONDS", 0.01)
    collector.status = 503
    before = dropped()
    with caplog.at_level(logging.INFO, otlp.__name__):
        exporter.add(SPAN)
        collector.await_request(3)
        collector.status = 200
        exporter.close(WAIT)
    assert [record.message for record in caplog.records] == [
        "the collector does not take spans: 503",
        "the collector takes spans again",
    ]
    assert set(collector.bodies) == {collector.bodies[0]}
    assert dropped() == before


def test_what_the_collector_rejects_is_dropped_and_counted(exporter: Exporter, collector: Collector):
    collector.status = 400
    before = dropped()
    exporter.add(SPAN)
    exporter.close(WAIT)
    assert dropped() - before == 1
    assert len(collector.bodies) == 1


def test_what_waits_is_sent_at_the_end(exporter: Exporter, collector: Collector):
    collector.status = 202  # as some services respond
    before = dropped()
    for _ in range(otlp.BATCH + 1):
        exporter.add(SPAN)
    exporter.close(WAIT)
    assert len(collector.spans) == otlp.BATCH + 1
    assert len(collector.bodies) >= 2
    assert dropped() == before


@pytest.mark.parametrize(
    ("given", "proxies", "expected"),
    [
        (TRACEPARENT, 1, True),
        (TRACEPARENT, 0, False),
        (TRACEPARENT.replace("00-", "ff-"), 1, False),
        (f"00-{'0' * 32}-b7ad6b7169203331-01", 1, False),
        (f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", 1, False),
        (TRACEPARENT.upper(), 1, False),
        ("nonsense", 1, False),
    ],
)
def test_only_a_proxy_chooses_the_trace_of_a_request(given, proxies, expected, monkeypatch, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    monkeypatch.setattr(tracing, "_exporter", object())
    contexts = []

    def begin() -> None:  # in a context of its own, like a request
        contexts.append(tracing.begin_request({"headers": [(b"traceparent", given.encode())]}, "a" * 32))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert (contexts[0].context.trace_id.hex() in given) == expected
    assert bool(contexts[0].parent_id) == expected


def test_a_request_that_signs_in_does_not_send_the_address_of_its_client(monkeypatch: pytest.MonkeyPatch):
    spans: list[Span] = []
    monkeypatch.setattr(tracing, "_exporter", SimpleNamespace(add=spans.append))
    request = SimpleNamespace(resolver_match=SimpleNamespace(route="accounts/login/"))

    def sign_in() -> None:  # in a context of its own, like a request
        begun = tracing.begin_request({"headers": []}, "a" * 32)
        bind_log_context(request="a" * 32, address="192.0.2.1", user="b" * 12)
        tracing.end_request(begun, "POST", request, 302)

    thread = threading.Thread(target=sign_in)
    thread.start()
    thread.join()
    assert spans[0].attributes == {
        "request": "a" * 32,
        "user": "b" * 12,
        "http.request.method": "POST",
        "http.route": "accounts/login/",
        "http.response.status_code": 302,
    }


def test_the_traces_of_generations_differ_and_those_of_other_sites_too(settings):
    first, again, second = (tracing.context_of(number) for number in (1, 1, 2))
    settings.SECRET_KEY = f"another {django_settings.SECRET_KEY}"
    elsewhere = tracing.context_of(1)
    assert first == again
    assert len({first.trace_id, second.trace_id, elsewhere.trace_id}) == 3
    assert (len(first.trace_id), len(first.span_id)) == (16, 8)


def test_metrics_count_what_was_dropped(make_site: Callable[..., Site]):
    site = make_site(METRICS_TOKEN=TOKEN)
    page = httpx2.get(f"{site.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    assert re.search(r"^chat_spans_dropped_total 0\.0$", page, re.MULTILINE)
