"""Keep rendered texts in memory: rendering one again costs a hundred times what finding it costs."""

import hashlib
import sys
import threading
from collections import OrderedDict
from typing import Final, NamedTuple

from conversations.rendering.markdown import VERSION

ENTRY_BYTES: Final = 500  # what an entry takes beside its HTML


class Key(NamedTuple):
    prefix: str  # of ids in the HTML: one for each message
    digest: bytes  # of the text
    version: int  # of the renderer


def key_of(text: str, prefix: str) -> Key:
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
    return Key(prefix, digest, VERSION)


class Cache:
    """HTML of at most `max_bytes` of memory; what was not used for the longest time is dropped. For all threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Key, str] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> str | None:
        with self._lock:
            if (html := self._entries.get(key)) is not None:
                self._entries.move_to_end(key)
            return html

    def add(self, key: Key, html: str) -> None:
        with self._lock:
            if key in self._entries:
                return  # another thread has rendered the same
            self._entries[key] = html
            self._bytes += _bytes_of(html)
            while self._bytes > self._max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= _bytes_of(dropped)


def _bytes_of(html: str) -> int:
    return sys.getsizeof(html) + ENTRY_BYTES
