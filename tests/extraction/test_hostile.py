"""Hostile files: they cost a limited amount of time and memory, run nothing, and fetch nothing."""

import io
import re
import socket
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from conversations.extraction import Extracted, Kind, Limits, extract, office, pdf
from conversations.extraction.process import TOO_LONG, TOO_MUCH_MEMORY
from conversations.extraction.result import DAMAGED
from conversations.extraction.text import NOT_TEXT
from tests.extraction import files
from tests.extraction.files import docx, paragraph, read_here, saved, xlsx

CANARY = "canary-of-the-server"
MEGABYTE = 2**20
PNG = files.png(1, 1, (b"IDAT", zlib.compress(bytes(4))))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port at which nobody must call."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def address(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


# Archives


def with_size(data: bytes, size: int) -> bytes:
    """Return the archive `data`, which now says that its largest member has `size` bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        largest = max(member.file_size for member in archive.infolist())
    assert data.count(struct.pack("<I", largest)) == 2  # beside the member, and in the directory
    return data.replace(struct.pack("<I", largest), struct.pack("<I", size))


BOMB = docx(paragraph(" " * 3 * MEGABYTE))


def test_an_archive_that_expands_too_far_is_refused_before_it_is_unpacked():
    assert len(BOMB) < 10_000
    assert read_here(BOMB, limits=Limits(expanded_bytes=MEGABYTE)).problem == office.TOO_LARGE
    assert read_here(docx(paragraph("a")), limits=Limits(members=2)).problem == office.TOO_LARGE


def test_an_archive_that_lies_about_its_sizes_is_damaged():
    assert read_here(with_size(BOMB, 500), limits=Limits(expanded_bytes=MEGABYTE)).problem == DAMAGED


def test_a_workbook_that_expands_too_far_is_refused_or_runs_out_of_memory_alone(tmp_path: Path):
    strings = f'<sst xmlns="{files.EXCEL}"><si><t>{"a" * 30 * MEGABYTE}</t></si></sst>'
    data = xlsx('<row r="1"><c r="A1" t="s"><v>0</v></c></row>', sharedStrings=strings)
    assert read_here(data, limits=Limits(expanded_bytes=MEGABYTE)).problem == office.TOO_LARGE
    assert extract(saved(tmp_path, with_size(data, 500)), "").problem == DAMAGED
    assert extract(saved(tmp_path, data), "", Limits(memory_bytes=48 * MEGABYTE)).problem == TOO_MUCH_MEMORY


def test_parts_that_are_used_twice_count_twice():
    notes = [("notesSlide", "notes.xml")]
    slides = {f"ppt/s{number}.xml": f'<a:x xmlns:a="{files.DRAWING}"/>' for number in range(20)}
    data = files.office(
        "ppt/presentation.xml",
        files.POWERPOINT_MAIN,
        {
            "ppt/presentation.xml": "<p>" + "".join(f'<sldId id="r{number}"/>' for number in range(1, 21)) + "</p>",
            "ppt/_rels/presentation.xml.rels": files.relationships(
                *(("slide", f"s{number}.xml") for number in range(20))
            ),
            "ppt/notes.xml": f"<x>{' ' * 200_000}</x>",
            **slides,
            **{f"ppt/_rels/s{number}.xml.rels": files.relationships(*notes) for number in range(20)},
        },
    )
    assert read_here(data, limits=Limits(expanded_bytes=MEGABYTE)).problem == office.TOO_LARGE


def test_what_is_inside_an_archive_or_a_document_is_not_unpacked():
    inner = files.archive({"zeros": bytes(10 * MEGABYTE)})
    assert read_here(files.archive({"inner.zip": inner})).problem == office.ARCHIVE
    found = read_here(docx(paragraph("a"), oleObject=inner), limits=Limits(expanded_bytes=MEGABYTE))
    assert (found.text, found.problem) == ("a", "")


def test_packings_that_need_much_memory_are_refused():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("[Content_Types].xml", "<Types/>")
    assert read_here(data.getvalue()).problem == office.ARCHIVE


def test_members_with_a_password_say_so():
    data = bytearray(docx(paragraph("a")))
    for match in re.finditer(b"PK\1\2", data):
        data[match.start() + 8] |= 1
    assert read_here(bytes(data)).problem == office.PROTECTED


def test_names_that_lead_outside_the_archive_lead_nowhere(tmp_path: Path):
    (tmp_path / "secret.xml").write_text(f"<a><p><t>{CANARY}</t></p></a>")
    target = "../" * 20 + f"{tmp_path}/secret.xml"
    for name in (target, f"{tmp_path}/secret.xml", f"file://{tmp_path}/secret.xml"):
        data = files.office(
            "word/document.xml",
            files.WORD_MAIN,
            {
                "word/document.xml": f'<w:document xmlns:w="{files.WORD}">{paragraph("a")}</w:document>',
                "word/_rels/document.xml.rels": files.relationships(("footnotes", name)),
            },
        )
        assert read_here(data).text == "a"


# Any kind


def damaged(data: bytes, number: int) -> Iterator[bytes]:
    """Yield so many copies of which a part is missing, or some bytes are others; the same in each run."""
    random = Random(number)  # noqa: S311
    for _ in range(number):
        yield data[: random.randrange(1, len(data))]
        copy = bytearray(data)
        for _ in range(random.choice((1, 3, 20))):
            copy[random.randrange(len(copy))] = random.randrange(256)
        yield bytes(copy)


def read_or_crash(data: bytes) -> Extracted:
    try:
        return read_here(data)
    except (MemoryError, RecursionError):
        raise
    except Exception:  # noqa: BLE001  (of a library; it ends the process, which `extract` reports as this problem)
        return Extracted(kind=Kind.UNKNOWN, problem=DAMAGED)


@pytest.mark.parametrize("data", [docx(paragraph("a")), xlsx(""), files.pptx("One"), files.pdf("Text"), PNG])
def test_damage_at_any_place_is_a_problem_of_the_file(data: bytes):
    for copy in damaged(data, 100):
        found = read_or_crash(copy)
        assert found.problem or found.text or found.picture


# XML

ENTITIES = ['<!ENTITY a0 "lol">'] + [
    f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 12)
]  # a billion times ten


@pytest.mark.parametrize(
    "subset",
    [
        "".join(ENTITIES),
        '<!ENTITY a11 SYSTEM "{file}">',
        '<!ENTITY a11 SYSTEM "{url}">',
        '<!ENTITY % all SYSTEM "{url}"> %all;',
    ],
)
@pytest.mark.parametrize("place", ["body", "footnotes", "relationships"])
def test_entities_are_neither_expanded_nor_fetched(tmp_path: Path, listener: socket.socket, subset: str, place: str):
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    before = "<!DOCTYPE x [" + subset.replace("{file}", f"file://{secret}").replace("{url}", address(listener)) + "]>"
    text = paragraph("&a11;")
    if place == "body":
        data = docx(text, before=before)
    elif place == "footnotes":
        data = docx(paragraph("a"), footnotes=f'{before}<x xmlns:w="{files.WORD}">{text}</x>')
    else:
        data = files.archive({"[Content_Types].xml": f"{before}<Types>&a11;</Types>"})
    found = read_here(data)
    assert (found.text, found.problem) == ("", DAMAGED)
    assert not was_called(listener)


def test_entities_of_a_workbook_are_neither_expanded_nor_fetched(tmp_path: Path, listener: socket.socket):
    secret = tmp_path / "secret"
    secret.write_text(CANARY)
    subset = "".join(ENTITIES) + f'<!ENTITY f SYSTEM "file://{secret}"><!ENTITY u SYSTEM "{address(listener)}">'
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>a&a11;&f;&u;</t></is></c></row>'
    data = xlsx(rows)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["xl/sheet1.xml"] = f"<!DOCTYPE x [{subset}]>".encode() + members["xl/sheet1.xml"]
    found = extract(saved(tmp_path, files.archive(members)), "")
    assert CANARY not in found.text
    assert len(found.text) < 100
    assert not was_called(listener)


def test_a_deep_tree_is_read_without_recursion(tmp_path: Path):
    deep = "<w:x>" * 20_000 + paragraph("deep") + "</w:x>" * 20_000
    assert extract(saved(tmp_path, docx(deep)), "").text == "deep"


def test_surrogates_in_xml_are_damage():
    assert read_here(docx(paragraph("a&#xD800;b"))).problem == DAMAGED


# Office


def test_macros_are_neither_run_nor_read():
    data = docx(paragraph("a"), content_type=files.WORD_MACROS, vbaProject=CANARY)
    found = read_here(data, "a.docm")
    assert (found.kind, found.text) == (Kind.WORD, "a")
    assert "macro" not in found.media_type.lower()


def test_links_and_remote_templates_are_not_followed(listener: socket.socket):
    url = address(listener)
    data = files.office(
        "word/document.xml",
        files.WORD_MAIN,
        {
            "word/document.xml": f'<w:document xmlns:w="{files.WORD}">{paragraph("a")}</w:document>',
            "word/_rels/document.xml.rels": files.relationships(("attachedTemplate", url), ("footnotes", url)).replace(
                "/>", ' TargetMode="External"/>'
            ),
        },
    )
    assert read_here(data).text == "a"
    assert not was_called(listener)


def test_a_workbook_that_declares_billions_of_cells_has_those_it_has():
    assert read_here(xlsx('<row r="1"><c r="A1"><v>1</v></c></row>')).text == "## Sheet 1: One\n\n1"


def test_a_workbook_with_two_cells_far_apart_runs_out_of_memory_alone(tmp_path: Path):
    rows = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    found = extract(saved(tmp_path, xlsx(rows)), "")
    assert (found.kind, found.problem, found.temporary) == (Kind.EXCEL, TOO_MUCH_MEMORY, False)


def test_a_document_that_takes_too_long_is_ended_by_the_kernel(tmp_path: Path):
    found = extract(saved(tmp_path, docx("<w:p/>" * 1_000_000)), "", Limits(cpu_seconds=1))
    assert (found.kind, found.problem, found.temporary) == (Kind.WORD, TOO_LONG, False)


# PDF


def a_page(contents: bytes, **others: bytes) -> bytes:
    return files.pdf_of(
        {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            3: b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>>>>>",
            4: files.stream(contents),
            5: b"<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>>>/Length 4>>\n"
            b"stream\n/X Do\nendstream",
        }
    )


CATALOGUE = {1: b"<</Type/Catalog/Pages 2 0 R>>"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (files.pdf("Text")[:400], DAMAGED),
        (b"%PDF-1.7\n", DAMAGED),
        (b"%PDF-1.7\n" + bytes(range(256)) * 100, DAMAGED),
        # Page trees that contain themselves, are very deep, or count too many pages
        (files.pdf_of(CATALOGUE | {2: b"<</Type/Pages/Count 1/Kids[2 0 R]>>"}), DAMAGED),
        (
            files.pdf_of(
                CATALOGUE | {number: b"<</Type/Pages/Count 1/Kids[%d 0 R]>>" % (number + 1) for number in range(2, 999)}
            ),
            DAMAGED,
        ),
        (files.pdf_of(CATALOGUE | {2: b"<</Type/Pages/Count 999999999/Kids[]>>"}), pdf.NO_PAGES),
        # Objects that contain themselves, or are very deep
        (files.pdf_of(CATALOGUE | {2: b"2 0 R"}), DAMAGED),
        (files.pdf_of({1: b"<</Type/Catalog/Pages " + b"[" * 100_000}), DAMAGED),
        (files.pdf_of({1: b"<</Type/Catalog/Pages " + b"<</A" * 2_000}), DAMAGED),
        (a_page(b"[" * 100_000), pdf.NO_TEXT),
        (a_page(b"(" * 100_000), pdf.NO_TEXT),
        # A form that draws itself
        (a_page(b"/X Do"), pdf.NO_TEXT),
        # More zeros than pypdf unpacks
        (a_page(bytes(80_000_000)), DAMAGED),
    ],
    ids=range(13),
)
def test_hostile_pdfs_end_with_a_sentence(data: bytes, problem: str):
    assert read_here(data).problem == problem


def test_a_pdf_that_is_slightly_damaged_is_read():
    assert read_here(files.pdf("Text").replace(b"startxref\n", b"startxref\n99")).text == "## Page 1\n\nText"


def test_a_pdf_that_needs_too_much_memory_does_not_take_it(tmp_path: Path):
    data = a_page(b"(" + b"a" * 30 * MEGABYTE + b") Tj")
    assert extract(saved(tmp_path, data), "", Limits(memory_bytes=64 * MEGABYTE)).problem == TOO_MUCH_MEMORY


def test_actions_and_scripts_of_a_pdf_are_not_run(listener: socket.socket):
    action = f"/OpenAction<</S/URI/URI({address(listener)})>>/AA<</O<</S/JavaScript/JS(app.alert\\(1\\))>>>>".encode()
    launch = b"/Names<</JavaScript<</Names[(a)<</S/Launch/F(/bin/true)>>]>>>>"
    data = files.pdf("Text").replace(b"/Type/Catalog", b"/Type/Catalog" + action + launch)
    assert read_here(data).text == "## Page 1\n\nText"
    assert not was_called(listener)


# Images and text


def test_an_image_that_promises_too_many_pixels_costs_nothing(tmp_path: Path):
    data = files.png(60_000, 60_000, (b"IDAT", zlib.compress(bytes(MEGABYTE))))
    found = extract(saved(tmp_path, data), "", Limits(memory_bytes=64 * MEGABYTE))
    assert found.problem.startswith("This image has 60,000 × 60,000 pixels")


def test_a_comment_in_an_image_is_not_expanded(tmp_path: Path):
    comment = b"Comment\0\0" + zlib.compress(bytes(10 * MEGABYTE))
    found = extract(saved(tmp_path, files.png(9, 9, (b"zTXt", comment))), "", Limits(memory_bytes=64 * MEGABYTE))
    assert found.problem == DAMAGED


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (files.pdf("Text"), docx(paragraph("word")), Kind.PDF),
        (files.pdf("Text"), b"<!doctype html><script>alert(1)</script>", Kind.PDF),
        (PNG, docx(paragraph("word")), Kind.IMAGE),
        (b"<!doctype html>text", files.pdf("Text").replace(b"\0", b""), Kind.HTML),
    ],
)
def test_a_file_of_two_kinds_is_of_the_first(first: bytes, second: bytes, kind: Kind):
    found, alone = read_here(first + second, "a.docx"), read_here(first, "a.docx")
    assert found.kind is kind
    assert found == alone or kind is Kind.HTML


def test_a_program_with_the_name_of_a_text_is_refused():
    assert read_here(b"#!/bin/sh\nexit 1\n", "a.png").text == "#!/bin/sh\nexit 1"
    assert read_here(b"MZ" + bytes(100), "a.txt").problem == NOT_TEXT


@pytest.mark.parametrize("unit", ["<div>", "<b>", "<table><tr><td>", "<!--", "<a href=", "&lt", "<svg><style>", "<p"])
def test_html_that_is_hard_to_parse_ends(unit: str):
    found = read_here(b"<!doctype html>text" + unit.encode() * 3_000)
    assert found.kind is Kind.HTML
    assert (found.text[:4], found.problem) == ("text", "")
