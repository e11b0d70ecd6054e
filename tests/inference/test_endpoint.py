"""Which endpoint the settings name, how it is authenticated, and what a request to it contains."""

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatsite.identity import identity
from conversations.inference.endpoint import OpenModel, azure_root
from conversations.inference.errors import (
    ContextTooLong,
    EndpointFailed,
    Filtered,
    NotAuthorised,
    RequestRejected,
    Unreachable,
)
from conversations.inference.registry import Model, Reasoning
from conversations.inference.stream import stream
from tests.cloud import Cloud
from tests.endpoint import Endpoint as Server
from tests.inference.asking import PLAIN, flat, opened
from tests.inference.cases import CASES, Case
from tests.models import model

CUT_ANSWER = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "It is so beca"}]


Ask = Callable[..., Any]


@pytest.fixture
def ask(settings) -> Ask:
    """Ask a model."""

    async def ask(asked: Model, times: int = 1, **wanted: Any) -> None:
        async with opened(settings, asked) as connected:
            for _ in range(times):
                messages = CUT_ANSWER if wanted.get("continuing") else [{"role": "user", "content": "Why?"}]
                request = connected.request(messages, **wanted)
                await stream(connected.endpoint.create, request, lambda deltas: None, stall_seconds=20)

    return ask


@pytest.fixture
def azure(endpoint: Server) -> Iterator[Callable[..., Model]]:
    """Make a model on Azure."""
    root = endpoint.base_url.removesuffix("/v1") + "/models/"
    yield lambda **facts: model(azure=root, model_id="deepseek", **facts)
    identity.close()


async def test_a_managed_identity_sends_its_token_and_no_key(ask: Ask, azure, endpoint: Server, cloud: Cloud):
    await ask(azure(), times=2)
    [token] = cloud.tokens("https://cognitiveservices.azure.com")
    for exchange in endpoint.exchanges:
        assert exchange.path == "/openai/v1/chat/completions"
        assert exchange.headers["Authorization"] == f"Bearer {token}"
        assert exchange.body["model"] == "deepseek"
        assert "Api-Key" not in exchange.headers
    assert [asked["client_id"] for asked in cloud.asked] == [cloud.client_id]


@pytest.mark.parametrize(("is_there", "error"), [(True, NotAuthorised), (False, Unreachable)])
@pytest.mark.parametrize("api_version", ["", "2024-10-21"])
async def test_a_missing_token_is_translated(ask, azure, cloud: Cloud, monkeypatch, is_there, error, api_version):
    cloud.status = 400
    if not is_there:
        monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
    with pytest.raises(error, match="no token for https://cognitiveservices"):
        await ask(azure(api_version=api_version))


async def test_a_developers_sign_in_sends_its_token(
    ask: Ask, azure, endpoint: Server, settings, tmp_path: Path, monkeypatch
):
    program = tmp_path / "azd"
    called = tmp_path / "called"
    token = json.dumps({"token": "developer-token", "expiresOn": "2099-01-01T00:00:00Z"})
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {called}\necho '{token}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    settings.AZURE_TENANT_ID = "11111111-2222-3333-4444-555555555555"
    await ask(azure())
    assert endpoint.exchanges[0].headers["Authorization"] == "Bearer developer-token"
    arguments = called.read_text()
    assert "auth token --output json" in arguments
    assert "--scope https://cognitiveservices.azure.com/.default" in arguments
    assert "--tenant-id 11111111-2222-3333-4444-555555555555" in arguments


async def test_an_api_version_selects_the_classic_route(ask: Ask, azure, endpoint: Server, cloud: Cloud):
    await ask(azure(api_version="2024-10-21"))
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
        ("https://openrouter.ai/api/v1", {"reasoning": {"effort": "high"}}, {"reasoning": {"enabled": False}}),
        ("https://api.openai.com/v1", {}, {"reasoning_effort": "low"}),
        ("http://own.lan:11434/v1", {}, {"reasoning_effort": "none"}),
        (
            "https://notopenai.com/v1",
            {"chat_template_kwargs": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"}},
            {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        ),
    ],
)
async def test_thinking_and_effort_are_sent_in_the_endpoints_form(settings, base_url: str, on: dict, off: dict):
    async with opened(settings, model(base_url, pinned=Reasoning(True, "high"))) as connected:
        thinking = connected.request([])
        not_this_time = connected.request([], thinking=False)
    async with opened(settings, model(base_url, pinned=Reasoning(False, "high"))) as connected:
        not_thinking = connected.request([])
    assert thinking.get("extra_body", {}) == on
    assert thinking.get("reasoning_effort") == (None if "reasoning" in on else "high")
    for request in (not_this_time, not_thinking):
        assert request["extra_body"] == off
        assert "reasoning_effort" not in request


async def test_the_output_limit_is_sent_under_its_usual_name(settings):
    async with opened(settings, model("https://example.org/v1", max_output_tokens=500)) as connected:
        assert connected.request([])["max_tokens"] == 500


async def test_thinking_is_not_sent_unless_it_is_set(settings):
    async with opened(settings, model()) as connected:
        assert set(connected.request([])) == {"model", "messages", "stream", "stream_options"}


async def test_openai_itself_gets_the_output_limit_under_its_newer_name(settings):
    async with opened(settings, model("https://api.openai.com/v1", max_output_tokens=500)) as connected:
        assert connected.request([])["max_completion_tokens"] == 500


async def test_an_answer_without_thinking_overrides_the_settings(ask: Ask, endpoint: Server):
    await ask(model(endpoint.base_url, pinned=Reasoning(True, "high")), thinking=False)
    body = endpoint.exchanges[0].body
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert "reasoning_effort" not in body


async def test_a_cut_answer_is_continued_by_a_message(ask: Ask, endpoint: Server):
    await ask(model(endpoint.base_url), continuing=True)
    body = endpoint.exchanges[0].body
    assert body["messages"][:2] == CUT_ANSWER
    assert body["messages"][2]["role"] == "user"
    assert body["messages"][2]["content"].endswith("It is so beca")
    assert "continue_final_message" not in body
    assert "chat_template_kwargs" not in body


async def test_a_cut_answer_is_completed_where_the_endpoint_can(ask: Ask, endpoint: Server):
    await ask(model(endpoint.base_url, prefix_completion=True), continuing=True)
    body = endpoint.exchanges[0].body
    assert body["messages"] == CUT_ANSWER
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}


async def test_deepseek_completes_a_marked_message_at_its_beta_address_only(ask: Ask, endpoint: Server, monkeypatch):
    # The server acts as the proxy for api.deepseek.com and so receives what is sent there.
    monkeypatch.setenv("HTTP_PROXY", endpoint.base_url.removesuffix("/v1"))
    deepseek = model("http://api.deepseek.com", prefix_completion=True)
    await ask(deepseek)
    await ask(deepseek, continuing=True)
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
    async with opened(settings, model(base_url, prefix_completion=True)) as connected:
        request = connected.request(CUT_ANSWER, continuing=True)
    assert request["messages"] == [CUT_ANSWER[0], last]
    assert set(request.get("extra_body", {})) & {"continue_final_message", "add_generation_prompt"} == fields


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
    asked = model(base_url, max_output_tokens=500, pinned=Reasoning(True, "high"))
    async with opened(settings, asked) as connected:
        request = connected.request([])
        found = connected.without_refused(request, RequestRejected("HTTP 400", message=message))
        assert connected.without_refused(request, EndpointFailed("HTTP 500", message=message)) is None
    if refused is None:
        assert found is None
    else:
        name, amended = found
        assert name == refused
        assert flat(amended) == {name: value for name, value in flat(request).items() if name != refused}


@pytest.mark.parametrize(
    "base_url",
    ["https://vllm.internal/v1", "https://openrouter.ai/v1", "https://api.deepseek.com", "https://api.openai.com/v1"],
)
@pytest.mark.parametrize("pinned", [Reasoning(False), Reasoning()])
async def test_what_switches_thinking_off_is_not_optional(settings, base_url: str, pinned: Reasoning):
    async with opened(settings, model(base_url, pinned=pinned)) as connected:
        request = connected.request([], thinking=None if pinned == Reasoning(False) else False)
        refusal = RequestRejected("HTTP 400", message="thinking, reasoning, chat_template_kwargs, reasoning_effort?")
        assert connected.without_refused(request, refusal) is None
        refusal.message += " stream_options?"  # a positive control
        assert refused(connected, request, refusal.message) == "stream_options"


async def test_a_quick_answer_may_think_if_the_endpoint_refuses_the_switch(settings):
    async with opened(settings, model("https://api.deepseek.com", thinking="switchable")) as connected:
        request = connected.request([], depth="quick")
        assert request["extra_body"] == {"thinking": {"type": "disabled"}}
        refusal = RequestRejected("HTTP 400", message="unknown field: thinking")
        assert connected.without_refused(request, refusal, may_think=True)[0] == "thinking"


@pytest.mark.parametrize(("configured", "name"), [(0, "max_tokens"), (500, None)])
async def test_only_an_output_limit_that_nobody_has_configured_is_optional(settings, configured: int, name: str | None):
    async with opened(settings, model(max_output_tokens=configured)) as connected:
        request = connected.request([], output_tokens=400)
        assert request["max_tokens"] == 400
        assert refused(connected, request, "max_tokens is above 300") == name


def refused(connected: OpenModel, request: dict[str, Any], message: str) -> str | None:
    """Return the field that is left out because an endpoint says this."""
    found = connected.without_refused(request, RequestRejected("HTTP 400", message=message))
    return found[0] if found else None


async def test_a_refusal_that_concerns_the_prompt_is_no_failure_of_the_endpoint(settings):
    async with opened(settings, model()) as connected:
        problems = []
        for error in (None, Unreachable("detail"), Filtered("detail"), ContextTooLong("detail"), None):
            connected.note_end(error)
            problems.append(connected.problem)
    assert problems == ["", "the last answer failed: Unreachable", "", "", ""]


async def test_a_model_that_never_thinks_is_not_told_to(settings):
    async with opened(settings, model(thinking="never")) as connected:
        assert set(connected.request([], thinking=False)) == PLAIN


# What a reasoning model may be sent at all. It refuses, or ignores, the sampling parameters of other models.
ALLOWED = PLAIN | {"max_tokens", "max_completion_tokens", "reasoning_effort", "thinking", "reasoning"}
ALLOWED |= {"chat_template_kwargs"}
NEVER_SENT = ("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
NEVER_SENT += ("tools", "response_format")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_parameters_that_reasoning_models_refuse_are_never_sent(ask: Ask, endpoint: Server, proxied, case: Case):
    asked = model(case.address, case.name, max_output_tokens=500)
    for depth in ("quick", "normal", "deep", ""):
        await ask(asked, depth=depth)
    await ask(asked, thinking=False)
    await ask(asked, continuing=True, as_prefix=False)
    assert len(endpoint.exchanges) == 6
    for exchange in endpoint.exchanges:
        assert exchange.body.keys() <= ALLOWED
        assert not exchange.body.keys() & set(NEVER_SENT)
        assert "reasoning" not in str(exchange.body["messages"])
        assert not (exchange.body.keys() | {"temperature"}) <= ALLOWED  # a positive control
