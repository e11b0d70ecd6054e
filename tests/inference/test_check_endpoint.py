"""`manage.py check_endpoint`, as an operator runs it."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from conversations.inference.registry import Reasoning
from tests.cloud import Cloud
from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.models import model, registry
from tests.site import manage


@pytest.fixture
def connected(endpoint: Endpoint, settings) -> None:
    """Connect this process to the endpoint."""
    settings.MODELS = registry(model(endpoint.base_url, "test-model"))


@pytest.fixture
def azure(endpoint: Endpoint, settings) -> None:
    """Connect this process to the endpoint as to a deployment on Azure."""
    settings.MODELS = registry(model(azure=endpoint.base_url, model_id="d"))


def check(*arguments: str) -> str:
    """Run the command; return what it printed."""
    printed = StringIO()
    call_command("check_endpoint", *arguments, stdout=printed)
    return printed.getvalue()


@pytest.mark.usefixtures("connected")
def test_it_reports_what_the_endpoint_does_and_keeps_the_raw_stream(endpoint: Endpoint, tmp_path: Path):
    record = tmp_path / "stream.sse"
    report = dict(
        line.split(None, 1)
        for line in check("--record", str(record))
        .replace("First ", "First-")
        .replace("To set", "To-set")
        .replace("Cut answers", "Cut-answers")
        .splitlines()
    )
    assert report["Endpoint"] == endpoint.base_url
    assert report["Authentication"] == "API key"
    assert report["Model"] == "test-model"
    assert report["Reasoning"] == "32 characters in reasoning_content"
    assert report["First-reasoning"].endswith(" s")
    assert report["First-answer"].endswith(" s")
    assert report["Usage"] == "prompt 12, reasoning 20, answer 10"
    assert report["Cut-answers"] == "continued by asking"
    assert "CONTEXT_TOKENS" in report["To-set"]
    assert record.read_bytes().startswith(b'data: {"choices"')
    assert record.read_bytes().endswith(b"data: [DONE]\n\n")


@pytest.mark.usefixtures("connected")
def test_it_advises_to_switch_thinking_on_where_none_came(endpoint: Endpoint):
    async def without_thought(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.finish()

    endpoint.respond = without_thought
    assert "THINKING=on" in check()


def test_a_failure_is_one_plain_sentence(endpoint: Endpoint):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(401, "invalid_key", "canary-key\nis wrong")

    endpoint.respond = refuse
    done = manage("check_endpoint", **connection(endpoint))
    assert done.returncode == 1
    sentence = "CommandError: NotAuthorised: HTTP 401 invalid_key: … is wrong; check OPENAI_API_KEY."
    assert done.stderr.strip() == sentence
    assert "canary" not in done.stdout + done.stderr


@pytest.mark.usefixtures("azure")
def test_on_azure_a_refused_token_names_the_other_scope(endpoint: Endpoint, monkeypatch, tmp_path: Path):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(401)

    endpoint.respond = refuse
    azd = tmp_path / "azd"
    azd.write_text('#!/bin/sh\necho \'{"token": "t", "expiresOn": "2099-01-01T00:00:00Z"}\'\n')
    azd.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(CommandError, match=r"AZURE_TOKEN_SCOPE=https://ai\.azure\.com/\.default"):
        check()


@pytest.mark.usefixtures("azure")
def test_in_production_without_a_token_the_identity_is_to_be_checked(endpoint: Endpoint, cloud: Cloud):
    cloud.status = 400
    with pytest.raises(CommandError, match="check AZURE_CLIENT_ID") as failed:
        check()
    assert "canary" not in str(failed.value)
    assert not endpoint.exchanges


@pytest.mark.usefixtures("azure")
def test_elsewhere_without_a_token_one_is_to_sign_in(endpoint: Endpoint, monkeypatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="azd auth login"):
        check()
    assert not endpoint.exchanges


async def complete(exchange: Exchange) -> None:
    cut = exchange.body["messages"][-1]["role"] == "assistant"
    await exchange.answer(" 5, 6, 7, 8, 9" if cut else "9.8 is greater.")
    await exchange.finish()


@pytest.mark.usefixtures("connected")
def test_it_advises_prefix_completion_where_a_cut_answer_is_completed(endpoint: Endpoint, settings):
    endpoint.respond = complete
    printed = check()
    assert "continued by prefix completion" in printed
    assert "PREFIX_COMPLETION=true" in printed
    assert endpoint.exchanges[1].body["continue_final_message"] is True
    settings.MODELS = registry(model(endpoint.base_url, prefix_completion=True))
    assert "PREFIX_COMPLETION" not in check()


@pytest.mark.usefixtures("connected")
def test_it_advises_against_prefix_completion_where_that_is_refused(endpoint: Endpoint, settings):
    async def refuse(exchange: Exchange) -> None:
        if exchange.body["messages"][-1]["role"] == "assistant":
            await exchange.fail(400, "invalid_request", "the last message must be the user's")
        else:
            await complete(exchange)

    endpoint.respond = refuse
    settings.MODELS = registry(model(endpoint.base_url, prefix_completion=True))
    assert "PREFIX_COMPLETION=false" in check()


@pytest.mark.usefixtures("connected")
def test_it_reports_a_parameter_that_is_refused_and_the_setting_behind_it(endpoint: Endpoint, settings):
    async def refuse(exchange: Exchange) -> None:
        if "reasoning_effort" in exchange.body:
            await exchange.fail(400, "unsupported", "Unknown parameter: reasoning_effort")
        else:
            await exchange.answer("Yes.")
            await exchange.raw(b"data: [DONE]\n\n")

    endpoint.respond = refuse
    settings.MODELS = registry(model(endpoint.base_url, pinned=Reasoning(effort="high")))
    printed = check()
    assert "Refused         reasoning_effort, so the request was sent again without it: HTTP 400 unsupported" in printed
    assert "To set          REASONING_EFFORT= (nothing): the endpoint refuses reasoning_effort" in printed
    assert "finish reason missing" in printed
    assert "Unstated: The model endpoint did not say whether this answer is complete." in printed


def test_all_models_are_asked_at_each_depth_and_get_the_lines_of_their_profiles(endpoint: Endpoint, settings):
    async def respond(exchange: Exchange) -> None:
        body = exchange.body
        if body["model"] == "gone":
            await exchange.fail(404, "not_found", "no such model")
        elif body.get("reasoning_effort") == "max":
            await exchange.fail(400, "unsupported", "reasoning_effort: max is none of low, high")
        elif body["messages"][-1]["role"] == "assistant":
            await exchange.fail(400, "unsupported", "the last message must be the user's")
        else:
            if body["model"] == "thinker" and body.get("thinking") != {"type": "disabled"}:
                await exchange.reason("Hm.")
            await exchange.answer("Yes.")
            await exchange.finish(usage=None)

    endpoint.respond = respond
    settings.MODELS = registry(
        model(endpoint.base_url, "thinker", dialect="deepseek", thinking="always", efforts=("low", "high", "max")),
        model(endpoint.base_url, "plain", dialect="deepseek"),
        model(endpoint.base_url, "gone"),
    )
    printed = StringIO()
    with pytest.raises(CommandError, match="1 of 3 models did not answer: gone"):
        call_command("check_endpoint", "--all", stdout=printed)
    thinker, plain, gone = printed.getvalue().strip().split("\n\n")
    assert f"Model           thinker (thinker at {endpoint.base_url})" in thinker
    assert "Normal          3 characters of reasoning, first text after" in thinker
    assert "Thinking off    no reasoning" in thinker
    assert "Effort max      3 characters of reasoning" in thinker
    assert "without reasoning_effort, which the endpoint refuses" in thinker
    assert thinker.endswith("prefix_completion = false")
    assert 'Profile         thinking = "switchable"' in thinker
    assert 'efforts = ["low", "high"]' in thinker
    assert 'Profile         thinking = "never"' in plain
    assert "efforts" not in plain
    assert "Normal          RequestRejected: HTTP 404 not_found: no such model" in gone
    assert "Profile" not in gone
