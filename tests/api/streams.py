"""A client of the API at a running site."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2

from tests.site import PASSWORD, WAIT, WITHOUT_TLS, Person


class Event(NamedTuple):
    name: str
    id: str
    data: dict[str, Any]


def make_token(person: Person, *scopes: str) -> str:
    """Create a token by the page; with all scopes unless some are given."""
    person.post("/accounts/reauthenticate/", password=PASSWORD)
    fields = {"name": "Script", "scopes": list(scopes) or ["read", "export", "ask"], "days": "7"}
    page = person.post("/accounts/api-tokens/", **fields)
    return re.search(r"ponder_[A-Za-z0-9]{43}", page.text)[0]


def connect(url: str, secret: str) -> httpx2.Client:
    """Return a client with a token, and without cookies."""
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=WAIT, verify=WITHOUT_TLS)


@contextmanager
def stream(api: httpx2.Client, generation: int, after: str = "") -> Iterator[Iterator[Event]]:
    """Yield the events of a generation, after the one with the id `after`."""
    headers = {"Last-Event-ID": after} if after else {}
    with api.stream("GET", f"/generations/{generation}/stream/", headers=headers) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["Content-Type"] == "text/event-stream"
        yield events(response.iter_lines())


def events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "data" in fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
        if not line:
            fields = {}
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value


def text_of(found: list[Event], name: str) -> str:
    """Return the text of `reasoning` or `answer` events since the last `reset`."""
    resets = [number for number, event in enumerate(found) if event.name == "reset"]
    return "".join(event.data.get("text", "") for event in found[resets[-1] if resets else 0 :] if event.name == name)
