"""Metrics need the token, log lines contain ids and no content, and the daily limit is enforced."""

import json
import re
from collections.abc import Callable
from html import unescape

import httpx2
import pytest
from django.test import Client

from conversations.models import User
from tests.endpoint import Endpoint, Exchange
from tests.site import Person, Site

TOKEN = "a-token-for-metrics"


def metrics(site: Site, token: str = TOKEN) -> dict[str, float]:
    response = httpx2.get(f"{site.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200
    samples = (line.rpartition(" ") for line in response.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_metrics_count_running_and_ended_generations(
    make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint
):
    async def answer(exchange: Exchange) -> None:
        await exchange.reason("Hm.")
        await exchange.gate("measured")
        if "fail" in exchange.body["messages"][-1]["content"]:
            exchange.cut()
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = answer
    site = make_site(METRICS_TOKEN=TOKEN, SITE_VERSION="1.2.3")
    person = join(site)
    first = person.ask("Why?")
    with person.socket(first):
        endpoint.await_reached("measured")
        running = metrics(site)
        assert (running["chat_generations_running"], running["chat_sockets"]) == (1, 1)
        # Before it occurs: Prometheus does not see the increase of a series that begins with 1.
        assert running['chat_generations_ended_total{cause="StreamCut",outcome="failed"}'] == 0
        endpoint.open("measured")
        person.await_end(first)
    person.await_end(person.ask("fail"))
    after = metrics(site)
    assert after['chat_build_info{version="1.2.3"}'] == 1
    assert after["chat_generations_running"] == 0
    assert after['chat_generations_ended_total{cause="",outcome="complete"}'] == 1
    assert after['chat_generations_ended_total{cause="StreamCut",outcome="failed"}'] == 1
    assert after["chat_first_delta_seconds_count"] == 2
    assert after['chat_request_seconds_count{method="POST",status="302"}'] >= 3


@pytest.mark.django_db
def test_the_administration_shows_the_version_to_staff(client: Client, settings):
    settings.SITE_VERSION = "1.2.3"
    assert "1.2.3" not in client.get("/admin/login/").text
    client.force_login(User.objects.create_user("staff", is_staff=True))
    assert "Version 1.2.3" in client.get("/admin/").text


def test_metrics_need_the_token(make_site: Callable[..., Site], endpoint: Endpoint):
    site = make_site(METRICS_TOKEN=TOKEN)
    for headers in ({}, {"Authorization": "Bearer something else"}, {"Authorization": TOKEN[:-1]}):
        assert httpx2.get(f"{site.url}/metrics", headers=headers).status_code == 404


def test_without_the_setting_there_are_no_metrics(shared_site: Site):
    assert httpx2.get(f"{shared_site.url}/metrics", headers={"Authorization": "Bearer x"}).status_code == 404


def test_log_lines_contain_ids_and_no_content(
    make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint
):
    async def fail(exchange: Exchange) -> None:
        await exchange.reason("a secret thought")
        exchange.cut()

    endpoint.respond = fail
    site = make_site(LOG_FORMAT="json")
    person = join(site)
    conversation = person.ask("a secret question")
    person.await_end(conversation)
    site.await_line("failed: StreamCut")
    lines = [json.loads(line) for line in site.lines if line.startswith("{")]  # emails are printed too
    [line] = [line for line in lines if "failed: StreamCut" in line["message"]]
    assert line["conversation"] == conversation.strip("/").split("/")[1]
    assert line["level"] == "warning"
    assert re.fullmatch(r"\d+", line["generation"])
    assert not any(word in str(lines) for word in ("secret", person.name))


def test_a_prompt_beyond_the_daily_limit_is_refused_and_stays_in_the_composer(
    make_site: Callable[..., Site], join: Callable[..., Person], endpoint: Endpoint
):
    async def answer(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.finish(usage={"prompt_tokens": 60, "completion_tokens": 50})

    endpoint.respond = answer
    site = make_site(USER_DAILY_TOKENS=100)
    person, other = join(site), join(site)
    person.http.cookies.set("time_zone", "Asia/Tokyo")
    conversation = person.ask("Why?")
    person.await_end(conversation)
    [exchange] = endpoint.exchanges
    assert exchange.body["max_tokens"] == 100 - len("Why?") // 3 - 8  # what the prompt leaves of the day
    refused = person.post(f"{conversation}messages/", htmx=True, content="And then?")
    assert refused.status_code == 422
    assert "You've used 110 of today's 100 tokens." in unescape(refused.text)
    page = person.post(f"{conversation}messages/", content="And then?")
    assert page.status_code == 302
    shown = person.http.get(page.headers["Location"]).text
    assert re.search(r"after 09:00 on \d+ \w+ \(Asia/Tokyo\)", shown)
    assert ">And then?</textarea>" in shown
    assert len(endpoint.exchanges) == 1
    assert "You've used 110 of today's 100 tokens." in unescape(person.http.get("/preferences/").text)
    refused = other.post("/conversations/", htmx=True, content="Why? " * 100)
    assert refused.status_code == 422
    assert "you have 100 of today's 100 left." in unescape(refused.text)
    assert len(endpoint.exchanges) == 1
    other.await_end(other.ask("Why?"))
