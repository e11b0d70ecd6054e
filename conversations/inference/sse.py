"""The body of a response: from bytes to events."""

import codecs
from typing import NamedTuple

from conversations.inference import errors

MAX_EVENT_BYTES = 8 * 1024 * 1024


class Event(NamedTuple):
    """One server-sent event; `name` is empty unless the server gave one."""

    name: bytes
    data: bytes


class EventReader:
    """Split bytes into events, however the bytes were cut into reads.

    Follows https://html.spec.whatwg.org/multipage/server-sent-events.html; comments and other fields are ignored. A
    body that begins with a brace is one JSON object, as endpoints that do not stream send it: `close` returns it.
    """

    def __init__(self) -> None:
        self.is_object: bool | None = None  # None until something has arrived
        self._incomplete_line = b""
        self._name = b""
        self._data: list[bytes] = []
        self._bytes = 0  # since the last event

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises `Malformed` if MAX_EVENT_BYTES complete none."""
        if self.is_object is None:
            data = self._begin(data)
        events: list[Event] = []
        if self.is_object:
            self._data.append(data)
        else:
            self._split(data, events)
        self._bytes = 0 if events else self._bytes + len(data)
        if self._bytes > MAX_EVENT_BYTES:
            raise errors.Malformed(f"an event of over {MAX_EVENT_BYTES} bytes")
        return events

    def close(self) -> list[Event]:
        """Return the last event if the server left out the blank line after it. The event may be incomplete."""
        events: list[Event] = []
        if self.is_object:
            events.append(Event(b"", b"".join(self._data)))
        else:
            self._split(b"\n\n", events)
        return events

    def _begin(self, data: bytes) -> bytes:
        """Find out from the first bytes what they are, and return those after a byte order mark and white space."""
        data, self._incomplete_line = self._incomplete_line + data, b""
        if len(data) < len(codecs.BOM_UTF8) and codecs.BOM_UTF8.startswith(data):
            self._incomplete_line = data
            return b""
        data = data.removeprefix(codecs.BOM_UTF8).lstrip()
        if data:
            self.is_object = data.startswith(b"{")
        return data

    def _split(self, data: bytes, events: list[Event]) -> None:
        buffer = self._incomplete_line + data
        # A carriage return at the very end may be half of a CRLF: leave it for the next read.
        last_return = b"\r" if buffer.endswith(b"\r") else b""
        if b"\r" in buffer:
            buffer = buffer[: len(buffer) - len(last_return)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = buffer.split(b"\n")
        self._incomplete_line = rest + last_return
        for line in lines:
            if not line:
                if self._data:
                    events.append(Event(self._name, b"\n".join(self._data)))
                self._name, self._data = b"", []
            elif line.startswith(b"data: "):  # the usual form, without the detour
                self._data.append(line[6:])
            else:
                self._read_field(line)

    def _read_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
