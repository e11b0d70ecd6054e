"""Ask a question through the API, and print the reasoning and the answer while they are written.

    export PONDER_URL=https://chat.example.org PONDER_TOKEN=ponder_...
    python api_client.py "Which is greater, 9.8 or 9.11?"

Needs Python 3.11 and no packages. docs/api.md describes the API.
"""

import http.client
import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

SECONDS = 60  # without any data; the site sends something every 15 seconds


class Event(NamedTuple):
    name: str  # status, reasoning, answer, reset, end or error
    data: dict[str, Any]


class Refused(Exception):
    """The site has refused a request, and says why."""


class Client:
    """A client of one site, with one token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = urlsplit(url)
        self._token = token

    def answer(self, question: str, conversation: str = "", **fields: Any) -> Iterator[Event]:
        """Ask a question, in a new conversation or in one with this id; yield the events of its answer.

        `fields` can be `model`, `depth` and `attachments`.
        """
        path = f"conversations/{conversation}/messages/" if conversation else "conversations/"
        # With the same key, sending the question again does not ask it twice.
        body = {"content": question, "key": str(uuid.uuid4())} | fields
        asked = json.load(self._request("POST", path, body=json.dumps(body)))
        yield from self.follow(asked["generation"]["id"])

    def follow(self, generation: int) -> Iterator[Event]:
        """Yield the events of an answer to its end, and connect again whenever the connection is lost."""
        last = ""
        while True:
            try:
                headers = {"Last-Event-ID": last} if last else {}
                response = self._request("GET", f"generations/{generation}/stream/", headers)
                for event, event_id in _events(response):
                    last = event_id
                    yield event
                    if event.name in ("end", "error"):
                        return
            except (OSError, http.client.HTTPException):
                pass  # of the network, or the site is restarting
            time.sleep(1)

    def _request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: str | None = None
    ) -> http.client.HTTPResponse:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._url.netloc, timeout=SECONDS)
        sent = {"Authorization": f"Bearer {self._token}"} | {
            name: text for name, text in (headers or {}).items() if text
        }
        if body is not None:
            sent["Content-Type"] = "application/json"
        connection.request(method, f"/api/v1/{path}", body, sent)
        response = connection.getresponse()
        if response.status == http.client.SERVICE_UNAVAILABLE:
            raise OSError("the site is not available")
        if response.status >= http.client.BAD_REQUEST:
            raise Refused(json.load(response)["detail"])
        return response


def _events(response: http.client.HTTPResponse) -> Iterator[tuple[Event, str]]:
    """Yield the server-sent events of a response, each with its id."""
    fields: dict[str, str] = {}
    for line in response:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name:
            fields[name] = value
        else:
            if "data" in fields:
                yield Event(fields["event"], json.loads(fields["data"])), fields["id"]
            fields = {}


def main(question: str) -> int:
    client = Client(os.environ["PONDER_URL"], os.environ["PONDER_TOKEN"])
    try:
        for event in client.answer(question):
            if event.name == "reasoning":
                print(event.data["text"], end="", flush=True, file=sys.stderr)
            elif event.name == "answer":
                print(event.data["text"], end="", flush=True)
            elif event.name == "reset":
                print("\n(starting again)\n", flush=True)
            elif event.name == "end":
                print(flush=True)
                return 0 if event.data["status"] == "complete" else _fail(event.data["error"] or event.data["status"])
    except Refused as refused:
        return _fail(str(refused))
    return _fail("The answer is not available any more.")


def _fail(reason: str) -> int:
    print(reason, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
