"""Pages for requests that never reach Django: they need no template, no style sheet and no database."""

from html import escape

HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
PAGE = "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{text}</p>"


def plain_page(title: str, text: str) -> bytes:
    return PAGE.format(title=escape(title), text=escape(text)).encode()
