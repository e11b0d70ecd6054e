"""The two formats of log lines. JSON lines carry the ids of what they concern, and no names, prompts or secrets."""

import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar

from django.conf import settings

_log_context: ContextVar[dict[str, object]] = ContextVar("log_context", default={})  # noqa: B039  (never mutated)


# The token in the address of a share is a secret. It also appears in `?next=`, encoded or not.
SHARED = re.compile(r"(shared(?:/|%(?:25)*2F))[\w-]+", re.IGNORECASE)
# A token of the API that somebody has put into an address.
API_TOKEN = re.compile(r"(ponder(?:_|%(?:25)*5F))[A-Za-z0-9]{20,}", re.IGNORECASE)


def mask_tokens(text: str) -> str:
    """Return a text without the tokens of shares and of the API: addresses are in log lines and tracebacks."""
    return API_TOKEN.sub(r"\1…", SHARED.sub(r"\1…", text))


def bind_log_context(**ids: object) -> None:
    """Add ids (request, trace, user, conversation, generation) to all further log lines of this request or task."""
    _log_context.set(_log_context.get() | ids)


def log_context() -> Mapping[str, object]:
    """Return the ids that log lines of this request or task contain."""
    return _log_context.get()


def pseudonym(user_id: object) -> str:
    """Return what stands for a user in the logs: always the same, and not their id without the secret key."""
    return hmac.new(settings.SECRET_KEY.encode(), f"logs {user_id}".encode(), hashlib.sha256).hexdigest()[:12]


class TextFormatter(logging.Formatter):
    """Formats a record as one line of text, with further lines (a traceback) indented.

    So nothing that a client sends, such as a path with line breaks, can look like a record of its own: `verify_audit`
    trusts whole lines.
    """

    def format(self, record: logging.LogRecord) -> str:
        return "\n    ".join(mask_tokens(super().format(record)).splitlines())


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time (ISO 8601, UTC), level, logger, message, ids, and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: str(value) for name, value in _log_context.get().items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return mask_tokens(json.dumps(line, ensure_ascii=False))
