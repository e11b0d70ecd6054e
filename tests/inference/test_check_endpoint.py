"""`manage.py check_endpoint`, as an operator runs it."""

from pathlib import Path

from tests.cloud import Cloud
from tests.endpoint import Endpoint, Exchange
from tests.site import manage


def connected(endpoint: Endpoint) -> dict[str, str]:
    return {"OPENAI_BASE_URL": endpoint.base_url, "OPENAI_MODEL": "test-model", "OPENAI_API_KEY": "canary-key"}


def test_it_reports_what_the_endpoint_does_and_keeps_the_raw_stream(endpoint: Endpoint, tmp_path: Path):
    record = tmp_path / "stream.sse"
    done = manage("check_endpoint", "--record", str(record), **connected(endpoint))
    assert done.returncode == 0, done.stderr
    report = dict(
        line.split(None, 1)
        for line in done.stdout.replace("First ", "First-")
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


def test_it_advises_to_switch_thinking_on_where_none_came(endpoint: Endpoint):
    async def without_thought(exchange: Exchange) -> None:
        await exchange.answer("Yes.")
        await exchange.finish()

    endpoint.respond = without_thought
    done = manage("check_endpoint", **connected(endpoint))
    assert "THINKING=on" in done.stdout


def test_a_failure_is_one_plain_sentence(endpoint: Endpoint):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(401, "invalid_key", "canary-key is wrong")

    endpoint.respond = refuse
    done = manage("check_endpoint", **connected(endpoint))
    assert done.returncode == 1
    assert done.stderr.strip() == "CommandError: NotAuthorised: HTTP 401 invalid_key; check OPENAI_API_KEY."
    assert "canary" not in done.stdout + done.stderr


def test_on_azure_a_refused_token_names_the_other_scope(endpoint: Endpoint, tmp_path: Path):
    async def refuse(exchange: Exchange) -> None:
        await exchange.fail(401)

    endpoint.respond = refuse
    azd = tmp_path / "azd"
    azd.write_text('#!/bin/sh\necho \'{"token": "t", "expiresOn": "2099-01-01T00:00:00Z"}\'\n')
    azd.chmod(0o755)
    azure = {
        "AZURE_INFERENCE_ENDPOINT": endpoint.base_url,
        "AZURE_DEEPSEEK_DEPLOYMENT": "d",
        "PATH": f"{tmp_path}:/usr/bin:/bin",
    }
    done = manage("check_endpoint", **azure)
    assert done.returncode == 1
    assert "AZURE_TOKEN_SCOPE=https://ai.azure.com/.default" in done.stderr


def test_on_azure_without_a_token_it_says_where_to_look(endpoint: Endpoint, cloud: Cloud, tmp_path: Path):
    azure = {"AZURE_INFERENCE_ENDPOINT": endpoint.base_url, "AZURE_DEEPSEEK_DEPLOYMENT": "d"}
    cloud.status = 400
    in_production = manage("check_endpoint", **azure, **cloud.variables)
    assert "check AZURE_CLIENT_ID" in in_production.stderr
    elsewhere = manage("check_endpoint", **azure, PATH=str(tmp_path))
    assert "azd auth login" in elsewhere.stderr
    for done in (in_production, elsewhere):
        assert done.returncode == 1
        assert "canary" not in done.stdout + done.stderr
    assert not endpoint.exchanges


async def complete(exchange: Exchange) -> None:
    cut = exchange.body["messages"][-1]["role"] == "assistant"
    await exchange.answer(" 5, 6, 7, 8, 9" if cut else "9.8 is greater.")
    await exchange.finish()


def test_it_advises_prefix_completion_where_a_cut_answer_is_completed(endpoint: Endpoint):
    endpoint.respond = complete
    done = manage("check_endpoint", **connected(endpoint))
    assert "continued by prefix completion" in done.stdout
    assert "PREFIX_COMPLETION=true" in done.stdout
    assert endpoint.exchanges[1].body["continue_final_message"] is True
    assert "PREFIX_COMPLETION" not in manage("check_endpoint", PREFIX_COMPLETION="true", **connected(endpoint)).stdout


def test_it_advises_against_prefix_completion_where_that_is_refused(endpoint: Endpoint):
    async def refuse(exchange: Exchange) -> None:
        if exchange.body["messages"][-1]["role"] == "assistant":
            await exchange.fail(400, "invalid_request", "the last message must be the user's")
        else:
            await complete(exchange)

    endpoint.respond = refuse
    done = manage("check_endpoint", PREFIX_COMPLETION="true", **connected(endpoint))
    assert done.returncode == 0
    assert "PREFIX_COMPLETION=false" in done.stdout
