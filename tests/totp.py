"""An authenticator app."""

import base64
import hashlib
import hmac
import struct
import time


def code(secret: str) -> str:
    """Return the six digits that an app shows now for a key in base 32; RFC 6238."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret), counter, hashlib.sha1)
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
