from types import SimpleNamespace

import pytest

from chatsite.server import OneWayProtocol, frame_head


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (5, "81 05"),
        (125, "81 7d"),
        (126, "81 7e 00 7e"),
        (256, "81 7e 01 00"),
        (65_535, "81 7e ff ff"),
        (65_536, "81 7f 00 00 00 00 00 01 00 00"),
    ],
)
def test_a_frame_begins_as_the_standard_says(length: int, head: str):
    assert frame_head(length) == bytes.fromhex(head)  # RFC 6455, 5.2 and 5.7


@pytest.mark.parametrize(("text", "frame"), [("", b"\x81\x00"), ("é", b"\x81\x02\xc3\xa9")])
def test_what_the_application_sends_is_written_at_once_the_empty_text_too(text: str, frame: bytes):
    written: list[bytes] = []
    protocol = OneWayProtocol()
    protocol.state = protocol.STATE_OPEN
    protocol.transport = SimpleNamespace(
        dataBuffer=b"", offset=0, _tempDataLen=0, writeSomeData=lambda data: written.append(data) or len(data)
    )
    protocol.send_text(text)
    assert written == [frame]


def test_what_the_kernel_does_not_take_waits():
    waiting: list[bytes] = []
    protocol = OneWayProtocol()
    protocol.state = protocol.STATE_OPEN
    transport = SimpleNamespace(dataBuffer=b"", offset=0, _tempDataLen=0, write=waiting.append)
    transport.writeSomeData = lambda data: 3
    protocol.transport = transport
    protocol.send_text("abc")
    transport._tempDataLen = 2
    protocol.send_text("def")
    assert waiting == [b"bc", b"\x81\x03def"]
