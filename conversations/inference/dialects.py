"""How endpoints want to be asked to think, to complete an answer and to keep to a limit. There are no standards."""

from typing import Any

from conversations.inference.profiles import Profile


def thinking_fields(profile: Profile, on: bool) -> dict[str, Any]:
    """Return the request fields that switch a model's thinking on or off; none if it has no switch.

    api.deepseek.com and Azure's DeepSeek deployments document `thinking`, OpenRouter `reasoning`; vLLM, SGLang and
    llama.cpp pass `chat_template_kwargs` to the model's template, where Qwen reads `enable_thinking` and DeepSeek
    `thinking`. OpenAI's own models refuse other fields than efforts; `low` is the least that all of them take.
    """
    if profile.thinking == "never":
        return {}
    if profile.thinking == "always" or profile.dialect == "openai":
        efforts = profile.efforts or (("low",) if profile.dialect == "openai" else ())
        return {} if on or not efforts else {"reasoning_effort": efforts[0]}
    if profile.dialect in ("deepseek", "azure"):
        return {"thinking": {"type": "enabled" if on else "disabled"}}
    if profile.dialect == "openrouter":
        return {"reasoning": {"enabled": on}}
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}


def prefix(dialect: str, messages: list[dict[str, str]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the messages and request fields that ask for a completion of the last message.

    DeepSeek and Mistral want a mark on the message. OpenRouter completes any assistant message at the end, and for
    Azure nothing else is documented. vLLM, SGLang and llama.cpp take fields for their chat template.
    """
    if dialect in ("deepseek", "mistral"):
        return [*messages[:-1], messages[-1] | {"prefix": True}], {}
    if dialect in ("openrouter", "azure"):
        return messages, {}
    return messages, {"continue_final_message": True, "add_generation_prompt": False}


def limit_field(dialect: str) -> str:
    """Return the field for the output limit.

    OpenAI's own reasoning models refuse the older name; other endpoints may not know the newer one.
    """
    return "max_completion_tokens" if dialect == "openai" else "max_tokens"
