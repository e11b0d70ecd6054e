"""Check and measure images, and encode them again, which leaves out metadata and anything else that was in the file."""

import io
from typing import BinaryIO, Final

from PIL import Image, ImageOps

from conversations.extraction.result import Limits, Picture, Unreadable

# No model that takes images looks at more pixels.
MAX_SIDE: Final = 2048
ANIMATION: Final = "Only the first image of this animation was read."

# What each format is encoded as. Another GIF would lose colours.
_ENCODED_AS: Final = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WEBP", "GIF": "PNG"}
_QUALITY: Final = 85  # of JPEG and WebP
_ORIENTATION: Final = 0x0112  # Exif's tag
_TURNED: Final = (5, 6, 7, 8)  # by a quarter


def read(file: BinaryIO, image_format: str, limits: Limits) -> tuple[Picture, int, int, str]:
    """Return a picture, the width and height of the original, and a notice.

    `image_format` is what Pillow calls the only format that is tried. Raises Unreadable, and what Pillow raises.
    """
    Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit is not exact
    with Image.open(file, formats=[image_format]) as image:
        width, height = image.size
        if width * height > limits.pixels:
            raise Unreadable(
                f"This image has {width:,} × {height:,} pixels, and at most {limits.pixels:,} pixels can be read."
                " Make it smaller, and attach it again."
            )
        notice = ANIMATION if getattr(image, "is_animated", False) else ""
        if image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        image.draft("RGB", (MAX_SIDE, MAX_SIDE))  # for JPEG: decodes no more pixels than are needed
        return _encode(image, _ENCODED_AS[image_format]), width, height, notice


def _encode(image: Image.Image, image_format: str) -> Picture:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would cut off
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    shown = image.convert("RGBA" if image.has_transparency_data and image_format != "JPEG" else "RGB")
    shown.thumbnail((MAX_SIDE, MAX_SIDE))
    ImageOps.exif_transpose(shown, in_place=True)
    shown.info.clear()  # encoders copy some of it
    data = io.BytesIO()
    shown.save(data, image_format, quality=_QUALITY)
    return Picture(
        data=data.getvalue(), media_type=f"image/{image_format.lower()}", width=shown.width, height=shown.height
    )
