"""What can go wrong between this site and a model, as a person should hear of it.

InferenceError
├── CannotReach      no connection, or it ended before anything came
├── NotAuthorised    no credential, or it was refused
├── OutOfQuota       HTTP 429 or its kin; `retry_after` seconds if the endpoint said
├── TooLong          the prompt does not fit the model's context
├── Filtered         the endpoint's content filter refused
├── Cut              the stream ended, or broke, before its finish reason
├── Stalled          no payload for STALL_SECONDS
├── Malformed        bytes that are not a chat completion stream
└── EndpointFailed   anything else the endpoint reports

`sentence` is for the page: what happened and what to do next. `detail` is for the log: status, error code and
exception's name, never headers, bodies or prompts.
"""

from typing import TYPE_CHECKING

import httpx2

from chatsite.identity import NoToken

if TYPE_CHECKING:
    import openai

RETRIED_STATUSES = {429, 500, 503}
_TOO_LONG = ("context_length_exceeded", "string_above_max_length", "exceed_context_size_error")
_TOO_LONG_WORDS = (
    "maximum context length",
    "context length",
    "context size",
    "too many tokens",
    "prompt is too long",
)


class InferenceError(Exception):
    sentence = "The model's endpoint reported an error. Your prompt is kept: try again, or ask the site's operator."
    # Whether asking again at once may help; only before the first delta.
    retryable = False

    def __init__(self, detail: str, *, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after


class CannotReach(InferenceError):
    sentence = "The model could not be reached. Your prompt is kept: try again in a moment."


class NotAuthorised(InferenceError):
    sentence = "The model's endpoint refused this site's credentials. Your prompt is kept: tell the site's operator."


class OutOfQuota(InferenceError):
    @property
    def sentence(self) -> str:  # type: ignore[override]
        when = f"in {_duration(self.retry_after)}" if self.retry_after else "in a minute"
        return f"The model's endpoint has no quota left for now. Your prompt is kept: try again {when}."


class TooLong(InferenceError):
    sentence = "This is longer than the model can read at once. Shorten the prompt, or begin a new conversation."


class Filtered(InferenceError):
    sentence = "The endpoint's content filter refused this. Put the prompt in other words and ask again."


class Cut(InferenceError):
    sentence = "The connection to the model broke off. What had arrived is kept: try again."


class Stalled(InferenceError):
    sentence = "The model stopped sending. What had arrived is kept: try again."


class Malformed(InferenceError):
    sentence = "The model's endpoint sent something this site could not read. Try again, or tell the site's operator."


class EndpointFailed(InferenceError):
    pass


def translate(error: Exception) -> InferenceError:
    """Return our error for one raised by the SDK, its transport or the credential; the only place that knows theirs."""
    # Whoever has asked a model has imported them; to others they would cost more than all the rest.
    import aiohttp
    import openai

    if isinstance(error, InferenceError):
        return error
    name = type(error).__name__
    if isinstance(error, openai.APIStatusError):
        return _from_status(error)
    if isinstance(
        error,
        openai.APIConnectionError | httpx2.TransportError | aiohttp.ClientConnectionError | aiohttp.ClientPayloadError,
    ):
        # The credential is fetched inside the SDK's request, which wraps whatever that raises.
        if isinstance(error.__cause__, NoToken):
            return translate(error.__cause__)
        return CannotReach(name, retryable=True)
    if isinstance(error, NoToken):
        return NotAuthorised(str(error)) if error.refused else CannotReach(str(error), retryable=True)
    if isinstance(error, openai.OpenAIError):
        return EndpointFailed(name)
    if isinstance(error, aiohttp.ClientError):  # what the transport leaves untranslated: an answer that is not HTTP
        return Malformed(name)
    raise error


def from_body(body: object, status: int | None = None) -> InferenceError:
    """Return our error for an endpoint's error object, as sent in a response's body or in mid-stream."""
    fields = body if isinstance(body, dict) else {}
    fields = fields.get("error", fields)
    if not isinstance(fields, dict):
        fields = {"message": str(fields)}
    code = str(fields.get("code") or fields.get("type") or "")
    message = str(fields.get("message") or "").lower()
    detail = f"HTTP {status} {code[:60]}".strip() if status else f"error in the stream {code[:60]}".strip()
    if code == "content_filter" or "content management policy" in message:
        return Filtered(detail)
    if code in _TOO_LONG or (status in (None, 400, 413) and any(words in message for words in _TOO_LONG_WORDS)):
        return TooLong(detail)
    if status in (401, 403):
        return NotAuthorised(detail)
    if status in (402, 429) or "rate_limit" in code or "insufficient_quota" in code:
        return OutOfQuota(detail, retryable=status == 429 and code != "insufficient_quota")
    return EndpointFailed(detail, retryable=status in RETRIED_STATUSES)


def _from_status(error: "openai.APIStatusError") -> InferenceError:
    ours = from_body(error.body, error.status_code)
    ours.retry_after = _seconds(error.response.headers.get("retry-after"))
    return ours


def _seconds(header: str | None) -> float | None:
    """Return Retry-After as seconds; None for its date form, which no model endpoint has been seen to send."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
