"""For each built-in profile: what a model of it is sent at each depth, and the stream with which it answers."""

from dataclasses import dataclass, field
from typing import Any

DEEPSEEK = "http://api.deepseek.com"
AZURE = "http://name.services.ai.azure.com/openai/v1"
OPENAI = "http://api.openai.com/v1"
OPENROUTER = "http://openrouter.ai/api/v1"
MISTRAL = "http://api.mistral.ai/v1"
OLLAMA = "http://ollama.lan:11434/v1"
OWN = "http://own.lan:8000/v1"  # vLLM, SGLang, llama.cpp, and gateways


@dataclass(frozen=True)
class Case:
    """A model by its name at an address.

    `sent` are the request fields at each depth that it offers, without those of every request; `without_thinking` are
    those that switch its thinking off. `stream` names one of `dialects.DIALECTS`.
    """

    known: str  # the names of the profile, as in `profiles.PROFILES`
    address: str
    name: str
    stream: str
    sent: dict[str, dict[str, Any]] = field(default_factory=dict)
    without_thinking: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.name} at {self.address.partition('//')[2]}"


def effort(value: str) -> dict[str, Any]:
    return {"reasoning_effort": value}


def reasoning(value: str) -> dict[str, Any]:
    return {"reasoning": {"effort": value}}


def template(on: bool, **more: str) -> dict[str, Any]:
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on, **more}}


OFF, ON = {"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled"}}
NO_REASONING = {"reasoning": {"enabled": False}}
V4 = {"quick": OFF, "normal": {}, "deep": ON | effort("max")}
V4_OWN = {"normal": {}, "deep": template(True, reasoning_effort="max") | effort("max")}
V4_OPENROUTER = {"quick": NO_REASONING, "normal": {}, "deep": reasoning("xhigh")}
V4_OLLAMA = {"quick": effort("none"), "normal": {}, "deep": effort("max")}
THREE = {"quick": effort("low"), "normal": {}, "deep": effort("high")}
GPT5 = {"quick": effort("minimal"), "normal": {}, "deep": effort("high")}
SWITCH = {"quick": template(False), "normal": {}}


def deep(value: str) -> dict[str, dict[str, Any]]:
    return {"normal": {}, "deep": effort(value)}


def quick_and_deep(value: str) -> dict[str, dict[str, Any]]:
    return {"quick": effort("none")} | deep(value)


CASES = [
    Case("DeepSeek V4 Flash and Pro at api.deepseek.com", DEEPSEEK, "deepseek-v4-flash", "deepseek", V4, OFF),
    Case("DeepSeek V4 Flash and Pro at api.deepseek.com", DEEPSEEK, "deepseek-flash", "deepseek", V4, OFF),
    Case("DeepSeek V4 Flash and Pro on Azure", AZURE, "DeepSeek-V4-Pro", "azure", V4, OFF),
    Case(
        "DeepSeek V4 Flash and Pro at OpenRouter",
        OPENROUTER,
        "deepseek/deepseek-v4-flash:free",
        "openrouter",
        V4_OPENROUTER,
        NO_REASONING,
    ),
    Case("DeepSeek V4 Flash and Pro on Ollama", OLLAMA, "deepseek-v4-pro:cloud", "ollama", V4_OLLAMA, effort("none")),
    Case(
        "DeepSeek V4 Flash and Pro on vLLM or SGLang",
        OWN,
        "deepseek-ai/DeepSeek-V4-Flash",
        "vllm",
        V4_OWN,
        template(False),
    ),
    Case("DeepSeek R1", AZURE, "DeepSeek-R1-0528", "azure"),
    Case("DeepSeek R1", OWN, "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "tags without the opening one"),
    Case("DeepSeek R1", OLLAMA, "deepseek-r1:32b", "ollama"),
    Case("OpenAI o1, o3, o3-mini, o4-mini", OPENAI, "o4-mini-2025-04-16", "openai", THREE, effort("low")),
    Case("OpenAI o1, o3, o3-mini, o4-mini", AZURE, "o3", "azure's OpenAI models", THREE, effort("low")),
    Case("OpenAI GPT-5, mini and nano", OPENAI, "gpt-5-mini", "openai", GPT5, effort("minimal")),
    Case(
        "OpenAI GPT-5, mini and nano",
        OPENROUTER,
        "openai/gpt-5",
        "openrouter",
        {"quick": reasoning("minimal"), "normal": {}, "deep": reasoning("high")},
        reasoning("minimal"),
    ),
    Case("OpenAI GPT-5.1", OPENAI, "gpt-5.1", "openai", deep("high"), effort("none")),
    Case(
        "OpenAI GPT-5.1",
        OPENROUTER,
        "openai/gpt-5.1",
        "openrouter",
        {"normal": {}, "deep": reasoning("high")},
        NO_REASONING,
    ),
    Case("OpenAI GPT-5.2", AZURE, "gpt-5.2", "azure's OpenAI models", deep("xhigh"), effort("none")),
    Case("OpenAI GPT-5.4", OPENAI, "gpt-5.4-2026-03-05", "openai", deep("xhigh"), effort("none")),
    Case("OpenAI GPT-5.5", OPENAI, "gpt-5.5", "openai", quick_and_deep("xhigh"), effort("none")),
    Case("OpenAI GPT-5.6, Sol, Terra and Luna", OPENAI, "gpt-5.6-sol", "openai", quick_and_deep("max"), effort("none")),
    Case("gpt-oss", OWN, "openai/gpt-oss-120b", "vllm", THREE, effort("low")),
    Case("gpt-oss", OWN, "gpt-oss-20b-GGUF", "llama.cpp", THREE, effort("low")),
    Case("gpt-oss", OLLAMA, "gpt-oss:20b", "ollama", THREE, effort("low")),
    Case(
        "gpt-oss",
        OPENROUTER,
        "openai/gpt-oss-120b",
        "openrouter",
        {"quick": reasoning("low"), "normal": {}, "deep": reasoning("high")},
        reasoning("low"),
    ),
    Case("Qwen3 Thinking", OWN, "Qwen/Qwen3-30B-A3B-Thinking-2507-FP8", "sglang"),
    Case("Qwen3 Instruct", OWN, "Qwen/Qwen3-235B-A22B-Instruct-2507", "vllm"),
    Case("Qwen3", OWN, "Qwen/Qwen3-32B-AWQ", "sglang", SWITCH, template(False)),
    Case("Qwen3", OWN, "/models/Qwen3-8B-Q4_K_M.gguf", "llama.cpp", SWITCH, template(False)),
    Case(
        "Qwen3",
        OPENROUTER,
        "qwen/qwen3-32b",
        "openrouter",
        {"quick": NO_REASONING, "normal": {}},
        NO_REASONING,
    ),
    Case(
        "Qwen3 on Ollama",
        OLLAMA,
        "qwen3:8b-q4_K_M",
        "ollama",
        {"quick": effort("none"), "normal": {}},
        effort("none"),
    ),
    Case(
        "Mistral Small 4 and Medium 3.5",
        MISTRAL,
        "mistral-small-latest",
        "Mistral's parts",
        deep("high"),
        effort("none"),
    ),
    Case("Mistral Large 4", MISTRAL, "mistral-large-4-0", "Mistral's parts", quick_and_deep("high"), effort("none")),
    Case("Magistral", MISTRAL, "magistral-medium-latest", "Mistral's parts"),
]
