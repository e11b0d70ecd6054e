"""What a depth means to a model, by its profile and its endpoint's dialect."""

from typing import Any

import pytest

from conversations.inference.registry import Reasoning
from tests.inference.asking import PLAIN, flat, opened
from tests.models import model

# At each depth: how a model is asked whose thinking has a switch, and one whose thinking has none.
DEPTHS = [
    (
        "https://api.deepseek.com",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
    ),
    (
        "https://name.services.ai.azure.com/openai/v1",
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "enabled"}, "reasoning_effort": "max"},
    ),
    (
        "https://openrouter.ai/api/v1",
        {"reasoning": {"enabled": False}},
        {"reasoning": {"effort": "max"}},
    ),
    ("https://api.openai.com/v1", {"reasoning_effort": "low"}, {"reasoning_effort": "max"}),
    (
        "https://vllm.internal/v1",
        {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
        {
            "chat_template_kwargs": {"enable_thinking": True, "thinking": True, "reasoning_effort": "max"},
            "reasoning_effort": "max",
        },
    ),
]


@pytest.mark.parametrize(("base_url", "quick", "deep"), DEPTHS)
async def test_a_depth_is_sent_in_the_endpoints_form(settings, base_url: str, quick: dict, deep: dict):
    efforts = ("low", "high", "max")
    async with opened(settings, model(base_url, thinking="switchable", efforts=efforts)) as connected:
        sent = [flat(connected.request([], depth=depth)) for depth in ("quick", "normal", "deep", "")]
    found = [{name: value for name, value in body.items() if name not in PLAIN} for body in sent]
    assert found == [quick, {}, deep, {}]
    async with opened(settings, model(base_url, thinking="always", efforts=efforts)) as connected:
        sent = [flat(connected.request([], depth=depth)) for depth in ("quick", "normal", "deep", "")]
    found = [{name: value for name, value in body.items() if name not in PLAIN} for body in sent]
    if "openrouter" in base_url:
        assert found == [{"reasoning": {"effort": "low"}}, {}, {"reasoning": {"effort": "max"}}, {}]
    else:
        assert found == [{"reasoning_effort": "low"}, {}, {"reasoning_effort": "max"}, {}]


@pytest.mark.parametrize(
    ("facts", "depths"),
    [
        ({}, []),
        ({"thinking": "never"}, []),
        ({"thinking": "always"}, []),
        ({"thinking": "switchable"}, ["quick", "normal"]),
        ({"thinking": "always", "efforts": ("low", "high")}, ["quick", "normal", "deep"]),
        ({"thinking": "switchable", "efforts": ("high",)}, ["quick", "normal", "deep"]),
        ({"efforts": ("high",)}, ["normal", "deep"]),
        ({"thinking": "requested"}, ["normal", "deep"]),
        ({"thinking": "requested", "efforts": ("none", "high")}, ["normal", "deep"]),
    ],
)
def test_only_depths_that_the_profile_has_are_offered(facts: dict[str, Any], depths: list[str]):
    assert list(model(**facts).depths) == depths
    assert model(**facts, pinned=Reasoning(effort="high")).depths == {}
