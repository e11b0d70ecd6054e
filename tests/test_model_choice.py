"""Two endpoints of different dialects: what each receives at each depth, and a change of the registry."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.endpoint import Endpoint, Exchange
from tests.site import Person, Site

COMMON = {"stream", "stream_options", "model", "messages"}


@pytest.fixture
def second() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    yield endpoint
    endpoint.close()


def table(endpoint: Endpoint, model_id: str, **facts: Any) -> str:
    """Return the TOML of a model at an endpoint of its own."""
    at = {"base_url": endpoint.base_url, "api_key": "SOME_KEY"}
    of_model = {"id": model_id, "endpoint": model_id, **facts}
    tables = {f"[endpoints.{model_id}]": at, "[[models]]": of_model}
    lines = (
        [head, *(f"{key} = {json.dumps(value)}" for key, value in values.items())] for head, values in tables.items()
    )
    return "\n".join(line for group in lines for line in group)


@pytest.fixture
def start(make_site: Callable[..., Site]) -> Callable[..., Site]:
    none = {"OPENAI_BASE_URL": "", "OPENAI_MODEL": "", "OPENAI_API_KEY": "", "SOME_KEY": "canary-key"}
    return lambda *models, **variables: make_site(MODELS="\n".join(models), **none, **variables)


def fields(exchange: Exchange) -> dict[str, Any]:
    return {name: value for name, value in exchange.body.items() if name not in COMMON}


def test_each_endpoint_gets_exactly_what_a_depth_means_to_it(
    start, join: Callable[..., Person], endpoint: Endpoint, second: Endpoint
):
    efforts = ["low", "high", "max"]
    one = table(endpoint, "one", name="DeepSeek-V4", thinking="switchable", efforts=efforts, dialect="azure")
    two = table(second, "two", thinking="always", efforts=efforts, max_output_tokens=4000, dialect="openai")
    person = join(start(one, two))
    for model_id in ("one", "two"):
        for depth in ("quick", "normal", "deep"):
            conversation = person.ask("Why?", model=model_id, depth=depth)
            [(status, *_)] = person.await_end(conversation)
            assert status == "complete"
    assert [fields(exchange) for exchange in endpoint.exchanges] == [
        {"thinking": {"type": "disabled"}},
        {},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
    ]
    limit = {"max_completion_tokens": 4000}
    assert [fields(exchange) for exchange in second.exchanges] == [
        {"reasoning_effort": "low"} | limit,
        limit,
        {"reasoning_effort": "max"} | limit,
    ]
    assert {exchange.body["model"] for exchange in endpoint.exchanges} == {"DeepSeek-V4"}
    assert {exchange.headers["Authorization"] for exchange in endpoint.exchanges} == {"Bearer canary-key"}
    # Reasoning is never sent, whichever model answers next.
    person.ask("And?", conversation, model="one")
    person.await_end(conversation)
    sent = endpoint.exchanges[-1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert "Let me think" not in json.dumps(sent)


def test_a_refused_effort_is_left_out_and_the_details_say_so(start, join: Callable[..., Person], endpoint: Endpoint):
    async def refuse(exchange: Exchange) -> None:
        if "reasoning_effort" in exchange.body:
            await exchange.fail(400, "unsupported", "Unknown parameter: reasoning_effort")
        else:
            await exchange.answer("Yes.")
            await exchange.finish()

    endpoint.respond = refuse
    person = join(start(table(endpoint, "one", thinking="always", efforts=["low", "high"])))
    conversation = person.ask("Why?", depth="deep")
    assert [(status, content) for status, _, _, content in person.await_end(conversation)] == [("complete", "Yes.")]
    [(message,)] = person.site.rows("select message_id from conversations_generation")
    assert (
        "refused the parameter <code>reasoning_effort</code>" in person.http.get(f"/messages/{message}/details/").text
    )


def test_a_change_of_the_registry_loses_no_question(
    start, join: Callable[..., Person], endpoint: Endpoint, second: Endpoint
):
    async def never(exchange: Exchange) -> None:
        await exchange.gate("never")

    second.respond = never
    one, two = table(endpoint, "one"), table(second, "two")
    newer = start(one, two)
    person = join(newer)
    conversation = person.ask("Why?", model="two")
    second.await_reached("never")
    newer.kill()
    # A replica that does not know the model yet, or not any more, recovers the question.
    older = start(one, database_url=newer.database_url)
    at_older = person.at(older)
    other = at_older.ask("Which?", model="one")
    assert [status for status, *_ in at_older.await_end(other)] == ["complete"]
    assert [status for status, *_ in at_older.answers(conversation)] == ["queued"]
    assert at_older.http.get(conversation).status_code == 200
    assert len(second.exchanges) == 1
    second.reset()
    newest = start(one, two, database_url=newer.database_url)
    at_newest = person.at(newest)
    assert [status for status, *_ in at_newest.await_end(conversation)] == ["complete"]
    assert len(second.exchanges) == 1
    at_older.close()
    at_newest.close()
