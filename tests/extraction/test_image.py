"""Images, which are measured and encoded again."""

import io
import os

import pytest
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from conversations.extraction import Extracted, Kind, Limits, image
from conversations.extraction.image import ANIMATION, MAX_BYTES, MAX_SIDE
from conversations.extraction.read import OTHER_IMAGE
from tests.extraction import files
from tests.extraction.files import read_here

CANARY = "Canary of a place"


def encoded(source: Image.Image, image_format: str, **options: object) -> bytes:
    data = io.BytesIO()
    source.save(data, image_format, **options)
    return data.getvalue()


def half_red(width: int = 40, height: int = 20, mode: str = "RGB") -> Image.Image:
    """Return an image whose left half is red."""
    made = Image.new(mode, (width, height), "white")
    ImageDraw.Draw(made).rectangle((0, 0, width // 2 - 1, height), "red")
    return made


def shown(found: Extracted) -> Image.Image:
    assert found.picture
    return Image.open(io.BytesIO(found.picture.data))


@pytest.mark.parametrize(
    ("image_format", "media_type", "encoded_as"),
    [
        ("PNG", "image/png", "image/png"),
        ("JPEG", "image/jpeg", "image/jpeg"),
        ("WEBP", "image/webp", "image/jpeg"),
        ("GIF", "image/gif", "image/png"),
    ],
)
def test_images_are_found_by_content_and_encoded_again(image_format: str, media_type: str, encoded_as: str):
    found = read_here(encoded(half_red(), image_format), "a.txt")
    assert (found.kind, found.media_type, found.width, found.height) == (Kind.IMAGE, media_type, 40, 20)
    assert found.picture
    assert (found.picture.media_type, found.picture.width, found.picture.height) == (encoded_as, 40, 20)
    red, green, blue = shown(found).convert("RGB").getpixel((5, 10))
    assert red > 240
    assert max(green, blue) < 15


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_nothing_but_the_pixels_is_kept(image_format: str):
    exif = Image.Exif()
    exif[0x010E] = CANARY
    text = PngInfo()
    text.add_text("Comment", CANARY)
    options = {"pnginfo": text} if image_format == "PNG" else {"comment": CANARY}
    data = encoded(half_red(), image_format, exif=exif, icc_profile=CANARY.encode(), xmp=CANARY.encode(), **options)
    data += b"<script>" + CANARY.encode()
    assert data.count(CANARY.encode()) > 3 or image_format == "PNG"
    picture = read_here(data).picture
    assert picture
    assert CANARY.encode() not in picture.data
    assert b"<script>" not in picture.data
    assert not {"exif", "icc_profile", "xmp", "comment", "Comment"} & set(Image.open(io.BytesIO(picture.data)).info)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_images_are_turned_upright(image_format: str):
    exif = Image.Exif()
    exif[0x0112] = 6
    found = read_here(encoded(half_red(), image_format, exif=exif))
    assert (found.width, found.height, shown(found).size) == (20, 40, (20, 40))
    assert min(shown(found).convert("RGB").getpixel((10, 30))) > 240


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_large_images_are_made_smaller(image_format: str):
    found = read_here(encoded(half_red(MAX_SIDE * 2, 20), image_format))
    assert (found.width, found.height, shown(found).size) == (MAX_SIDE * 2, 20, (MAX_SIDE, 10))


@pytest.mark.parametrize(
    ("source", "pixel"),
    [
        (Image.new("RGBA", (2, 2), (10, 20, 30, 40)), (10, 20, 30, 40)),
        (Image.new("LA", (2, 2), (10, 40)), (10, 10, 10, 40)),
        (half_red(mode="RGB").convert("P"), (255, 0, 0, 255)),
        (Image.new("1", (2, 2), 1), (255, 255, 255, 255)),
        (Image.new("I;16", (2, 2), 257 * 100), (100, 100, 100, 255)),
    ],
)
def test_every_kind_of_pixel_is_kept(source: Image.Image, pixel: tuple[int, ...]):
    assert shown(read_here(encoded(source, "PNG"))).convert("RGBA").getpixel((0, 0)) == pixel


@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_a_large_png_becomes_a_jpeg_on_white(image_format: str, monkeypatch: pytest.MonkeyPatch):
    data = encoded(Image.new("RGBA", (40, 20), (255, 0, 0, 0)), image_format)
    picture = read_here(data).picture
    assert picture
    assert picture.media_type == "image/png"
    monkeypatch.setattr(image, "MAX_BYTES", len(picture.data) - 1)
    found = read_here(data)
    assert found.picture
    assert found.picture.media_type == "image/jpeg"
    assert min(shown(found).getpixel((5, 5))) > 240


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
def test_no_picture_has_more_bytes_than_models_are_sent(image_format: str):
    noise = Image.frombytes("RGB", (MAX_SIDE, MAX_SIDE), os.urandom(3 * MAX_SIDE**2))
    picture = read_here(encoded(noise, image_format)).picture
    assert picture
    assert (picture.media_type, picture.width, picture.height) == ("image/jpeg", MAX_SIDE, MAX_SIDE)
    assert len(picture.data) <= MAX_BYTES


def test_print_colours_become_screen_colours():
    assert shown(read_here(encoded(Image.new("CMYK", (8, 8)), "JPEG"))).mode == "RGB"


def test_of_an_animation_the_first_image_is_read():
    data = encoded(half_red(), "GIF", save_all=True, append_images=[Image.new("RGB", (40, 20))])
    assert read_here(data).notice == ANIMATION
    assert read_here(encoded(half_red(), "GIF")).notice == ""


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded():
    found = read_here(files.png(50_000, 50_000))
    assert found.problem.startswith(
        "This image has 50,000 × 50,000 pixels, and an image of its format can have 25 million."
    )


@pytest.mark.parametrize(("image_format", "pixels"), [("PNG", 7_500), ("GIF", 7_500), ("JPEG", 9_375), ("WEBP", 3_750)])
def test_an_image_may_have_as_many_pixels_as_fit_into_memory(image_format: str, pixels: int):
    limits = Limits(memory_bytes=100_000)
    assert read_here(encoded(Image.new("RGB", (pixels, 1)), image_format), limits=limits).problem == ""
    assert read_here(encoded(Image.new("RGB", (pixels + 1, 1)), image_format), limits=limits).problem != ""


@pytest.mark.parametrize("image_format", ["BMP", "TIFF", "AVIF"])
def test_other_formats_say_what_to_do(image_format: str):
    assert read_here(encoded(half_red(), image_format)).problem == OTHER_IMAGE
