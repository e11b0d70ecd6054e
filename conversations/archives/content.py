"""The content of an archive: a ZIP that is made while it is read.

It has `account.json`, for each conversation `conversations/<id>.json` and `.html`, `files/<SHA-256>` with the ending of
the file's name, and `index.html` for people. docs/export.md describes it.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from django.contrib.staticfiles import finders
from django.template.loader import render_to_string

from conversations import storage
from conversations.archives.account import account_data
from conversations.export import dump, stream_json
from conversations.models import Attachment, Conversation, User
from conversations.printed import stream_html
from conversations.zip_buffer import ZipBuffer

BATCH = 100  # conversations
BLOCK = 256 * 1024  # bytes of a file that are read at a time
STYLE = "css/printed.css"
ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}")


def archive_parts(user: User, *, reasoning: bool) -> Iterator[bytes]:
    """Yield the parts of the ZIP, some of them empty. Raises `StorageError` if a file cannot be read."""
    buffer = ZipBuffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        yield from _Content(archive, buffer, user, reasoning).parts()
    yield buffer.take()


class _Content:
    def __init__(self, archive: zipfile.ZipFile, buffer: ZipBuffer, user: User, reasoning: bool) -> None:
        self._archive = archive
        self._buffer = buffer
        self._user = user
        self._reasoning = reasoning
        self._names: dict[int, str] = {}  # of stored files in the archive
        self._written: set[int] = set()  # the stored files that it has
        self._missing: list[str] = []  # names of files that the storage has lost

    def parts(self) -> Iterator[bytes]:
        account = account_data(self._user, reasoning=self._reasoning)
        self._archive.writestr("account.json", dump(account))
        style = finders.find(STYLE)
        self._archive.writestr("style.css", Path(str(style)).read_bytes())
        number = 0
        for conversation in self._conversations():
            yield from self._conversation(conversation)
            number += 1
        for attachment in Attachment.objects.visible_to(self._user).unsent().with_files():
            yield from self._file(attachment)
        titles = self._user.conversations.newest_first().values_list("pk", "title", "updated_at")
        index = {"account": account, "number": number, "missing": self._missing}
        index["conversations"] = titles.iterator(1_000)
        self._archive.writestr("index.html", render_to_string("account/archive_index.html", index))
        yield self._buffer.take()

    def _conversations(self) -> Iterator[Conversation]:
        """Yield all conversations; those that are deleted or added meanwhile may be missing."""
        rows = self._user.conversations.select_related("instructions", "folder").order_by("pk")
        batch = list(rows[:BATCH])
        while batch:
            yield from batch
            batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])

    def _conversation(self, conversation: Conversation) -> Iterator[bytes]:
        chosen = {"reasoning": self._reasoning, "versions": True}
        yield from self._texts(f"conversations/{conversation.pk}.json", stream_json(conversation, **chosen))
        attachments = list(Attachment.objects.filter(message__conversation=conversation).with_files())
        html = stream_html(
            conversation,
            **chosen,
            file_url=lambda attachment: f"../{self._file_name(attachment)}",
            style_url="../style.css",
            back_url="../index.html",
            is_file=True,
        )
        yield from self._texts(f"conversations/{conversation.pk}.html", html)
        for attachment in attachments:
            yield from self._file(attachment)

    def _texts(self, name: str, texts: Iterator[str]) -> Iterator[bytes]:
        with self._archive.open(name, "w") as file:
            for text in texts:
                file.write(text.encode())
                yield self._buffer.take()
        yield self._buffer.take()

    def _file(self, attachment: Attachment) -> Iterator[bytes]:
        stored = attachment.stored
        if stored.pk in self._written:
            return
        self._written.add(stored.pk)
        if storage.file_size(stored.file_name) is None:
            if Attachment.objects.filter(pk=attachment.pk).exists():  # else it has just been deleted
                self._missing.append(attachment.name)
            return
        info = zipfile.ZipInfo(self._file_name(attachment))  # not compressed again
        with storage.open_file(stored.file_name) as source, self._archive.open(info, "w") as file:
            while block := source.read(BLOCK):
                file.write(block)
                yield self._buffer.take()
        yield self._buffer.take()

    def _file_name(self, attachment: Attachment) -> str:
        """Return the name in the archive, with the ending that the first attachment of a stored file has."""
        name = f"files/{attachment.stored.sha256}{_ending(attachment.name)}"
        return self._names.setdefault(attachment.stored_id, name)


def _ending(name: str) -> str:
    ending = Path(name).suffix
    return ending.lower() if ENDING.fullmatch(ending) else ""
