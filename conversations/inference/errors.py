"""How a request to a model endpoint can end without a complete answer.

InferenceError
├── Unreachable       no connection, or it was lost before any event
├── NotAuthorised     no credential, or it was refused
├── RateLimited       HTTP 429 or similar; `retry_after` seconds if the endpoint said
├── ContextTooLong    the prompt does not fit the model's context
├── TooFewTokens      not sent: the prompt needs more than is left of the user's tokens for today
├── Filtered          the endpoint's content filter refused
│   └── Refused       the model itself declined
├── RequestRejected   the endpoint does not accept the request, for example one of its parameters
├── StreamCut         the connection broke before the finish reason
├── Unfinished        the response ended before the finish reason
├── Stalled           no text for STALL_SECONDS
├── Malformed         the response is not a chat completion
├── ToolCalled        the model called a tool, which the site does not offer
├── Aborted           the endpoint reported that it gave up
├── OutOfResources    the endpoint reported that it lacks resources
├── Unexplained       it ended for a reason that this site does not know
├── FileUnavailable   a file of the conversation cannot be read
├── Unstated          it ended without a reason
├── NotText           the answer, or a part of it, is not text
└── EndpointFailed    anything else that the endpoint reports

`sentence` and `advice` are for the page: what happened, then what to do. `detail` and `message` are for logs and staff:
`detail` has status, error code and the names of exceptions, `message` what the endpoint said. Neither contains a key or
a prompt. The names of these classes are values of the metric label `cause`.
"""

import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpx2

from chatsite.identity import NoToken
from conversations.inference.sanitise import one_line, without_repetitions, without_secrets
from conversations.models import Status

MESSAGE_CHARACTERS = 500
RETRIED_STATUSES = {429, 500, 503}
REJECTED_STATUSES = {400, 404, 405, 413, 415, 422}
MESSAGE_FIELDS = ("message", "detail", "error", "msg", "title")
MAX_RETRY_AFTER = 7 * 24 * 3600.0  # seconds; more is not an honest time
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

    status = Status.FAILED  # of the generation
    sentence = "The model endpoint reported an error."
    advice = "Try again, or contact an administrator."

    def __init__(
        self,
        detail: str,
        *,
        message: str = "",
        retryable: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after

    @property
    def report(self) -> str:
        """Return one line for logs and staff."""
        return f"{self.detail}: {self.message}" if self.message else self.detail

    def notice(self, *, has_text: bool) -> str:
        """Return what the page says; `has_text` is whether any of the answer or its reasoning arrived."""
        return notice(self.sentence, self.advice, has_text=has_text)

    def hide(self, sent: Iterable[str]) -> None:
        """Remove what the endpoint's message repeats of the prompt, `sent`."""
        self.message = without_repetitions(self.message, sent)


class Unreachable(InferenceError):
    sentence = "The model could not be reached."
    advice = "Try again in a moment."


class NotAuthorised(InferenceError):
    sentence = "The model endpoint refused this site's credentials."
    advice = "Contact an administrator."


class RateLimited(InferenceError):
    sentence = "The model has reached its usage limit."

    def notice(self, *, has_text: bool) -> str:
        advice = "Try again in a minute." if self.retryable else "Try again later, or contact an administrator."
        if self.retry_after:
            advice = f"Try again in {_duration(self.retry_after)}."
        return notice(self.sentence, advice, has_text=has_text)


class ContextTooLong(InferenceError):
    sentence = "This conversation is too long for the model."
    advice = "Shorten your question, or start a new conversation."


class TooFewTokens(InferenceError):
    """`sentence` says how many tokens are left, `advice` when there are more."""

    def __init__(self, sentence: str, advice: str) -> None:
        super().__init__("the daily limit is reached")
        self.sentence, self.advice = sentence, advice


class FileUnavailable(InferenceError):
    sentence = "A file of this conversation could not be read: the site's storage is not available."
    advice = "Try again in a moment."


class Filtered(InferenceError):
    status = Status.FILTERED
    sentence = "The model's content filter blocked this."
    advice = "Rephrase your question and try again."


class Refused(Filtered):
    sentence = "The model declined to answer."


class RequestRejected(InferenceError):
    sentence = "The model endpoint did not accept this site's request."
    advice = "Contact an administrator."


class StreamCut(InferenceError):
    sentence = "The connection to the model was lost."
    advice = "Try again."


class Unfinished(InferenceError):
    sentence = "The model endpoint ended its response before the answer was finished."
    advice = "Try again."


class Stalled(InferenceError):
    sentence = "The model stopped responding."
    advice = "Try again."


class Malformed(InferenceError):
    sentence = "The model endpoint sent a response that this site cannot read."


class ToolCalled(InferenceError):
    sentence = "The model tried to use a tool, but this site does not offer any."
    advice = "Rephrase your question, or try again."


class Aborted(InferenceError):
    sentence = "The model endpoint stopped this answer before it was finished."
    advice = "Try again."


class OutOfResources(InferenceError):
    sentence = "The model ran out of resources before the answer was finished."
    advice = "Try again in a moment."


class Unexplained(InferenceError):
    status = Status.INTERRUPTED
    sentence = "The model endpoint ended this answer for a reason that this site does not know. It may be incomplete."
    advice = "Try again."


class Unstated(InferenceError):
    status = Status.COMPLETE
    sentence = "The model endpoint did not say whether this answer is complete."

    def notice(self, *, has_text: bool) -> str:
        return self.sentence


class NotText(InferenceError):
    sentence = "The model answered with something other than text, which this site cannot show."
    advice = "Rephrase your question, or try again."


class EndpointFailed(InferenceError):
    pass


def failures() -> list[str]:
    """Return the names of the errors because of which generations fail."""
    return [kind.__name__ for kind in InferenceError.__subclasses__() if kind.status == Status.FAILED]


def notice(sentence: str, advice: str, *, has_text: bool) -> str:
    """Return what the page says of a failure: what happened, what was saved, and what to do."""
    saved = "What arrived has been saved." if has_text else "Your question has been saved."
    return f"{sentence} {saved} {advice}"


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
        retry_after = _seconds(error.response.headers.get("retry-after"))
        return from_body(error.body, error.status_code, retry_after, keys_of(error.request))
    # The SDK reports every failure to connect as the same error; its cause is more exact.
    cause = error.__cause__ or error if isinstance(error, openai.APIConnectionError) else error
    keys = keys_of(error.request) if isinstance(error, openai.APIConnectionError) else ()
    name, message = type(cause).__name__, _said(str(cause), keys)
    if isinstance(cause, httpx2.RemoteProtocolError | httpx2.DecodingError):
        return Malformed(name, message=message)
    if isinstance(error, openai.APIConnectionError | httpx2.RequestError):
        return Unreachable(name, message=message, retryable=True)
    if isinstance(error, openai.OpenAIError):
        return EndpointFailed(name, message=message)
    raise error


def from_body(
    body: object, status: int | None = None, retry_after: float | None = None, keys: tuple[str, ...] = ()
) -> InferenceError:
    """Return our error for an endpoint's error object, from a response's body or from the stream (no `status`).

    `keys` are those that were sent.
    """
    fields = _object(body)
    fields = _object(fields.get("error", fields))
    code = without_secrets(_code(fields), *keys)
    message = _said(_message(fields), keys)
    lower = message.lower()
    place = f"HTTP {status}" if status else "error in the stream"
    detail = place if not code or code == str(status) else f"{place} {code}"
    if status is None and code.isdecimal() and 400 <= int(code) < 600:
        status = int(code)
    if code == "content_filter" or "content management policy" in lower:
        return Filtered(detail, message=message)
    if code in _CONTEXT_CODES or (status in (None, 400, 413) and any(words in lower for words in _CONTEXT_PHRASES)):
        return ContextTooLong(detail, message=message)
    if status in (401, 403):
        return NotAuthorised(detail, message=message)
    if status in (402, 429) or "rate_limit" in code or "insufficient_quota" in code:
        retryable = status == 429 and code != "insufficient_quota"
        return RateLimited(detail, message=message, retryable=retryable, retry_after=retry_after)
    kind = RequestRejected if status in REJECTED_STATUSES else EndpointFailed
    return kind(detail, message=message, retryable=status in RETRIED_STATUSES, retry_after=retry_after)


def keys_of(request: httpx2.Request) -> tuple[str, ...]:
    """Return the keys or tokens in a request's headers."""
    return request.headers.get("authorization", "").removeprefix("Bearer "), request.headers.get("api-key", "")


def _said(text: str, keys: tuple[str, ...]) -> str:
    """Return `text` for logs and staff. It is cut after keys were removed, for a part of a key would not be found."""
    return one_line(without_secrets(one_line(text, 4 * MESSAGE_CHARACTERS), *keys), MESSAGE_CHARACTERS)


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {"message": value}


def _code(fields: dict[str, object]) -> str:
    """Return the error's code; of anything but an identifier, the part that looks like one."""
    code = fields.get("code") or fields.get("type") or ""
    return re.sub(r"[^\w.-]", "", str(code), flags=re.ASCII)[:60] if isinstance(code, str | int) else ""


def _message(fields: dict[str, object], depth: int = 3) -> str:
    """Return what an error object says: with the parameter it names, and what a service behind a gateway said."""
    found = next((value for name in MESSAGE_FIELDS if (value := fields.get(name))), "")
    if isinstance(found, list):  # as FastAPI reports each field that it refuses
        parts = [_message(_object(each), depth - 1) for each in found[:5]] if depth else []
        text = "; ".join(filter(None, parts))
    elif isinstance(found, dict):
        text = _message(found, depth - 1) if depth else ""
    else:
        text = str(found) if isinstance(found, str | int) else ""
    place = fields.get("param") or fields.get("loc")
    names = place if isinstance(place, list) else [place]
    parameter = ".".join(name for name in names if isinstance(name, str))
    if parameter and parameter not in text:
        text = f"{parameter}: {text}"
    behind = fields.get("metadata")
    if isinstance(behind, dict) and isinstance(raw := behind.get("raw"), str):
        text = f"{text}: {raw}"
    return text


def _seconds(header: str | None) -> float | None:
    """Return Retry-After in seconds; None for its date form, which no model endpoint is known to send."""
    try:
        seconds = float(header or "nan")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) and seconds <= MAX_RETRY_AFTER else None


def _duration(seconds: float) -> str:
    if seconds < 5:
        return "a moment"
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.0f} hours"
