"""Check and measure images, and encode them again, which leaves out metadata and anything else that was in the file."""

import io
from typing import BinaryIO, Final

from PIL import Image, ImageOps

from conversations.extraction.result import Limits, Picture, Unreadable

# No model that takes images looks at more pixels.
MAX_SIDE: Final = 2048
ANIMATION: Final = "Only the first image of this animation was read."

# Of a picture, which a model is sent with each question. What has more as a PNG, like a photograph, becomes a JPEG.
MAX_BYTES: Final = 2 * 2**20
# What decoding takes at most, in all copies.
_BYTES_PER_PIXEL: Final = {"PNG": 10, "JPEG": 8, "WEBP": 20, "GIF": 10}
# Of JPEG: the first that is small enough. Noise, of which nothing is smaller, has 1.4 MiB with the last.
_QUALITIES: Final = (85, 70, 55, 40)
_ORIENTATION: Final = 0x0112  # Exif's tag
_TURNED: Final = (5, 6, 7, 8)  # by a quarter


def read(file: BinaryIO, image_format: str, limits: Limits) -> tuple[Picture, int, int, str]:
    """Return a picture, the width and height of the original, and a notice.

    `image_format` is what Pillow calls the only format that is tried. Raises Unreadable, and what Pillow raises.
    """
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is not exact
    with Image.open(file, formats=[image_format]) as image:
        width, height = image.size
        pixels = limits.memory_bytes * 3 // 4 // _BYTES_PER_PIXEL[image_format]
        if width * height > pixels:
            raise Unreadable(
                f"This image has {width:,} × {height:,} pixels, and an image of its format can have"
                f" {pixels // 1_000_000} million. Make it smaller, and attach it again."
            )
        notice = ANIMATION if getattr(image, "is_animated", False) else ""
        if image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # for JPEG: decodes no more pixels than are needed
        return _encode(image, is_photograph=image_format in ("JPEG", "WEBP")), width, height, notice


def _encode(image: Image.Image, *, is_photograph: bool) -> Picture:
    """Return the image as PNG or JPEG, which every model that takes images can read."""
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    shown = image if image.mode == mode else image.convert(mode)  # which copies it
    shown.thumbnail((MAX_SIDE, MAX_SIDE))
    ImageOps.exif_transpose(shown, in_place=True)
    shown.info.clear()  # encoders copy some of it
    data = io.BytesIO()
    if mode == "RGBA" or not is_photograph:
        shown.save(data, "PNG")
        if len(data.getvalue()) <= MAX_BYTES:
            return _picture(shown, data, "image/png")
    if mode == "RGBA":
        background = Image.new("RGB", shown.size, "white")
        background.paste(shown, mask=shown)
        shown = background
    for quality in _QUALITIES:
        data = io.BytesIO()
        shown.save(data, "JPEG", quality=quality)
        if len(data.getvalue()) <= MAX_BYTES:
            break
    return _picture(shown, data, "image/jpeg")


def _picture(image: Image.Image, data: io.BytesIO, media_type: str) -> Picture:
    return Picture(data=data.getvalue(), media_type=media_type, width=image.width, height=image.height)
