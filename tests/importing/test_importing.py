"""Imports: what becomes of files of each kind, and of hostile ones. See also tests/test_data.py."""

import hashlib
import io
import json
import random
import struct
import time
import tracemalloc
import zipfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from conversations import actions, limits
from conversations.importing import Report, import_file, items, run
from conversations.importing.open_webui import split_reasoning
from conversations.models import Attachment, Conversation, Generation, Message, Role, StoredText, User
from conversations.review import retention
from tests.factories import person, shown_messages
from tests.importing.files import as_json, as_zip, chatgpt, chatgpt_message, chatgpt_node, open_webui

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada() -> User:
    return person()


def imported(user: User, file: io.BytesIO) -> Conversation:
    report = import_file(user=user, file=file)
    assert (report.conversations, report.skipped, report.stopped) == (1, 0, ""), report
    return user.conversations.get()


def test_a_conversation_of_chatgpt_keeps_its_branches_and_thoughts(ada: User):
    report = import_file(user=ada, file=as_json(chatgpt()))
    assert (report.conversations, report.messages) == (1, 6)
    assert report.omitted == {"tool calls": 1, "tool results": 1, "images and other files": 1}
    conversation = ada.conversations.get()
    tree = conversation.tree()
    messages = conversation.read(tree, tree.ids, reasoning=True)
    assert [(message.role, message.content) for message in messages] == [
        ("user", "Which is greater?"),
        ("assistant", "9.8 is."),
        ("user", "Thanks."),
        ("user", "Which is smaller?"),
        ("assistant", "9.11."),
        ("assistant", ""),  # the answer that the file does not have
    ]
    assert messages[1].reasoning == "Comparing\n\n9.8 is 9.80."
    assert messages[1].imported_model == "gpt-5"
    assert messages[3].versions == [messages[0].pk, messages[3].pk]
    shown = [message.content for message in shown_messages(conversation)]
    assert shown == ["Which is greater?", "9.8 is.", "Thanks.", ""]
    assert conversation.created_at.timestamp() == 1_700_000_000
    assert conversation.imported_from == "chatgpt"


def test_a_conversation_of_open_webui_keeps_its_branches_and_reasoning(ada: User):
    conversation = imported(ada, as_json(open_webui()))
    tree = conversation.tree()
    question, answer, other = conversation.read(tree, tree.ids, reasoning=True)
    assert (question.content, answer.content, other.content) == ("Which?", "9.8.", "9.11!")
    assert answer.reasoning == "Is 9.8 < 9.11?\nNo."
    assert answer.versions == [answer.pk, other.pk]
    assert conversation.leaf_id == answer.pk


def test_the_zip_of_chatgpt_is_read_too(ada: User):
    file = as_zip(conversations_dot_json=json.dumps([chatgpt()]).encode(), picture_dot_png=b"?", chat_dot_html=b"")
    report = import_file(user=ada, file=file)
    assert (report.conversations, report.omitted["other files in the ZIP"]) == (1, 1)


def test_importing_again_adds_nothing_and_says_so(ada: User):
    records = chatgpt(), open_webui()
    assert import_file(user=ada, file=as_json(*records)).conversations == 2
    again = import_file(user=ada, file=as_json(*records))
    assert (again.conversations, again.already_here) == (0, 2)
    assert ada.conversations.count() == 2
    changed = open_webui()
    changed["chat"]["history"]["messages"]["m3"]["content"] = "9.110"
    assert import_file(user=ada, file=as_json(changed)).conversations == 1
    assert import_file(user=person("ben"), file=as_json(*records)).conversations == 2


def test_what_was_deleted_a_moment_ago_can_be_imported_and_restored(ada: User):
    deleted = imported(ada, as_json(open_webui()))
    deleted_at = actions.delete(conversation=deleted)
    again = imported(ada, as_json(open_webui()))
    assert actions.restore(user=ada, deleted_at=deleted_at) == [deleted.pk]
    assert set(ada.conversations.all()) == {deleted, again}


def test_what_was_just_deleted_can_be_imported_again(ada: User):
    imported(ada, as_json(open_webui()))
    Conversation.objects.update(deleted_at=timezone.now())
    assert import_file(user=ada, file=as_json(open_webui())).conversations == 1


def test_a_preview_stores_nothing_and_counts_the_same(ada: User):
    preview = import_file(user=ada, file=as_json(chatgpt(), {}), preview=True)
    assert not Conversation.objects.exists()
    report = import_file(user=ada, file=as_json(chatgpt(), {}))
    assert (preview.conversations, preview.messages, preview.skipped) == (report.conversations, report.messages, 1)
    assert preview.reasons == report.reasons


def test_nothing_imported_has_a_generation_and_asking_again_makes_another_version(ada: User):
    conversation = imported(ada, as_json(open_webui()))
    assert not Generation.objects.exists()
    for act in (actions.regenerate, actions.continue_answer):
        answer = Message.objects.get(pk=conversation.leaf_id)
        generation = act(user=ada, message=answer)
        assert generation.message != answer
        assert not generation.message.is_imported
        assert Message.objects.get(pk=answer.pk).content == "9.8."
        generation.delete()


def test_an_answer_that_the_file_does_not_have_can_be_asked_for(ada: User):
    conversation = imported(ada, as_json(chatgpt()))
    missing = Message.objects.get(pk=conversation.leaf_id)
    assert missing.content == ""
    assert actions.regenerate(user=ada, message=missing).message != missing


def test_retention_counts_from_the_import(ada: User, settings):
    settings.RETAIN_CONVERSATIONS_DAYS = settings.RETAIN_REASONING_DAYS = 30
    conversation = imported(ada, as_json(open_webui()))
    assert conversation.updated_at < timezone.now() - timedelta(days=365)
    assert not retention.expired_conversations().exists()
    assert not retention.expired_reasoning().exists()
    Conversation.objects.update(imported_at=timezone.now() - timedelta(days=31))
    assert retention.expired_conversations().get() == conversation
    assert retention.expired_reasoning().exists()


def test_a_time_in_the_future_does_not_put_retention_off(ada: User):
    record = open_webui() | {"updated_at": 9_000_000_000}
    assert imported(ada, as_json(record)).updated_at <= timezone.now()


def test_what_does_not_fit_into_the_room_is_not_imported(ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "STORED_BYTES", 700)
    report = import_file(user=ada, file=as_json(open_webui(), chatgpt(), open_webui()))
    assert "You've used" in report.stopped
    assert ada.conversations.count() == report.conversations == 1
    assert StoredText.objects.get(user=ada).bytes <= 700


def test_after_the_time_for_it_the_rest_can_be_imported_with_the_same_file(ada: User):
    report = import_file(user=ada, file=as_json(chatgpt(), open_webui()), seconds=-1)
    assert "Import the same file again" in report.stopped
    assert import_file(user=ada, file=as_json(chatgpt(), open_webui())).conversations == 2


def wide(number: int) -> list[dict[str, Any]]:
    """Nodes of ChatGPT: a question and so many answers in a row."""
    last = str(number)
    nodes = [chatgpt_node("0", None, ["1"], chatgpt_message("user", "Why?"))]
    for key in range(1, number + 1):
        children = [] if str(key) == last else [str(key + 1)]
        nodes.append(chatgpt_node(str(key), str(key - 1), children, chatgpt_message("assistant", "Hm.")))
    return nodes


def with_nodes(*nodes: dict[str, Any]) -> dict[str, Any]:
    return chatgpt() | {"mapping": {node["id"]: node for node in nodes}, "current_node": None}


CIRCLE = with_nodes(
    chatgpt_node("a", "b", ["b"], chatgpt_message("user", "Why?")),
    chatgpt_node("b", "a", ["a"], chatgpt_message("assistant", "Hm.")),
)
OURS = {"format": "ponder-conversation", "version": 1, "id": "1", "title": "", "messages": []}
MESSAGE = {"id": 1, "parent": None, "role": "user", "content": "Why?"}


@pytest.mark.parametrize(
    "record",
    [
        CIRCLE,
        with_nodes(),
        {"mapping": {"a": 1, "b": [], "c": None}},
        {"mapping": {"a": {"message": {"author": 7, "content": "x"}, "parent": {}, "children": "a"}}},
        {"chat": {"history": {"messages": {"a": 1, "b": {"role": ["user"], "parentId": 5}}}}},
        {"chat": {"messages": "x"}},
        {"chat": {"messages": [1, None, {"role": "user", "content": {}}]}, "title": 7, "id": {}},
        OURS,
        OURS | {"version": 2},
        OURS | {"messages": [MESSAGE | {"role": "system"}]},
        OURS | {"messages": [MESSAGE, MESSAGE]},
        OURS | {"messages": [MESSAGE | {"parent": 1}]},
        OURS | {"messages": [MESSAGE | {"parent": 7}]},
        OURS | {"messages": [MESSAGE | {"content": "x" * 2_000_001}]},
        OURS | {"messages": 5},
        {},
        [],
        "text",
        7,
    ],
)
def test_a_hostile_conversation_is_skipped_or_imported_whole(ada: User, record: Any):
    report = import_file(user=ada, file=as_json(record, open_webui()))
    if isinstance(record, str | int):
        assert report.stopped == items.NOT_JSON
        assert not Conversation.objects.exists()
        return
    assert report.conversations + report.skipped == 2, report
    assert all(reason for _, reason in report.reasons)
    assert ada.conversations.filter(imported_from="open-webui", source_id="w-1").count() == 1
    for conversation in ada.conversations.all():
        assert conversation.leaf_id in conversation.tree().ids


def test_hostile_values_are_replaced(ada: User):
    generation = {
        "status": "hacked",
        "model": 7,
        "created_at": "2026-01-01T00:00:00Z",
        "prompt_tokens": -1,
        "depth": [],
    }
    answer = {"id": 2, "parent": 1, "role": "assistant", "content": "\0\ud800!", "generations": [generation]}
    answer |= {"rating": "best", "created_at": "0001-01-01T00:00:00+14:00", "attachments": [{"sha256": "../x"}, 7]}
    record = OURS | {"messages": [MESSAGE, answer], "created_at": 1e300, "shown_up_to": "2" * 500, "title": "x" * 500}
    conversation = imported(ada, as_json(record))
    message = Message.objects.get(role=Role.ASSISTANT)
    assert message.content == "\ufffd\ufffd!"
    assert (
        message.imported["generations"][0] | {"status": "complete", "model": "", "prompt_tokens": None}
        == (message.imported["generations"][0])
    )
    assert len(conversation.title) == 80


def test_a_deep_tree_and_many_parts_of_an_answer_are_imported(ada: User):
    conversation = imported(ada, as_json(with_nodes(*wide(3_000))))
    assert Message.objects.get(role=Role.ASSISTANT).content.count("Hm.") == 3_000
    conversation.delete()
    messages = [
        MESSAGE | {"id": number, "parent": number - 1 or None, "role": ("assistant", "user")[number % 2]}
        for number in range(1, 2_001)
    ]
    assert len(shown_messages(imported(ada, as_json(OURS | {"messages": messages})))) == 2_000


def test_branches_that_share_a_long_answer_are_refused(ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conversations.importing.chatgpt.PARTS", 1_000)
    nodes = wide(100)
    leaves = [chatgpt_node(f"x{n}", "100", [], chatgpt_message("assistant", "End.")) for n in range(100)]
    report = import_file(user=ada, file=as_json(with_nodes(*nodes, *leaves)))
    assert [reason for _, reason in report.reasons] == ["Its answers have too many branches."]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"hello", items.NOT_JSON),
        (b'"text"', items.NOT_JSON),
        (b"[7]", items.NOT_JSON),
        (b"[{}] {}", items.NOT_JSON),
        (b'[{"title": "a"', items.INCOMPLETE),
        (b"PK\x03\x04 and no more", "The ZIP file is damaged, or encrypted."),
    ],
)
def test_a_file_that_is_none_gives_a_sentence(ada: User, content: bytes, sentence: str):
    assert import_file(user=ada, file=io.BytesIO(content)).stopped == sentence


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        ("[" * 200 + "]" * 200, items.TOO_DEEP),
        ("[" + "[]," * 600_000 + "[]]", items.TOO_MANY),
        ('["' + "x" * 21_000_000 + '"]', items.TOO_LARGE),
        ('[{"a": \ud800}]', items.NOT_JSON),
        ('["' + "9" * 10 + '", ' + "9" * 9_000 + "]", items.NOT_JSON),
    ],
)
def test_what_would_take_too_much_memory_is_never_parsed(ada: User, item: str, sentence: str):
    file = io.BytesIO(f'[{{"a": {item}}}, {json.dumps(chatgpt())}]'.encode(errors="surrogatepass"))
    report = import_file(user=ada, file=file)
    assert (report.reasons, report.conversations) == ([("Without a title", sentence)], 1)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_items_are_the_same_wherever_chunks_end(size: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(items, "CHUNK", size)
    values = [{"a": '"\\"}]['}, {"b": [{}, [], "\\\\"]}, {"é": "\\u0022"}]
    text = "\ufeff" + json.dumps(values, ensure_ascii=False, indent=1)
    assert list(items.read_items(io.BytesIO(text.encode()))) == values
    assert list(items.read_items(io.BytesIO(json.dumps(values[1]).encode()))) == values[1:2]


def test_memory_does_not_grow_with_the_file(ada: User):
    def peak(number: int) -> int:
        answer = {"id": 2, "parent": 1, "role": "assistant", "content": "word " * 20_000}
        lines = (json.dumps(OURS | {"id": str(n), "messages": [MESSAGE, answer]}) for n in range(number))
        file = io.BytesIO(f"[{','.join(lines)}]".encode())
        tracemalloc.start()
        assert import_file(user=ada, file=file, preview=True).conversations == number
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(10), peak(300)  # 1 and 30 MB
    assert many < few + 2_000_000


def with_two_ends(archive: bytes, comment: bytes, unused: bytes = bytes(4)) -> bytes:
    """Return a ZIP with the end of a large one too, which alone says how large its directory is."""
    _, _, _, _, number, size, start, _ = struct.unpack("<4s4H2LH", archive[-22:])
    end = struct.pack("<4s4s4s2H2L4Q", b"PK\x06\x06", unused, bytes(4), 45, 45, 0, 0, number, number, size, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + size, 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, number, number, 46, 0, len(comment))
    return archive[:-22] + end + locator + last + comment


@pytest.mark.parametrize("offset", [2**62, 2**63, 2**64 - 1])
def test_an_entry_at_an_offset_that_no_file_can_have_gives_a_sentence(ada: User, tmp_path: Path, offset: int):
    name = b"conversations.json"
    extra = struct.pack("<HHQ", 1, 8, offset)  # of ZIP64
    entry = b"PK\x03\x04" + struct.pack("<5H3L2H", 20, 0, 0, 0, 0, 0, 2, 2, len(name), 0) + name + b"[]"
    sizes = (2, 2, len(name), len(extra))
    directory = b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, 45, *[0] * 5, *sizes, *[0] * 4, 2**32 - 1) + name + extra
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 1, 1, len(directory), len(entry), 0)
    (tmp_path / "file.zip").write_bytes(entry + directory + end)  # other errors than of files in memory
    with (tmp_path / "file.zip").open("rb") as file:
        report = import_file(user=ada, file=file)
    assert "damaged" in (report.stopped or report.reasons[0][1])


def test_hostile_zips_give_a_sentence(ada: User, monkeypatch: pytest.MonkeyPatch):
    traversal = as_zip(**{"conversations__..__..__x_dot_json": json.dumps(chatgpt()).encode()})
    assert "no conversations" in import_file(user=ada, file=traversal).stopped
    bomb = as_zip(conversations_dot_json=b'[{"a": "' + b"x" * 50_000_000 + b'"}]')
    assert bomb.getbuffer().nbytes < 100_000
    assert import_file(user=ada, file=bomb).reasons == [("Without a title", items.TOO_LARGE)]
    damaged = as_zip(conversations_dot_json=json.dumps([chatgpt()] * 50).encode()).getvalue()
    damaged = damaged[:200] + b"\0" * 50 + damaged[250:]
    report = import_file(user=ada, file=io.BytesIO(damaged))
    assert "damaged" in report.reasons[0][1]
    monkeypatch.setattr("conversations.importing.sources.DIRECTORY_BYTES", 1_000)
    many = as_zip(conversations_dot_json=b"[]", **{f"entry{number}": b"" for number in range(100)})
    assert import_file(user=ada, file=many).stopped == "The ZIP file has too many entries."
    # Sizes of the directory that are not the one by which it is read.
    for hidden in (with_two_ends(many.getvalue(), b"", b"PK\x06\x06"), with_two_ends(many.getvalue(), b" " * 65_535)):
        assert len(zipfile.ZipFile(io.BytesIO(hidden)).namelist()) == 101
        report = import_file(user=ada, file=io.BytesIO(hidden))
        assert report.stopped == "The ZIP file has too many entries."
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_whose_unpacking_can_take_any_memory_is_refused(ada: User, method: int):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("conversations.json", json.dumps([chatgpt()]))
    assert "compressed in an unusual way" in import_file(user=ada, file=file).stopped
    assert import_file(user=ada, file=as_zip(conversations_dot_json=json.dumps([chatgpt()]).encode())).conversations


@pytest.mark.parametrize(
    ("given", "name"),
    [("notes.txt", "notes.txt"), ("a\nb\u202etxt.exe", "a b txt.exe"), ("\u202e", "file"), (7, "file")],
)
def test_the_name_of_an_imported_file_has_only_characters_that_can_be_seen(ada: User, given: Any, name: str):
    content = b"Some notes."
    digest = hashlib.sha256(content).hexdigest()
    file = {"sha256": digest, "size": len(content), "name": given}
    record = OURS | {"messages": [MESSAGE | {"attachments": [file]}]}
    archive = as_zip(conversations_dot_json=json.dumps([record]).encode(), **{f"files/{digest}.txt": content})
    assert import_file(user=ada, file=archive).files == 1
    assert Attachment.objects.get().name == name


def test_the_report_names_the_files_that_cannot_be_read(ada: User):
    damaged = {f"{name}.pdf": f"%PDF-1.7 {name}".encode() for name in ("Report", "Contract")}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in damaged.items()}
    files = [{"sha256": digests[name], "size": len(data), "name": name} for name, data in damaged.items()]
    record = OURS | {"messages": [MESSAGE | {"attachments": files}]}
    entries = {f"files/{digests[name]}.pdf": data for name, data in damaged.items()}
    file = as_zip(conversations_dot_json=json.dumps([record]).encode(), **entries)
    report = import_file(user=ada, file=file)
    assert sorted(what.split(": ")[1] for what in report.omitted) == ["Contract.pdf", "Report.pdf"]


def test_an_encrypted_zip_gives_a_sentence(ada: User):
    file = as_zip(conversations_dot_json=json.dumps([chatgpt()]).encode())
    with zipfile.ZipFile(file) as archive:
        offset = archive.start_dir
    data = bytearray(file.getvalue())
    data[6] |= 1
    data[offset + 8] |= 1
    assert "encrypted" in import_file(user=ada, file=io.BytesIO(bytes(data))).reasons[0][1]


def test_reasoning_is_split_from_an_answer():
    assert split_reasoning("a <b>") == ("", "a <b>")
    assert split_reasoning('<details type="reasoning"><summary>x</summary>> a\n> b</details>c') == ("a\nb", "c")
    assert split_reasoning('<details type="reasoning">never closed') == ("", '<details type="reasoning">never closed')


def test_the_number_of_conversations_is_limited(ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run, "CONVERSATIONS", 1)
    assert "up to 1 conv" in import_file(user=ada, file=as_json(chatgpt(), open_webui())).stopped
    assert ada.conversations.count() == 1


def test_one_person_cannot_have_any_number_of_imported_conversations(ada: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "IMPORTED", 2)
    records = [chatgpt() | {"conversation_id": str(number)} for number in range(3)]
    assert "You have 2 conversations" in import_file(user=ada, file=as_json(*records)).stopped
    assert "You have 2 conversations" in import_file(user=ada, file=as_json(open_webui())).stopped
    assert ada.conversations.count() == 2


def test_operators_import_by_a_command(ada: User, tmp_path, capsys):
    file = tmp_path / "conversations.json"
    file.write_bytes(as_json(chatgpt(), {}).getvalue())
    call_command("import_conversations", "ada", str(file), "--preview")
    assert not Conversation.objects.exists()
    call_command("import_conversations", "ada", str(file))
    assert ada.conversations.get().title == "Decimals"
    printed = capsys.readouterr().out
    assert "Imported: 1 conversations, 6 messages, 0 files." in printed
    assert "Decimals" not in printed
    with pytest.raises(CommandError, match="no user"):
        call_command("import_conversations", "nobody", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_conversations", "ada", str(tmp_path / "nothing"))


def test_a_report_names_a_limited_number_of_conversations():
    report = Report(preview=False)
    for _ in range(run.SKIPPED + 5):
        report.skip("Title", "Reason.")
    assert (len(report.reasons), report.more_skipped) == (run.SKIPPED, 5)
    for number in range(run.OMITTED + 5):
        report.omit(Counter({f"files: {number}.txt is damaged": 1}))
    assert len(report.omitted) == run.OMITTED + 1
    assert report.omitted["other parts"] == 5


def test_the_command_does_not_print_the_names_of_files(ada: User, tmp_path, capsys, monkeypatch: pytest.MonkeyPatch):
    report = Report(preview=False, omitted=Counter({"files: a.txt: Damaged.": 1, "files: b.txt: It is empty.": 2}))
    monkeypatch.setattr("conversations.management.commands.import_conversations.import_file", lambda **_: report)
    (tmp_path / "file").touch()
    call_command("import_conversations", "ada", str(tmp_path / "file"))
    printed = capsys.readouterr().out
    assert "Left out, files: 3." in printed
    assert ".txt" not in printed


def test_a_kind_that_is_no_text_and_a_time_that_is_no_float_are_left_out(ada: User):
    odd = chatgpt()
    odd["create_time"] = 10**400
    for key, kind in (("q2", ["text"]), ("a2", {})):
        odd["mapping"][key]["message"]["content"]["content_type"] = kind
    assert imported(ada, as_json(odd)).messages.filter(content="9.11.").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_wherever_a_zip_is_damaged_there_is_a_sentence(ada: User, method: int):
    file, damage = io.BytesIO(), random.Random(1)  # noqa: S311  (the same each time)
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("conversations.json", json.dumps([chatgpt()]))
        archive.writestr("files/ü.txt", b"x")
    for _ in range(300):
        data = bytearray(file.getvalue())
        for _ in range(3):
            data[damage.randrange(4, len(data))] = damage.randrange(256)
        assert import_file(user=ada, file=io.BytesIO(bytes(data)), preview=True)


def test_what_has_no_conversations_does_not_take_longer_either(ada: User, monkeypatch: pytest.MonkeyPatch):
    """A small ZIP can have gigabytes of them."""
    now = iter(range(10**9))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    for endless in (b"[" + b"[]," * 10_000 + b"[]]", b'[{"a": "' + b"\\" * 20_000_000 + b'"}]'):
        read = io.BytesIO(endless)
        for file in (read, as_zip(conversations_dot_json=endless)):
            assert "It took too long" in import_file(user=ada, file=file, seconds=20).stopped
        assert read.tell() < 10_000_000


@pytest.mark.parametrize(
    ("given", "name"), [("  Maths \n 2 ", "Maths 2"), (" \n", None), (["a"], None), ("a\0b", "a\ufffdb")]
)
def test_a_folder_has_a_name_that_its_form_would_take(ada: User, given: Any, name: str | None):
    folder = imported(ada, as_json(OURS | {"messages": [MESSAGE], "folder": given})).folder
    assert (folder.name if folder else None) == name
