"""What is known of models by their names: what they are sent, and how their answers are read."""

import pytest

from conversations.inference.deltas import Delta
from conversations.inference.profiles import PROFILES, UNKNOWN, profile_of
from conversations.inference.registry import DIALECTS as REQUEST_DIALECTS
from conversations.inference.registry import EFFORTS, THINKING, Reasoning
from conversations.inference.stream import stream
from conversations.models import Kind
from tests.endpoint import Endpoint as Server
from tests.endpoint import Exchange
from tests.inference.asking import PLAIN, opened
from tests.inference.cases import CASES, Case
from tests.inference.dialects import DIALECTS
from tests.models import model
from tests.site import ROOT

STREAMS = {dialect.name: dialect for dialect in DIALECTS}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_a_known_model_is_sent_exactly_this_at_each_depth(settings, endpoint: Server, proxied, case: Case):
    expected = STREAMS[case.stream]

    async def respond(exchange: Exchange) -> None:
        await exchange.raw(expected.data)

    endpoint.respond = respond
    asked = model(case.address, case.name)
    assert list(asked.depths) == list(case.sent)
    async with opened(settings, asked) as connected:
        messages = [{"role": "user", "content": "Why?"}]
        requests = [connected.request(messages, depth=depth) for depth in ("quick", "normal", "deep")]
        for request in [*requests, connected.request(messages, thinking=False)]:
            seen: list[Delta] = []
            outcome = await stream(connected.endpoint.create, request, seen.extend, stall_seconds=20)
            assert (read(seen), outcome.usage) == ((expected.reasoning, expected.answer), expected.usage)
    bodies = [exchange.body for exchange in endpoint.exchanges]
    assert [body["model"] for body in bodies] == [case.name] * 4
    sent = [{key: value for key, value in body.items() if key not in PLAIN} for body in bodies]
    assert sent == [*(case.sent.get(depth, {}) for depth in ("quick", "normal", "deep")), case.without_thinking]


def read(seen: list[Delta]) -> tuple[str, str]:
    reasoning = answer = ""
    for delta in seen:
        if delta.relabels:
            reasoning, answer = reasoning + answer, ""
        if delta.kind == Kind.REASONING:
            reasoning += delta.text
        else:
            answer += delta.text
    return reasoning, answer


def test_each_built_in_profile_is_tested_and_documented_with_its_source():
    assert {case.known for case in CASES} == {known.names for known in PROFILES}
    documented = (ROOT / "docs/models.md").read_text()
    for known in PROFILES:
        assert f"| {known.names} |" in documented
        assert known.source in documented
        assert known.profile.thinking in THINKING
        assert known.profile.efforts == tuple(each for each in EFFORTS if each in known.profile.efforts)
        assert set(known.dialects) <= set(REQUEST_DIALECTS)
        assert known.profile.max_output_tokens == 0  # a limit that is sent would count against quotas


@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("openai", "gpt-5-chat-latest"),
        ("openai", "gpt-5.4-pro"),
        ("openai", "gpt-4o"),
        ("deepseek", "deepseek-reasoner"),
        ("deepseek", "my-deepseek-v4-pro"),
        ("mistral", "mistral-large-latest"),
        ("ollama", "qwen3:30b"),
        ("vllm", "Qwen/Qwen3-Embedding-8B"),
        ("vllm", "Qwen/Qwen3-Coder-30B-A3B-Instruct"),
        ("vllm", "Qwen/Qwen3.5-35B-A3B"),
        ("vllm", "some-model"),
        ("azure", "deployment"),
    ],
)
async def test_nothing_is_sent_to_other_models_that_nobody_has_set(settings, dialect: str, name: str):
    found = profile_of(name, dialect)
    assert (found.thinking, found.efforts, found.dialect) == (UNKNOWN.thinking, UNKNOWN.efforts, dialect)
    async with opened(settings, model(model_id=name, dialect=dialect)) as connected:
        for depth in ("quick", "normal", "deep"):
            assert set(connected.request([], depth=depth)) == PLAIN


async def test_thinking_that_is_pinned_asks_for_the_least_effort_where_that_is_needed(settings):
    asked = model("https://api.openai.com/v1", "gpt-5.1", pinned=Reasoning(thinking=True))
    async with opened(settings, asked) as connected:
        assert connected.request([])["extra_body"] == {"reasoning_effort": "low"}
