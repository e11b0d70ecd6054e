"""Which endpoint the settings name, how it is authenticated, and what a request to it contains."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsite.identity import identity
from conversations.inference.endpoint import azure_root, open_endpoint
from conversations.inference.errors import (
    ContextTooLong,
    EndpointFailed,
    Filtered,
    NotAuthorised,
    RequestRejected,
    Unreachable,
)
from conversations.inference.stream import stream
from tests.cloud import Cloud
from tests.endpoint import Endpoint as Server

CUT_ANSWER = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "It is so beca"}]


@pytest.fixture
def azure(settings, endpoint: Server) -> Iterator[Any]:
    settings.AZURE_INFERENCE_ENDPOINT = endpoint.base_url.removesuffix("/v1") + "/models/"
    settings.AZURE_DEEPSEEK_DEPLOYMENT = "deepseek"
    yield settings
    identity.close()


async def ask(times: int = 1, **wanted: bool) -> None:
    connected = await open_endpoint()
    try:
        for _ in range(times):
            messages = CUT_ANSWER if wanted.get("continuing") else [{"role": "user", "content": "Why?"}]
            request = connected.request(messages, **wanted)
            await stream(connected.create, request, lambda deltas: None, stall_seconds=20)
    finally:
        await connected.close()


async def test_a_managed_identity_sends_its_token_and_no_key(azure, endpoint: Server, cloud: Cloud):
    await ask(times=2)
    [token] = cloud.tokens("https://cognitiveservices.azure.com")
    for exchange in endpoint.exchanges:
        assert exchange.path == "/openai/v1/chat/completions"
        assert exchange.headers["Authorization"] == f"Bearer {token}"
        assert exchange.body["model"] == "deepseek"
        assert "Api-Key" not in exchange.headers
    assert [asked["client_id"] for asked in cloud.asked] == [cloud.client_id]


@pytest.mark.parametrize(("is_there", "error"), [(True, NotAuthorised), (False, Unreachable)])
@pytest.mark.parametrize("api_version", ["", "2024-10-21"])
async def test_a_missing_token_is_translated(azure, cloud: Cloud, monkeypatch, is_there, error, api_version):
    azure.AZURE_API_VERSION = api_version
    cloud.status = 400
    if not is_there:
        monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
    with pytest.raises(error, match="no token for https://cognitiveservices"):
        await ask()


async def test_a_developers_sign_in_sends_its_token(azure, endpoint: Server, tmp_path: Path, monkeypatch):
    program = tmp_path / "azd"
    called = tmp_path / "called"
    token = json.dumps({"token": "developer-token", "expiresOn": "2099-01-01T00:00:00Z"})
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {called}\necho '{token}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    azure.AZURE_TENANT_ID = "11111111-2222-3333-4444-555555555555"
    await ask()
    assert endpoint.exchanges[0].headers["Authorization"] == "Bearer developer-token"
    arguments = called.read_text()
    assert "auth token --output json" in arguments
    assert "--scope https://cognitiveservices.azure.com/.default" in arguments
    assert "--tenant-id 11111111-2222-3333-4444-555555555555" in arguments


async def test_an_api_version_selects_the_classic_route(azure, endpoint: Server, cloud: Cloud):
    azure.AZURE_API_VERSION = "2024-10-21"
    await ask()
    exchange = endpoint.exchanges[0]
    assert exchange.path == "/openai/deployments/deepseek/chat/completions"
    assert exchange.query == {"api-version": "2024-10-21"}
    assert exchange.headers["Authorization"] == f"Bearer {cloud.issued[0].text}"


@pytest.mark.parametrize("path", ["", "/", "/openai", "/openai/v1", "/openai/v1/", "/models", "/models/"])
def test_an_azure_address_is_accepted_in_every_form(path: str):
    assert azure_root(f"https://name.services.ai.azure.com{path}") == "https://name.services.ai.azure.com"


@pytest.mark.parametrize(
    ("base_url", "on", "off"),
    [
        ("https://api.deepseek.com", {"thinking": {"type": "enabled"}}, {"thinking": {"type": "disabled"}}),
        (
            "https://name.services.ai.azure.com/openai/v1",
            {"thinking": {"type": "enabled"}},
            {"thinking": {"type": "disabled"}},
        ),
        ("https://openrouter.ai/api/v1", {"reasoning": {"enabled": True}}, {"reasoning": {"enabled": False}}),
        ("https://api.openai.com/v1", {}, {"reasoning_effort": "low"}),
        (
            "https://notopenai.com/v1",
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
    ],
)
async def test_thinking_and_effort_are_sent_in_the_endpoints_form(settings, base_url: str, on: dict, off: dict):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.OPENAI_API_KEY = base_url, "m", "k"
    settings.THINKING, settings.REASONING_EFFORT = "on", "high"
    connected = await open_endpoint()
    thinking = connected.request([])
    not_this_time = connected.request([], thinking=False)
    settings.THINKING = "off"
    not_thinking = connected.request([])
    await connected.close()
    assert thinking.get("extra_body", {}) == on
    assert thinking["reasoning_effort"] == "high"
    for request in (not_this_time, not_thinking):
        assert request["extra_body"] == off
        assert "reasoning_effort" not in request


async def test_the_output_limit_is_sent_under_its_usual_name(settings):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.MAX_OUTPUT_TOKENS = "https://example.org/v1", "m", 500
    connected = await open_endpoint()
    request = connected.request([])
    await connected.close()
    assert request["max_tokens"] == 500


async def test_thinking_is_not_sent_unless_it_is_set(settings):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL = "http://127.0.0.1:1/v1", "m"
    connected = await open_endpoint()
    request = connected.request([])
    await connected.close()
    assert set(request) == {"model", "messages", "stream", "stream_options"}


async def test_openai_itself_gets_the_output_limit_under_its_newer_name(settings):
    settings.OPENAI_API_KEY, settings.OPENAI_MODEL, settings.MAX_OUTPUT_TOKENS = "k", "m", 500
    connected = await open_endpoint()
    request = connected.request([])
    await connected.close()
    assert request["max_completion_tokens"] == 500


@pytest.fixture
def connected(settings, endpoint: Server):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL = endpoint.base_url, "m"
    return settings


async def test_an_answer_without_thinking_overrides_the_settings(connected, endpoint: Server):
    connected.THINKING, connected.REASONING_EFFORT = "on", "high"
    await ask(thinking=False)
    body = endpoint.exchanges[0].body
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert "reasoning_effort" not in body


async def test_a_cut_answer_is_continued_by_a_message(connected, endpoint: Server):
    await ask(continuing=True)
    body = endpoint.exchanges[0].body
    assert body["messages"][:2] == CUT_ANSWER
    assert body["messages"][2]["role"] == "user"
    assert body["messages"][2]["content"].endswith("It is so beca")
    assert "continue_final_message" not in body
    assert "chat_template_kwargs" not in body


async def test_a_cut_answer_is_completed_where_the_endpoint_can(connected, endpoint: Server):
    connected.PREFIX_COMPLETION = True
    await ask(continuing=True)
    body = endpoint.exchanges[0].body
    assert body["messages"] == CUT_ANSWER
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}


async def test_deepseek_completes_a_marked_message_at_its_beta_address_only(settings, endpoint: Server, monkeypatch):
    # The server acts as the proxy for api.deepseek.com and so receives what is sent there.
    monkeypatch.setenv("HTTP_PROXY", endpoint.base_url.removesuffix("/v1"))
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL = "http://api.deepseek.com", "m"
    settings.PREFIX_COMPLETION = True
    await ask()
    await ask(continuing=True)
    ordinary, completing = endpoint.exchanges
    assert ordinary.path == "/chat/completions"
    assert completing.path == "/beta/chat/completions"
    assert completing.body["messages"] == [CUT_ANSWER[0], CUT_ANSWER[1] | {"prefix": True}]
    assert completing.body["thinking"] == {"type": "disabled"}
    assert "continue_final_message" not in completing.body


@pytest.mark.parametrize(
    ("base_url", "last", "fields"),
    [
        ("https://api.mistral.ai/v1", CUT_ANSWER[1] | {"prefix": True}, set()),
        ("https://openrouter.ai/api/v1", CUT_ANSWER[1], set()),
        ("https://name.services.ai.azure.com/openai/v1", CUT_ANSWER[1], set()),
        ("http://vllm.internal:8000/v1", CUT_ANSWER[1], {"continue_final_message", "add_generation_prompt"}),
    ],
)
async def test_a_prefix_is_sent_in_the_endpoints_form(settings, base_url: str, last: dict, fields: set):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.PREFIX_COMPLETION = base_url, "m", True
    connected = await open_endpoint()
    request = connected.request(CUT_ANSWER, continuing=True)
    await connected.close()
    assert request["messages"] == [CUT_ANSWER[0], last]
    assert set(request["extra_body"]) & {"continue_final_message", "add_generation_prompt"} == fields


REFUSALS = [
    ("https://vllm.internal/v1", "Unsupported parameter: 'reasoning_effort' is not supported.", "reasoning_effort"),
    ("https://vllm.internal/v1", "Model m does not support parameter reasoningEffort.", "reasoning_effort"),
    ("https://vllm.internal/v1", 'Unknown name "stream_options": Cannot find field.', "stream_options"),
    ("https://vllm.internal/v1", "chat_template_kwargs, stream_options: not permitted", "chat_template_kwargs"),
    ("https://openrouter.ai/v1", "reasoning: Extra inputs are not permitted", "reasoning"),
    ("https://api.deepseek.com", "body.thinking.type: Input should be 'auto'", "thinking"),
    ("https://api.deepseek.com", "max_tokens is too large: 500", None),
    ("https://api.deepseek.com", "model m does not exist", None),
    ("https://api.deepseek.com", "reasoning is not a field of this request, nor is chat_template_kwargs", None),
]


@pytest.mark.parametrize(("base_url", "message", "refused"), REFUSALS)
async def test_an_optional_parameter_that_is_refused_is_left_out(settings, base_url: str, message: str, refused: str):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.MAX_OUTPUT_TOKENS = base_url, "m", 500
    settings.THINKING, settings.REASONING_EFFORT = "on", "high"
    connected = await open_endpoint()
    request = connected.request([])
    found = connected.without_refused(request, RequestRejected("HTTP 400", message=message))
    assert connected.without_refused(request, EndpointFailed("HTTP 500", message=message)) is None
    await connected.close()
    if refused is None:
        assert found is None
    else:
        name, amended = found
        assert name == refused
        assert flat(amended) == {name: value for name, value in flat(request).items() if name != refused}


def flat(request: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request's body."""
    return {name: value for name, value in request.items() if name != "extra_body"} | request.get("extra_body", {})


@pytest.mark.parametrize(
    "base_url", ["https://vllm.internal/v1", "https://openrouter.ai/v1", "https://api.deepseek.com", ""]
)
@pytest.mark.parametrize("thinking", ["off", ""])
async def test_what_switches_thinking_off_is_not_optional(settings, base_url: str, thinking: str):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.OPENAI_API_KEY = base_url, "m", "k"
    settings.THINKING = thinking
    connected = await open_endpoint()
    request = connected.request([], thinking=None if thinking else False)
    refusal = RequestRejected("HTTP 400", message="thinking, reasoning, chat_template_kwargs, reasoning_effort?")
    assert connected.without_refused(request, refusal) is None
    refusal.message += " stream_options?"  # a positive control
    assert connected.without_refused(request, refusal)[0] == "stream_options"
    await connected.close()


@pytest.mark.parametrize(("configured", "refused"), [(0, "max_tokens"), (500, None)])
async def test_only_an_output_limit_that_nobody_has_configured_is_optional(
    settings, configured: int, refused: str | None
):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.MAX_OUTPUT_TOKENS = "http://127.0.0.1:9", "m", configured
    connected = await open_endpoint()
    request = connected.request([], output_tokens=400)
    assert request["max_tokens"] == 400
    found = connected.without_refused(request, RequestRejected("HTTP 400", message="max_tokens is above 300"))
    await connected.close()
    assert (found and found[0]) == refused


async def test_a_refusal_that_concerns_the_prompt_is_no_failure_of_the_endpoint(settings):
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL = "http://127.0.0.1:9", "m"
    connected = await open_endpoint()
    problems = []
    for error in (None, Unreachable("detail"), Filtered("detail"), ContextTooLong("detail"), None):
        connected.note_end(error)
        problems.append(connected.problem)
    await connected.close()
    assert problems == ["", "the last answer failed: Unreachable", "", "", ""]
