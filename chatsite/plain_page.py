"""Pages for requests that never reach Django: they need no template, no style sheet and no database."""

from html import escape

from chatsite.problems import CONTENT_TYPE

HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
PROBLEM_HEADERS = [(b"content-type", CONTENT_TYPE.encode()), *HEADERS[1:]]
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"


def plain_page(title: str, text: str) -> bytes:
    return PAGE.format(title=escape(title), text=escape(text)).encode()
