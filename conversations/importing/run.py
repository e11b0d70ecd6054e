"""Import a file: each conversation by itself, with a report of all of them."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Final

from conversations import actions, limits
from conversations.actions import Refused
from conversations.importing import chatgpt, open_webui, ponder
from conversations.importing.items import NotImportable, OutOfTime
from conversations.importing.parsed import FileReference, Parsed, mapping, text
from conversations.importing.sources import Opened
from conversations.importing.write import AlreadyHere, digest_of, is_here, write
from conversations.models import Attachment, Conversation, User

CONVERSATIONS: Final = 20_000  # of one file
FILES: Final = 1_000  # of one conversation
SKIPPED: Final = 100  # that a report names
OMITTED: Final = 100  # kinds of parts that a report names: some have the names of files
Read = Callable[[dict[str, Any]], Parsed]
READERS: tuple[tuple[Callable[[dict[str, Any]], bool], Read], ...] = (
    (ponder.is_ours, ponder.read),
    (chatgpt.is_chatgpt, chatgpt.read),
    (open_webui.is_open_webui, open_webui.read),
)


@dataclass
class Report:
    """What was imported, or would be. `stopped` says why the rest of the file was not read."""

    preview: bool
    conversations: int = 0
    messages: int = 0
    files: int = 0
    already_here: int = 0
    skipped: int = 0
    reasons: list[tuple[str, str]] = field(default_factory=list)  # (title, why) of the first that were skipped
    sources: Counter[str] = field(default_factory=Counter)
    omitted: Counter[str] = field(default_factory=Counter)  # parts of imported conversations that are left out
    stopped: str = ""

    def skip(self, title: str, reason: str) -> None:
        self.skipped += 1
        if len(self.reasons) < SKIPPED:
            self.reasons.append((title or "Without a title", reason))

    def omit(self, parts: Counter[str]) -> None:
        for what, number in parts.items():
            is_named = what in self.omitted or len(self.omitted) < OMITTED
            self.omitted[what if is_named else "other parts"] += number

    @property
    def more_skipped(self) -> int:
        return self.skipped - len(self.reasons)


def import_file(*, user: User, file: IO[bytes], preview: bool = False, seconds: float | None = None) -> Report:
    """Import the conversations of a file for a person, or with `preview` only say what would be imported.

    Each is stored in a transaction of its own, so whatever ends the import leaves whole conversations, and the same
    file can be imported again for the rest. After `seconds`, nothing further is read.
    """
    report, deadline = Report(preview), math.inf if seconds is None else time.monotonic() + seconds
    here = Conversation.objects.visible_to(user).count()
    try:
        opened = Opened(file, deadline)
        if opened.other_files:
            report.omitted["other files in the ZIP"] = opened.other_files
        for record in opened.records():
            if isinstance(record, NotImportable):
                report.skip("", str(record))
                continue
            if report.conversations + report.already_here >= CONVERSATIONS:
                report.stopped = f"A file can have up to {CONVERSATIONS:,} conversations."
                break
            if here + report.conversations >= limits.IMPORTED:
                report.stopped = f"You have {limits.IMPORTED:,} conversations. Delete some, then import the file again."
                break
            _import_one(user, opened, record, report)
    except OutOfTime:
        report.stopped = "It took too long. Import the same file again: what is already here is left as it is."
    except NotImportable as error:
        report.stopped = str(error)
    except Refused as refused:
        report.stopped = str(refused)
    return report


def _import_one(user: User, opened: Opened, record: dict[str, Any], report: Report) -> None:
    """Import a conversation. Raises `Refused` if there is no room for it, and `OutOfTime`."""
    title = ""
    try:
        title = text(record.get("title") or mapping(record.get("chat")).get("title"))[:80]
        parsed = _parse(record)
        digest = digest_of(parsed)
        if is_here(user, parsed, digest):
            raise AlreadyHere
        references = {file.sha256: file for node in parsed.nodes for file in node.files}
        present = {digest: file for digest, file in references.items() if opened.has_file(file)}
        files: dict[str, Attachment] = {}
        if not report.preview:
            try:
                files.update(_store(user, opened, present, parsed))
                write(user, parsed, digest, files)
            finally:
                _release(files)
    except AlreadyHere:
        report.already_here += 1
    except NotImportable as error:
        report.skip(title, str(error))
    else:
        report.conversations += 1
        report.messages += len(parsed.nodes)
        report.files += len(present if report.preview else files)
        report.sources[parsed.source.label] += 1
        parsed.omitted["attached files that the export does not contain"] += len(references) - len(present)
        report.omit(+parsed.omitted)


def _parse(record: dict[str, Any]) -> Parsed:
    for is_of, read in READERS:
        if is_of(record):
            return read(record)
    raise NotImportable("It is not a conversation that this site can read.")


def _store(
    user: User, opened: Opened, present: dict[str, FileReference], parsed: Parsed
) -> Iterator[tuple[str, Attachment]]:
    """Store the files of a conversation; yield each by its SHA-256. Raises `OutOfTime`.

    Until they are attached, they wait for a conversation that does not exist, so that no page offers to send them.
    """
    waiting = Conversation(owner=user)
    for digest, reference in present.items():
        try:
            with opened.read_file(reference) as upload:
                name = reference.name
                yield digest, actions.attach(user=user, upload=upload, name=name, composer=waiting, most_unsent=FILES)
        except NotImportable as error:
            parsed.omitted[f"files: {error}"] += 1
        except Refused as refused:
            parsed.omitted[f"files: {refused}"] += 1


def _release(files: dict[str, Attachment]) -> None:
    """Delete the attachments that waited; the messages have others, of the same stored files."""
    Attachment.objects.unsent().filter(pk__in=[attachment.pk for attachment in files.values()]).delete()
