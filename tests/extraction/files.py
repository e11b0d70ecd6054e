"""Files made by the tests: small ones as programs write them, and parts from which hostile ones are made."""

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from conversations.extraction.kinds import Kind, text_kind
from conversations.extraction.read import identify, read
from conversations.extraction.result import Extracted, Limits, Unreadable

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
EXCEL = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
POWERPOINT = "http://schemas.openxmlformats.org/presentationml/2006/main"
WORD_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
WORD_MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
EXCEL_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
POWERPOINT_MAIN = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"


def read_here(data: bytes, name: str = "", limits: Limits = Limits()) -> Extracted:  # noqa: B008
    """Return what a reading process would, without one."""
    file, kind = io.BytesIO(data), Kind.UNKNOWN
    try:
        kind, media_type = identify(file, text_kind(name), limits)
        return read(file, kind, media_type, limits)
    except Unreadable as unreadable:
        return Extracted(kind=kind, problem=str(unreadable))


def archive(members: Mapping[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def relationships(*targets: tuple[str, str]) -> str:
    """Return relationships of a type to a target each, with the ids r1, r2 …"""
    found = "".join(
        f'<Relationship Id="r{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{found}</Relationships>'


def office(main: str, content_type: str, members: Mapping[str, str | bytes]) -> bytes:
    """Return an Office file with the main part `main`."""
    types = f'<Override PartName="/{main}" ContentType="{content_type}"/>'
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">{types}</Types>',
            "_rels/.rels": relationships(("officeDocument", main)),
            **members,
        }
    )


def docx(body: str, *, before: str = "", content_type: str = WORD_MAIN, **parts: str | bytes) -> bytes:
    """Return a document. `parts` are other parts by the names of their types; `before` precedes the root element."""
    return office(
        "word/document.xml",
        content_type,
        {
            "word/document.xml": f'{before}<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>',
            "word/_rels/document.xml.rels": relationships(*((name, f"{name}.xml") for name in parts)),
            **{f"word/{name}.xml": content for name, content in parts.items()},
        },
    )


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def xlsx(*sheets: str, names: tuple[str, ...] = ("One", "Two"), **parts: str) -> bytes:
    """Return a workbook. Each of `sheets` is the rows of one, or a whole part; `parts` are other parts, by type."""
    targets = [("worksheet", f"sheet{number}.xml") for number in range(1, len(sheets) + 1)]
    listed = "".join(
        f'<sheet name="{names[number - 1]}" sheetId="{number}" r:id="r{number}"/>'
        for number in range(1, len(sheets) + 1)
    )
    return office(
        "xl/workbook.xml",
        EXCEL_MAIN,
        {
            "xl/workbook.xml": f'<workbook xmlns="{EXCEL}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relationships(*targets, *((name, f"{name}.xml") for name in parts)),
            **{
                f"xl/sheet{number}.xml": f'<worksheet xmlns="{EXCEL}"><dimension ref="A1:XFD1048576"/>'
                f"<sheetData>{rows}</sheetData></worksheet>"
                for number, rows in enumerate(sheets, start=1)
            },
            **{f"xl/{name}.xml": content for name, content in parts.items()},
        },
    )


def pptx(*slides: str, notes: str = "") -> bytes:
    """Return a presentation with the last of `slides` first. The first of them has `notes`."""
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{300 - number}" r:id="r{number}"/>' for number in reversed(numbers))
    return office(
        "ppt/presentation.xml",
        POWERPOINT_MAIN,
        {
            "ppt/presentation.xml": f'<p:presentation xmlns:p="{POWERPOINT}" xmlns:r="{OFFICE}">'
            f"<p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
            "ppt/_rels/presentation.xml.rels": relationships(
                *(("slide", f"slides/slide{number}.xml") for number in numbers)
            ),
            "ppt/slides/_rels/slide1.xml.rels": relationships(("notesSlide", "../notes/notes1.xml")),
            "ppt/notes/notes1.xml": f'<p:notes xmlns:p="{POWERPOINT}" xmlns:a="{DRAWING}">{notes}</p:notes>',
            **{
                f"ppt/slides/slide{number}.xml": f'<p:sld xmlns:p="{POWERPOINT}" xmlns:a="{DRAWING}">{slide}</p:sld>'
                for number, slide in enumerate(slides, start=1)
            },
        },
    )


def drawn(text: str) -> str:
    return f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>"


def pdf_of(objects: Mapping[int, bytes], trailer: bytes = b"") -> bytes:
    """Return a PDF file of the given objects, the first of which is its catalogue."""
    data, places = io.BytesIO(b"%PDF-1.7\n"), {}
    data.seek(0, io.SEEK_END)
    for number, content in objects.items():
        places[number] = data.tell()
        data.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = data.tell()
    data.write(b"xref\n0 1\n0000000000 65535 f \n")
    for number, place in places.items():
        data.write(b"%d 1\n%010d 00000 n \n" % (number, place))
    data.write(b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (max(objects) + 1, trailer, start))
    return data.getvalue()


def stream(content: bytes) -> bytes:
    packed = zlib.compress(content)
    return b"<</Length %d/Filter/FlateDecode>>\nstream\n%s\nendstream" % (len(packed), packed)


def pdf(*pages: str) -> bytes:
    """Return a PDF file with a line of text, or none, on each page."""
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R>>",
        2: b"<</Type/Pages/Count %d/Kids[%s]>>"
        % (len(pages), b" ".join(b"%d 0 R" % (10 + 2 * index) for index in range(len(pages)))),
        3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    }
    for index, text in enumerate(pages):
        shown = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects[10 + 2 * index] = (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
            % (11 + 2 * index)
        )
        objects[11 + 2 * index] = stream(shown.encode("latin-1"))
    return pdf_of(objects)


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file that says it has so many pixels of 24 bits, with the given other chunks."""
    header = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack("!I", len(content)) + name + content + struct.pack("!I", zlib.crc32(name + content))
        for name, content in ((b"IHDR", header), *chunks, (b"IEND", b""))
    )


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(data)
    return path
