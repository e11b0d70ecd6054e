"""Server-sent events: from bytes to events."""

from typing import NamedTuple

from conversations.inference import errors

MAX_EVENT_BYTES = 8 * 1024 * 1024


class Event(NamedTuple):
    """One server-sent event; `name` is empty unless the server gave one."""

    name: bytes
    data: bytes


class EventReader:
    """Split bytes into events, however the bytes were cut into reads.

    Follows https://html.spec.whatwg.org/multipage/server-sent-events.html; comments and other fields are ignored.
    """

    def __init__(self) -> None:
        self._incomplete_line = b""
        self._name = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises `Malformed` for a line over MAX_EVENT_BYTES."""
        buffer = self._incomplete_line + data
        # A carriage return at the very end may be half of a CRLF: leave it for the next read.
        last_return = b"\r" if buffer.endswith(b"\r") else b""
        if b"\r" in buffer:
            buffer = buffer[: len(buffer) - len(last_return)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = buffer.split(b"\n")
        self._incomplete_line = rest + last_return
        if len(self._incomplete_line) > MAX_EVENT_BYTES:
            raise errors.Malformed(f"an event of over {MAX_EVENT_BYTES} bytes")
        events: list[Event] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(Event(self._name, b"\n".join(self._data)))
                self._name, self._data = b"", []
            elif line.startswith(b"data: "):  # the usual form, without the detour
                self._data.append(line[6:])
            else:
                self._read_field(line)
        return events

    def close(self) -> list[Event]:
        """Return the last event if the server left out the blank line after it. The event may be incomplete."""
        return self.feed(b"\n\n")

    def _read_field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
