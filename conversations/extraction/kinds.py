"""The kinds of files. Text is of the kind that its name says; everything else is found from the content."""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final


class Kind(StrEnum):
    """What a file contains. The values are stored."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CODE = "code"
    CSV = "csv"
    JSON = "json"
    HTML = "html"
    PDF = "pdf"
    WORD = "word"
    EXCEL = "excel"
    POWERPOINT = "powerpoint"
    IMAGE = "image"
    UNKNOWN = "unknown"  # always with a problem


TEXT_TYPES: Final = {
    Kind.TEXT: "text/plain",
    Kind.MARKDOWN: "text/markdown",
    Kind.CODE: "text/plain",
    Kind.CSV: "text/csv",
    Kind.JSON: "application/json",
    Kind.HTML: "text/html",
}
_ENDINGS: Final = {
    Kind.TEXT: ".txt .text .log .rst .adoc .tex .srt .vtt",
    Kind.MARKDOWN: ".md .markdown .mdx",
    Kind.CODE: (
        ".bash .bat .bicep .c .cc .cfg .clj .cmake .conf .cpp .cs .css .cxx .dart .diff .env .erl .ex .exs .f90 .fs .go"
        " .gradle .graphql .groovy .h .hcl .hpp .hs .ini .ipynb .java .jl .js .jsx .kt .kts .less .lisp .lua .m .mjs"
        " .ml .nim .nix .patch .php .pl .pm .properties .proto .ps1 .py .pyi .r .rb .rs .sass .scala .scss .sh .sol"
        " .sql .svelte .svg .swift .tf .toml .ts .tsx .v .vb .vhd .vue .xml .yaml .yml .zig .zsh"
    ),
    Kind.CSV: ".csv .tsv",
    Kind.JSON: ".json .jsonl .ndjson .geojson",
    Kind.HTML: ".html .htm .xhtml",
}
_KIND_OF_ENDING: Final = {ending: kind for kind, endings in _ENDINGS.items() for ending in endings.split()}
_OF_OTHER_KINDS: Final = ".pdf .docx .docm .xlsx .xlsm .pptx .pptm .png .jpg .jpeg .webp .gif"
# For the file picker of a browser. Files with other names are accepted too.
FILE_NAME_ENDINGS: Final = (*_OF_OTHER_KINDS.split(), *_KIND_OF_ENDING)


def text_kind(name: str) -> Kind | None:
    """Return the kind of text that a file of this name contains, if it contains text. None: the name does not say."""
    return _KIND_OF_ENDING.get(PurePosixPath(name).suffix.lower())
