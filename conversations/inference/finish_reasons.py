"""What an endpoint says about the end of an answer, in the words of many vendors, and what that means here.

The words are those of OpenAI, Anthropic, Gemini, Bedrock, Cohere, Mistral, DeepSeek, Zhipu, watsonx, vLLM, SGLang and
text-generation-inference, as gateways pass them on. Upper and lower case are the same.
"""

from conversations.inference import errors

COMPLETE = {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete"}
LENGTH = {"length", "max_tokens", "max_output_tokens", "model_length", "token_limit", "model_context_window_exceeded"}
# Not a reason, though some send the word instead of null.
NONE = {"null", "none", "not_finished", "finish_reason_unspecified"}

FAILURES: dict[str, type[errors.InferenceError]] = {
    **dict.fromkeys(
        (
            "content_filter",
            "content_filtered",
            "guardrail_intervened",
            "safety",
            "image_safety",
            "prohibited_content",
            "blocklist",
            "recitation",
            "spii",
            "sensitive",
            "error_toxic",
        ),
        errors.Filtered,
    ),
    "refusal": errors.Refused,
    **dict.fromkeys(
        (
            "tool_calls",
            "tool_call",
            "tool_use",
            "function_call",
            "malformed_function_call",
            "unexpected_tool_call",
            "too_many_tool_calls",
        ),
        errors.ToolCalled,
    ),
    **dict.fromkeys(
        ("abort", "aborted", "cancelled", "canceled", "user_cancel", "timeout", "time_limit", "network_error"),
        errors.Aborted,
    ),
    **dict.fromkeys(("error", "error_limit"), errors.EndpointFailed),
    "insufficient_system_resource": errors.OutOfResources,
}


def is_reason(text: str) -> bool:
    return text.lower() not in NONE


def is_length(reason: str) -> bool:
    """Return whether the answer was cut at a limit on its length."""
    return reason.lower() in LENGTH


def failure(reason: str) -> errors.InferenceError | None:
    """Return why an answer with this finish reason is not simply complete or at its length limit."""
    if not reason:
        return errors.Unstated("no finish reason")
    if reason.lower() in COMPLETE | LENGTH:
        return None
    kind = FAILURES.get(reason.lower(), errors.Unexplained)
    return kind(f"finish reason {reason}")
