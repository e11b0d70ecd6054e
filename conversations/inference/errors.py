"""What can go wrong between this site and a model endpoint.

InferenceError
├── Unreachable      no connection, or it was lost before any event
├── NotAuthorised    no credential, or it was refused
├── RateLimited      HTTP 429 or similar; `retry_after` seconds if the endpoint said
├── ContextTooLong   the prompt does not fit the model's context
├── Filtered         the endpoint's content filter refused
├── StreamCut        the stream ended, or broke, before its finish reason
├── Stalled          no event for STALL_SECONDS
├── Malformed        the response is not a chat completion stream
└── EndpointFailed   anything else that the endpoint reports

`sentence` is for the page: what happened, then what to do. `detail` is for the log: status, error code and the names of
exceptions, never headers, bodies or prompts. The names of these classes are values of the metric label `cause`.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from chatsite.identity import NoToken

RETRIED_STATUSES = {429, 500, 503}
_CONTEXT_CODES = ("context_length_exceeded", "string_above_max_length", "exceed_context_size_error")
_CONTEXT_PHRASES = (
    "maximum context length",
    "context length",
    "context size",
    "too many tokens",
    "prompt is too long",
)


class InferenceError(Exception):
    """`retryable`: trying again may help. `retry_after`: seconds after which the endpoint said to try again."""

    sentence = (
        "The model endpoint reported an error. Your question has been saved. Try again, or contact an administrator."
    )

    def __init__(self, detail: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after


class Unreachable(InferenceError):
    sentence = "The model could not be reached. Your question has been saved. Try again in a moment."


class NotAuthorised(InferenceError):
    sentence = (
        "The model endpoint refused this site's credentials. Your question has been saved. Contact an administrator."
    )


class RateLimited(InferenceError):
    def __init__(self, detail: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(detail, retryable=retryable, retry_after=retry_after)
        when = f"in {_duration(retry_after)}" if retry_after else "in a minute"
        self.sentence = f"The model has reached its usage limit. Your question has been saved. Try again {when}."


class ContextTooLong(InferenceError):
    sentence = "This conversation is too long for the model. Shorten your question, or start a new conversation."


class Filtered(InferenceError):
    sentence = "The model's content filter blocked this. Rephrase your question and try again."


class StreamCut(InferenceError):
    sentence = "The connection to the model was lost. What arrived has been saved. Try again."


class Stalled(InferenceError):
    sentence = "The model stopped responding. What arrived has been saved. Try again."


class Malformed(InferenceError):
    sentence = "The model endpoint sent a response that this site cannot read. Try again, or contact an administrator."


class EndpointFailed(InferenceError):
    pass


@contextmanager
def translated() -> Iterator[None]:
    """Raise `InferenceError` for any error of the SDK, the transport or the credential; others pass unchanged."""
    try:
        yield
    except InferenceError:
        raise
    except Exception as error:
        raise translate(error) from error


def translate(error: Exception) -> InferenceError:
    """Return our error for one of the SDK, the transport or the credential. Raises any other: it is our own fault."""
    import openai  # imported late, for commands that ask no model start in a third of the time without it

    if isinstance(error, NoToken):
        return NotAuthorised(str(error)) if error.refused else Unreachable(str(error), retryable=True)
    if isinstance(error, openai.APIStatusError):
        return from_body(error.body, error.status_code, _seconds(error.response.headers.get("retry-after")))
    # The SDK reports every failure to connect as the same error; its cause is more exact.
    cause = error.__cause__ or error if isinstance(error, openai.APIConnectionError) else error
    name = type(cause).__name__
    if isinstance(cause, httpx2.RemoteProtocolError | httpx2.DecodingError):
        return Malformed(name)
    if isinstance(error, openai.APIConnectionError | httpx2.RequestError):
        return Unreachable(name, retryable=True)
    if isinstance(error, openai.OpenAIError):
        return EndpointFailed(name)
    raise error


def from_body(body: object, status: int | None = None, retry_after: float | None = None) -> InferenceError:
    """Return our error for an endpoint's error object, from a response's body or from the stream (no `status`)."""
    fields = body if isinstance(body, dict) else {}
    fields = fields.get("error", fields)
    if not isinstance(fields, dict):
        fields = {"message": str(fields)}
    code = str(fields.get("code") or fields.get("type") or "")
    message = str(fields.get("message") or "").lower()
    detail = f"HTTP {status} {code[:60]}".strip() if status else f"error in the stream {code[:60]}".strip()
    if code == "content_filter" or "content management policy" in message:
        return Filtered(detail)
    if code in _CONTEXT_CODES or (status in (None, 400, 413) and any(words in message for words in _CONTEXT_PHRASES)):
        return ContextTooLong(detail)
    if status in (401, 403):
        return NotAuthorised(detail)
    if status in (402, 429) or "rate_limit" in code or "insufficient_quota" in code:
        retryable = status == 429 and code != "insufficient_quota"
        return RateLimited(detail, retryable=retryable, retry_after=retry_after)
    return EndpointFailed(detail, retryable=status in RETRIED_STATUSES, retry_after=retry_after)


def _seconds(header: str | None) -> float | None:
    """Return Retry-After in seconds; None for its date form, which no model endpoint is known to send."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _duration(seconds: float) -> str:
    if seconds < 5:
        return "a moment"
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
