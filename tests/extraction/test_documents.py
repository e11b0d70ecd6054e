"""Text of PDF, Word, Excel and PowerPoint."""

import io
from textwrap import dedent

import pytest
from pypdf import PdfReader, PdfWriter

from conversations.extraction import Kind, Limits, excel, office, pdf, powerpoint, word
from conversations.extraction.read import OLD_OFFICE
from tests.extraction import files
from tests.extraction.files import read_here


def encrypted(user_password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(files.pdf("Secret"))))
    writer.encrypt(user_password, owner_password="owner", algorithm="AES-256")
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


def test_pdf_has_a_heading_for_each_page():
    found = read_here(files.pdf("First", "Second"), "a.txt")
    assert (found.kind, found.media_type) == (Kind.PDF, "application/pdf")
    assert (found.text, found.notice) == ("## Page 1\n\nFirst\n\n## Page 2\n\nSecond", "")


def test_pages_without_text_and_pages_over_the_limit_are_counted():
    found = read_here(files.pdf("First", "", "Third", "Fourth"), limits=Limits(pages=3))
    assert found.text == "## Page 1\n\nFirst\n\n## Page 3\n\nThird"
    assert found.notice == "Only the first 3 of 4 pages were read. 1 page had no text."


def test_a_damaged_page_leaves_the_others():
    data = files.pdf("First", "Second").replace(b"/Contents 13 0 R", b"/Contents [1 2]  ")
    found = read_here(data)
    assert (found.text, found.notice) == ("## Page 1\n\nFirst", "1 page had no text.")


def test_a_pdf_of_pictures_says_so():
    assert read_here(files.pdf("", "")).problem == pdf.NO_TEXT


def test_a_pdf_without_pages_says_so():
    assert read_here(files.pdf()).problem == pdf.NO_PAGES


def test_a_pdf_that_needs_a_password_says_so_and_one_that_does_not_is_read():
    assert read_here(encrypted("password")).problem == pdf.PROTECTED
    assert read_here(encrypted("")).text == "## Page 1\n\nSecret"


def test_word_has_headings_lists_tables_and_notes():
    styles = f"""<w:styles xmlns:w="{files.WORD}"><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>
        <w:style w:styleId="Titel"><w:name w:val="Title"/></w:style>
        <w:style w:styleId="Liste"><w:name w:val="List"/><w:pPr><w:numPr/></w:pPr></w:style></w:styles>"""
    notes = f"""<w:footnotes xmlns:w="{files.WORD}"><w:footnote w:id="2">{files.paragraph("A note")}</w:footnote>
        </w:footnotes>"""
    item = '<w:numPr><w:ilvl w:val="{}"/><w:numId w:val="1"/></w:numPr>'
    cell = "<w:tc>{}</w:tc>"
    nested = "<w:tbl><w:tr>" + cell.format(files.paragraph("inner")) + "</w:tr></w:tbl>"
    body = (
        files.paragraph("Report", '<w:pStyle w:val="Titel"/>')
        + files.paragraph("Part", '<w:pStyle w:val="berschrift2"/>')
        + '<w:p><w:r><w:t>One</w:t><w:tab/><w:t xml:space="preserve"> two</w:t><w:br/><w:t>three</w:t>'
        '<w:footnoteReference w:id="2"/></w:r>'
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>, new</w:t></w:r></w:ins>"
        "<w:r><w:instrText>DATE</w:instrText></w:r><w:moveFrom><w:r><w:t>moved</w:t></w:r></w:moveFrom></w:p>"
        + files.paragraph("of a style", '<w:pStyle w:val="Liste"/>')
        + files.paragraph("item", item.format(0))
        + files.paragraph("inside", item.format(1))
        + files.paragraph("")
        + "<w:tbl><w:tr>"
        + cell.format(files.paragraph("a") + files.paragraph("b"))
        + cell.format(nested)
        + "</w:tr></w:tbl>"
        + '<w:p><w:r><mc:AlternateContent xmlns:mc="urn:x"><mc:Choice><w:txbxContent>'
        + files.paragraph("In a box")
        + "</w:txbxContent></mc:Choice><mc:Fallback>"
        + files.paragraph("In a box")
        + "</mc:Fallback></mc:AlternateContent><w:t>Around it</w:t></w:r></w:p>"
    )
    found = read_here(files.docx(body, styles=styles, footnotes=notes))
    assert (found.kind, found.media_type) == (Kind.WORD, office.MEDIA_TYPES[Kind.WORD])
    assert found.text == dedent("""\
        # Report

        ## Part

        One\t two
        three[footnote 2], new

        - of a style
        - item
          - inside

        | a b | | inner | |

        In a box

        Around it

        [footnote 2] A note""")


def test_word_without_text_says_so():
    assert read_here(files.docx("<w:p/>")).problem == word.NO_TEXT


def test_powerpoint_has_slides_in_the_order_shown_and_notes():
    table = f"<a:tbl><a:tr><a:tc>{files.drawn('a')}</a:tc><a:tc>{files.drawn('b')}</a:tc></a:tr></a:tbl>"
    found = read_here(files.pptx(files.drawn("Last"), files.drawn("First") + table, notes=files.drawn("Speak slowly")))
    assert (found.kind, found.media_type) == (Kind.POWERPOINT, office.MEDIA_TYPES[Kind.POWERPOINT])
    assert found.text == "## Slide 1\n\nFirst\n\n| a | b |\n\n## Slide 2\n\nLast\n\nNotes:\n\nSpeak slowly"


def test_slides_over_the_limit_are_counted():
    found = read_here(files.pptx(files.drawn("b"), files.drawn("a")), limits=Limits(pages=1))
    assert (found.text, found.notice) == ("## Slide 1\n\na", "Only the first 1 of 2 slides were read.")


def test_powerpoint_without_text_says_so():
    assert read_here(files.pptx("", "")).problem == powerpoint.NO_TEXT


ROWS = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>When</t></is></c></row>'
    '<row r="2"><c r="A2"><v>42</v></c><c r="B2" s="1"><v>45292.5</v></c><c r="D2" t="b"><v>1</v></c></row>'
    '<row r="9"><c r="A9"><v>0.1</v></c><c r="B9" t="str"><f>HYPERLINK(1)</f><v>so, "it"</v></c></row>'
)
STRINGS = f'<sst xmlns="{files.EXCEL}"><si><r><t>Num</t></r><r><t>ber</t></r></si></sst>'
STYLES = f'<styleSheet xmlns="{files.EXCEL}"><cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs></styleSheet>'


def test_excel_has_the_values_of_each_sheet():
    found = read_here(
        files.xlsx(ROWS, '<row r="1"><c r="A1"><v>-1e20</v></c></row>', sharedStrings=STRINGS, styles=STYLES)
    )
    assert (found.kind, found.media_type) == (Kind.EXCEL, office.MEDIA_TYPES[Kind.EXCEL])
    assert found.text == dedent("""\
        ## Sheet 1: One

        Number,When
        42,2024-01-01 12:00:00,,TRUE
        0.1,"so, ""it\"""

        ## Sheet 2: Two

        -1e+20""")


@pytest.mark.parametrize(
    ("limits", "notice"),
    [
        (Limits(cells=6), "Only the first 6 cells were read."),
        (Limits(sheets=1), "Only the first 1 of 2 sheets were read."),
        (Limits(characters=60), "Only the first 60 characters were read."),
        (Limits(reading_seconds=-1), "Only the beginning was read, because reading all of this file takes too long."),
    ],
)
def test_a_workbook_over_a_limit_is_read_up_to_it(limits: Limits, notice: str):
    found = read_here(files.xlsx(ROWS, ROWS, sharedStrings=STRINGS, styles=STYLES), limits=limits)
    assert found.text.startswith("## Sheet 1: One")
    assert (found.notice, found.problem) == (notice, "")


def test_excel_without_values_says_so():
    assert read_here(files.xlsx("")).problem == excel.NO_VALUES


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (files.archive({"a.txt": "a"}), office.ARCHIVE),
        (files.archive({}), office.ARCHIVE),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), OLD_OFFICE),
        (b"\x1f\x8b\x08" + bytes(100), office.ARCHIVE),
        (
            files.office("a.bin", "application/vnd.ms-excel.sheet.binary.macroEnabled.main", {"a.bin": b""}),
            office.NOT_MODERN,
        ),
    ],
)
def test_other_formats_say_what_to_do(data: bytes, problem: str):
    assert read_here(data, "a.docx").problem == problem
