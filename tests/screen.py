"""A conversation's page for tests: its HTML, with the socket's frames applied like htmx and `articles.js` do."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode

from tests.site import Person

WAIT = 60  # seconds
MAX_WAIT = 300
VOID = {"br", "hr", "img", "input", "link", "meta", "path", "col", "circle", "rect", "wbr"}


class Element:
    """A tag with its attributes, its children (elements and text) and its parent."""

    def __init__(self, tag: str, attributes: dict[str, str | None], parent: "Element | None" = None) -> None:
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.children: list[Element | str] = []

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def elements(self) -> Iterator["Element"]:
        """Return this element and all its descendants."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.elements()

    def find(self, key: str) -> "Element | None":
        return next((element for element in self.elements() if element.attributes.get("id") == key), None)

    def article(self) -> "Element | None":
        """Return the message that this element is part of."""
        element: Element | None = self
        while element is not None and element.tag != "article":
            element = element.parent
        return element

    def fill(self, children: list["Element | str"]) -> None:
        for child in children:
            if isinstance(child, Element):
                child.parent = self
        self.children += children

    def replace(self, fresh: "Element") -> None:
        siblings = self.parent.children
        siblings[siblings.index(self)] = fresh
        fresh.parent = self.parent


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self.open_element = Element("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), self.open_element)
        self.open_element.children.append(element)
        if tag not in VOID:
            self.open_element = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open_element.children.append(Element(tag, dict(attrs), self.open_element))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open_element.tag == tag, f"</{tag}> closes <{self.open_element.tag}>"
        self.open_element = self.open_element.parent

    def handle_data(self, data: str) -> None:
        self.open_element.children.append(data)


def parse(html: str) -> Element:
    builder = _Builder()
    builder.feed(html)
    builder.close()
    assert builder.root is builder.open_element, f"<{builder.open_element.tag}> is never closed"
    return builder.root


class Screen:
    """A page, created from its HTML. `missed` lists the ids in frames that the page does not have."""

    def __init__(self, html: str) -> None:
        self.page = parse(html)
        self.missed: list[str] = []
        [self.socket_url] = [e.attributes["ws-connect"] for e in self.page.elements() if "ws-connect" in e.attributes]

    @property
    def query(self) -> str:
        """Return the query with which the page opens its socket, as in socket.js."""
        loaded = dict(parse_qsl(self.socket_url.partition("?")[2]))
        shown = [article.attributes["id"].removeprefix("message-") for article in self.articles]
        if "seen" in loaded and loaded["seen"] not in shown:
            return f"?{urlencode(loaded | {'seen': 0})}"
        after = shown.index(loaded["seen"]) + 1 if "seen" in loaded else 0
        return f"?{urlencode(loaded | {'shown': '.'.join(shown[after:])})}"

    @property
    def articles(self) -> list[Element]:
        return [e for e in self.page.find("messages").elements() if e.tag == "article"]

    @property
    def statuses(self) -> list[str]:
        """Return the status of each answer."""
        return [a.attributes["data-status"] for a in self.articles if a.attributes["data-role"] == "assistant"]

    def unread_reasoning(self) -> list[Element]:
        """Return the reasoning panes that contain a link instead of the text."""
        panes = [e for e in self.page.elements() if e.attributes.get("class") == "reasoning-text"]
        return [pane for pane in panes if any(isinstance(child, Element) for child in pane.children)]

    def text(self, key: str) -> str:
        """Return the text of the element with this id; '' if there is none."""
        element = self.page.find(key)
        return "" if element is None else element.text

    @property
    def newest(self) -> Element:
        return self.articles[-1]

    @property
    def reasoning(self) -> str:
        """Return the newest answer's reasoning."""
        return self.text(self.newest.attributes["id"].replace("message", "reasoning"))

    @property
    def answer(self) -> str:
        """Return the newest answer's text, without markup."""
        return self.text(self.newest.attributes["id"].replace("message", "answer")).strip()

    @property
    def source(self) -> str:
        """Return the source of the newest answer's text that the page shows."""
        mark = self.page.find(self.newest.attributes["id"].replace("message", "source"))
        return "" if mark is None else mark.attributes["data-source"]

    def apply(self, frame: str) -> None:
        for part in [child for child in parse(frame).children if isinstance(child, Element)]:
            how, _, selector = part.attributes.pop("hx-swap-oob").partition(":")
            key, *steps = selector.removeprefix("#").split(" > ") if selector else [part.attributes["id"]]
            target = self.page.find(key)
            if target is None:
                self.missed.append(key)
                continue
            if key == "messages":
                self._replace_existing(part)
            if key.startswith("status-"):
                target.article().attributes["data-status"] = part.attributes["data-status"]
            for step in steps:
                elements = [child for child in target.children if isinstance(child, Element)]
                target = elements[-1 if step == ":last-child" else int(re.search(r"\d+", step)[0]) - 1]
            match how:
                case "true" | "outerHTML":
                    target.replace(part)
                case "innerHTML":
                    target.children = []
                    target.fill(part.children)
                case "beforeend":
                    target.fill(part.children)
                case "afterbegin":
                    self._prepend(target, part)
                case "afterend":
                    at = target.parent.children.index(target) + 1
                    rest = target.parent.children[at:]
                    del target.parent.children[at:]
                    target.parent.fill([*part.children, *rest])
                case "delete":
                    target.parent.children.remove(target)
                case _:
                    raise AssertionError(f"unknown swap {how!r}")

    def _replace_existing(self, part: Element) -> None:
        """Replace articles whose id is on the page; leave the others in `part`."""
        for fresh in [child for child in part.children if isinstance(child, Element)]:
            if known := self.page.find(fresh.attributes["id"]):
                part.children.remove(fresh)
                is_live = fresh.attributes["data-status"] in ("queued", "thinking", "answering")
                before, after = [
                    (each.attributes.get("data-revision"), each.attributes["data-status"]) for each in (known, fresh)
                ]
                if is_live or not after[0] or before != after:
                    known.replace(fresh)

    def _prepend(self, target: Element, part: Element) -> None:
        """Insert the new elements at the start of `target`; remove existing ones with the same ids."""
        for fresh in [child for child in part.children if isinstance(child, Element)]:
            if known := self.page.find(fresh.attributes.get("id", "")):
                known.parent.children.remove(known)
        others, target.children = target.children, []
        target.fill([*part.children, *others])

    def shown(self) -> str:
        """Return the visible content of the messages, for comparison with another screen."""
        return "\n".join(_visible(article) for article in self.articles)


# Invisible differences between a live page and a fresh one: the CSRF token, which the page adds to each request itself;
# the source mark, hidden when the answer has ended; whether reasoning is expanded; the ids of blocks that grew.
_IGNORED_ATTRIBUTES = {"open"}
_OPEN_BLOCK = re.compile(r"m\d+-open-\d+")


def _visible(element: Element, *, verbatim: bool = False) -> str:
    if element.attributes.get("name") == "csrfmiddlewaretoken" or element.attributes.get("class") == "source-mark":
        return ""
    verbatim = verbatim or element.tag == "pre" or element.attributes.get("class") == "reasoning-text"
    parts, text = [], ""
    for child in [*element.children, None]:
        if isinstance(child, str):
            text += child
            continue
        parts.append(text if verbatim else re.sub(r"\s+", " ", text).strip())
        text = ""
        if child is not None:
            parts.append(_visible(child, verbatim=verbatim))
    attributes = sorted(
        (name, value)
        for name, value in element.attributes.items()
        if name not in _IGNORED_ATTRIBUTES and not (name == "id" and _OPEN_BLOCK.fullmatch(value))
    )
    start = "".join(f' {name}="{value}"' for name, value in attributes)
    return f"<{element.tag}{start}>{''.join(parts)}</{element.tag}>"


class Tab(Screen):
    """A person's open page, updated by its socket; a context manager.

    `connected` is the same person at the replica of the socket, if it is another.
    """

    def __init__(self, person: Person, conversation: str, connected: Person | None = None) -> None:
        super().__init__(person.http.get(conversation).text)
        self._person, self._conversation = connected or person, conversation
        self._stack = ExitStack()

    def __enter__(self) -> "Tab":
        self.socket = self._stack.enter_context(self._person.socket(self._conversation, self.query))
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def reconnect(self) -> None:
        """Lose the connection and open another, like the page: the content stays."""
        self.socket.socket.shutdown(socket.SHUT_RDWR)
        self._stack.close()
        self.__enter__()

    def read_until(self, found: Callable[["Tab"], bool]) -> None:
        """Apply frames until `found` returns true.

        Raises TimeoutError after `WAIT` seconds without a new frame, or `MAX_WAIT` in all: some answers do not end.
        """
        deadline, last = time.monotonic() + WAIT, time.monotonic() + MAX_WAIT
        while not found(self):
            frame = self.socket.recv(timeout=min(deadline, last) - time.monotonic())
            if frame:  # an empty frame only keeps the socket alive
                deadline = time.monotonic() + WAIT
            self.apply(frame)

    def check(self) -> None:
        """Check that this page equals a freshly loaded one, and that every frame found its element."""
        loaded = Screen(self._person.http.get(self._conversation).text)
        for pane in loaded.unread_reasoning():
            self._check_stored(pane)
        shown, fresh = self.shown(), loaded.shown()
        at = next((n for n, pair in enumerate(zip(shown, fresh, strict=False)) if pair[0] != pair[1]), 0)
        part = slice(max(0, at - 40), at + 80)
        assert shown == fresh, f"shown: …{shown[part]}…, fresh page: …{fresh[part]}…"
        assert self.missed == []

    def _check_stored(self, pane: Element) -> None:
        """Check reasoning that a fresh page loads only on demand against the database, then ignore it."""
        key = pane.attributes["id"]
        if self.page.find(key) in self.unread_reasoning():
            return
        rows = self._person.site.rows(
            "select reasoning from conversations_message where id = ?", int(key.removeprefix("reasoning-"))
        )
        assert rows == [(self.text(key),)]
        self.page.find(key).children = pane.children
