"""Log lines as JSON, each with the ids of what it is about: never a name, a prompt or a secret."""

import hashlib
import hmac
import json
import logging
from contextvars import ContextVar

from django.conf import settings

_about: ContextVar[dict[str, object]] = ContextVar("about", default={})  # noqa: B039  (it is replaced, never changed)


def about(**ids: object) -> None:
    """Say what the lines of this request or task are about from here on: request, user, conversation, generation.

    An id may be a function, which is asked when there is a line to write; '' says that there is none.
    """
    _about.set(_about.get() | ids)


def pseudonym(user_id: object) -> str:
    """Return what stands for a person in the logs: the same all along, and nobody's id without the secret key."""
    return hmac.new(settings.SECRET_KEY.encode(), f"logs {user_id}".encode(), hashlib.sha256).hexdigest()[:12]


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, logger, message, ids, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name, told in _about.get().items():
            if found := str(told() if callable(told) else told):
                line[name] = found
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
