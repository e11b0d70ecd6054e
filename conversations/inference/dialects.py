"""How endpoints want to be asked to think, to complete an answer and to keep to a limit. There are no standards."""

from typing import Any

from conversations.inference.profiles import Profile

# These have no other switch than an effort.
SWITCHED_BY_EFFORT = ("openai", "mistral", "ollama")
# The least of those that all of OpenAI's models take. Mistral's models refuse efforts that they do not know.
LEAST_EFFORTS = {"openai": ("low",)}


def thinking_fields(profile: Profile, on: bool, effort: str = "") -> dict[str, Any]:
    """Return the request fields that switch a model's thinking on or off; none if it has no switch.

    api.deepseek.com and Azure's DeepSeek deployments document `thinking`, OpenRouter `reasoning`; vLLM, SGLang and
    llama.cpp pass `chat_template_kwargs` to the model's template, where Qwen reads `enable_thinking` and DeepSeek
    `thinking`, and some hosts read the effort only there. OpenAI, Mistral and Ollama switch by `reasoning_effort`;
    Ollama reads `none` as off for any model.
    """
    if profile.thinking == "never":
        return {}
    if profile.thinking == "always" or profile.dialect in SWITCHED_BY_EFFORT:
        return _effort_for(profile, on, effort)
    if profile.dialect in ("deepseek", "azure"):
        return {"thinking": {"type": "enabled" if on else "disabled"}}
    if profile.dialect == "openrouter":
        return effort_fields(profile, effort) if on and effort else {"reasoning": {"enabled": on}}
    switches: dict[str, Any] = {"enable_thinking": on, "thinking": on}
    return {"chat_template_kwargs": switches | ({"reasoning_effort": effort} if on and effort else {})}


def _effort_for(profile: Profile, on: bool, effort: str) -> dict[str, Any]:
    """Return the field of the effort that switches thinking on or off; none if that needs no effort, or has none."""
    if on:
        thinking = [each for each in profile.efforts if each != "none"]
        needed = profile.thinking == "requested" and thinking and not effort
        return effort_fields(profile, thinking[0]) if needed else {}
    if profile.dialect == "ollama" and profile.thinking != "always":
        return effort_fields(profile, "none")
    least = profile.efforts or LEAST_EFFORTS.get(profile.dialect, ())
    return effort_fields(profile, least[0]) if least else {}


def effort_fields(profile: Profile, effort: str) -> dict[str, Any]:
    """Return the request fields that ask for an effort."""
    if profile.dialect == "openrouter":
        return {"reasoning": {"effort": effort}}
    return {"reasoning_effort": effort}


def prefix(dialect: str, messages: list[dict[str, str]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages and request fields that ask for a completion of the last message.

    DeepSeek and Mistral want a mark on the message. OpenRouter and Ollama complete any assistant message at the end,
    and for Azure nothing else is documented. vLLM, SGLang and llama.cpp take fields for their chat template.
    """
    if dialect in ("deepseek", "mistral"):
        return [*messages[:-1], messages[-1] | {"prefix": True}], {}
    if dialect in ("openrouter", "ollama", "azure"):
        return messages, {}
    return messages, {"continue_final_message": True, "add_generation_prompt": False}


def limit_field(dialect: str) -> str:
    """Return the field for the output limit.

    OpenAI's own reasoning models refuse the older name; other endpoints may not know the newer one.
    """
    return "max_completion_tokens" if dialect == "openai" else "max_tokens"
