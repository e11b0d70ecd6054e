import pytest

from chatsite.server import frame_head


@pytest.mark.parametrize(
    ("opcode", "length", "head"),
    [
        (1, 5, "81 05"),
        (1, 125, "81 7d"),
        (2, 126, "82 7e 00 7e"),
        (2, 256, "82 7e 01 00"),
        (1, 65_535, "81 7e ff ff"),
        (2, 65_536, "82 7f 00 00 00 00 00 01 00 00"),
    ],
)
def test_a_frame_begins_as_the_standard_says(opcode: int, length: int, head: str):
    assert frame_head(opcode, length) == bytes.fromhex(head)  # RFC 6455, 5.2 and 5.7
