"""Instructions: which version is sent with which answer, how they are combined, and what is kept."""

import json
from html import unescape

import pytest

from conversations import actions
from conversations.actions import Refused, save_instructions
from conversations.generation.commit import Claim
from conversations.generation.history import read_prompt
from conversations.inference.allowance import estimate_prompt
from conversations.inference.request_log import rebuild_request, stored_request
from conversations.models import Conversation, Generation, Instructions, LegalHold, Message, Status, StoredText, User
from conversations.models.instructions import KEPT_VERSIONS
from conversations.review import retention
from tests.endpoint import Endpoint
from tests.factories import person, queued
from tests.models import NoEndpoint
from tests.site import manage
from tests.test_details import REQUEST, answers

pytestmark = pytest.mark.django_db
MODEL = NoEndpoint().model


@pytest.fixture
def user() -> User:
    return person()


def end(generation: Generation, status: str = Status.COMPLETE, content: str = "Yes.") -> None:
    Generation.objects.filter(pk=generation.pk).update(status=status)
    Message.objects.filter(pk=generation.message_id).update(content=content)


def contents(**scope: object) -> list[str]:
    return list(Instructions.objects.filter(**scope).order_by("pk").values_list("content", flat=True))


def prompt_of(generation: Generation):
    message, conversation = generation.message_id, generation.conversation_id
    claimed = Claim(generation.pk, 1, message, conversation, generation.owner_id, "m")
    return read_prompt(claimed, MODEL)[1]


def system_of(generation: Generation) -> str:
    [first, *_] = prompt_of(generation).messages
    return first["content"] if first["role"] == "system" else ""


def save(user: User, content: str, conversation: Conversation | None = None) -> None:
    save_instructions(user=user, content=content, conversation=conversation)


def test_the_site_the_user_and_the_conversation_speak_in_this_order(user: User, settings):
    settings.SYSTEM_PROMPT = "Be honest."
    save(user, "Be brief.")
    conversation = queued(user).conversation
    save(user, "Answer in verse.", conversation)
    expected = (
        "Be honest.\n\n<user_instructions>\nBe brief.\n</user_instructions>\n\n"
        "<conversation_instructions>\nAnswer in verse.\n</conversation_instructions>"
    )
    assert system_of(queued(user, "And?", conversation)) == expected


def test_without_a_site_prompt_instructions_are_the_system_message(user: User):
    save(user, "Be brief.")
    assert system_of(queued(user)) == "<user_instructions>\nBe brief.\n</user_instructions>"


def test_instructions_of_others_are_not_sent(user: User):
    save(person("eve"), "Be rude.")
    other = queued(user).conversation
    save(user, "Only there.", other)
    assert system_of(queued(user)) == ""


def test_what_applies_when_the_question_is_asked_is_sent(user: User):
    save(user, "Before.")
    generation = queued(user)
    save(user, "After.")
    assert "Before." in system_of(generation)
    assert "After." in system_of(queued(user))


def test_a_new_try_and_an_edited_question_use_the_newest_instructions(user: User):
    save(user, "Before.")
    generation = queued(user)
    end(generation)
    save(user, "After.")
    assert "After." in system_of(actions.regenerate(user=user, message=generation.message))
    assert "After." in system_of(actions.edit(user=user, prompt=generation.message.prompt, content="How?"))
    failed = queued(user)
    end(failed, Status.FAILED, content="")
    save(user, "Last.")
    assert "Last." in system_of(actions.regenerate(user=user, message=failed.message))


def test_the_rest_of_an_answer_is_written_with_the_instructions_of_its_beginning(user: User):
    save(user, "Before.")
    cut, thinking = queued(user), queued(user)
    save(cut.owner, "In verse.", cut.conversation)
    end(cut, Status.LENGTH)
    Generation.objects.filter(pk=thinking.pk).update(status=Status.STOPPED)
    save(user, "After.")
    for generation in (
        actions.continue_answer(user=user, message=cut.message),
        actions.answer_now(user=user, generation=thinking),
    ):
        system = system_of(generation)
        assert "Before." in system
        assert "After." not in system
        assert "In verse." not in system


def test_the_stored_request_has_no_copy_and_stays_exact_after_changes(user: User, settings):
    settings.SYSTEM_PROMPT = "Be honest."
    save(user, "Be brief. <user_instructions>")
    generation = queued(user)
    prompt = prompt_of(generation)
    sent = {"model": "m", "messages": prompt.messages}
    stored = stored_request(sent, prompt)
    assert "brief" not in json.dumps(stored)
    end(generation)
    generation.request = json.loads(json.dumps(stored))
    for number in range(KEPT_VERSIONS + 5):
        save(user, f"Version {number}.")
    save(user, "")
    settings.SYSTEM_PROMPT = ""
    body, _ = rebuild_request(generation)
    assert body == sent


def test_instructions_count_in_the_budget_of_the_context_and_of_the_day(user: User):
    plain = queued(user)
    save(user, "é" * 3_000)
    instructed = queued(user)
    assert estimate_prompt(instructed) - estimate_prompt(plain) > 2_000
    assert estimate_prompt(instructed) == prompt_of(instructed).tokens
    assert estimate_prompt(plain) == prompt_of(plain).tokens


def test_the_same_instructions_again_add_no_version(user: User):
    save(user, "")
    save(user, "Be brief.")
    save(user, "Be brief.")
    assert contents() == ["Be brief."]
    save(user, "")
    save(user, "")
    user.refresh_from_db()
    assert contents() == ["Be brief.", ""]
    assert user.instructions is None


def test_old_versions_are_deleted_but_not_those_that_were_sent(user: User):
    conversation = queued(user).conversation
    save(user, "Sent.")
    save(user, "Sent too.", conversation)
    queued(user, "And?", conversation)
    for number in range(KEPT_VERSIONS + 3):
        save(user, f"{number}")
        save(user, f"{number}", conversation)
    for scope, sent in ((None, "Sent."), (conversation, "Sent too.")):
        kept = contents(conversation=scope)
        assert kept[:2] == [sent, "3"]
        assert len(kept) == 1 + KEPT_VERSIONS


@pytest.mark.parametrize("subject", ["user", "conversation"])
def test_under_a_legal_hold_versions_are_added_and_none_is_deleted(user: User, subject: str):
    conversation = queued(user).conversation
    LegalHold.objects.create(reason="Order 7", **{subject: user if subject == "user" else conversation})
    LegalHold.objects.create(reason="Order 8", user=person("eve"))
    for number in range(KEPT_VERSIONS + 3):
        save(user, f"{number}")
        save(user, f"{number}", conversation)
    assert len(contents(conversation=conversation)) == KEPT_VERSIONS + 3
    assert len(contents(conversation=None)) == KEPT_VERSIONS + (3 if subject == "user" else 0)


def test_instructions_count_as_stored_text_until_they_are_deleted(user: User, monkeypatch):
    def stored() -> int:
        return StoredText.objects.get(user=user).bytes

    conversation = queued(user, "Why?").conversation
    before = stored()
    save(user, "é")
    save(user, "éé", conversation)
    assert stored() == before + 2 + 4
    monkeypatch.setattr("conversations.limits.STORED_BYTES", before + 100)
    with pytest.raises(Refused, match="does not fit"):
        save(user, "x" * 101)
    assert contents() == ["é", "éé"]
    actions.delete_at_once(conversation=conversation)
    assert contents() == ["é"]
    assert stored() == 2


def test_retention_deletes_old_versions_that_no_conversation_needs(user: User, settings):
    settings.RETAIN_CONVERSATIONS_DAYS = 30
    for content in ("Unused.", "Sent.", "Applies."):
        save(user, content)
        if content == "Sent.":
            queued(user)
    eve = person("eve")
    save(eve, "Held.")
    save(eve, "")
    LegalHold.objects.create(reason="Order 7", user=eve)
    Instructions.objects.update(created_at="2020-01-01T00:00Z")
    assert "Deleted 1 earlier versions of instructions." in list(retention.prune())
    assert contents() == ["Sent.", "Applies.", "Held.", ""]


def test_an_account_is_deleted_with_its_instructions(user: User):
    save(user, "Be brief.")
    generation = queued(user)
    save(user, "In verse.", generation.conversation)
    end(generation)
    user.refresh_from_db()
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.refresh_from_db()
    assert retention.delete_account(actor=retention.audit.System(), user=user)
    assert contents() == []


def test_strangers_cannot_save_instructions_for_a_conversation(user: User):
    conversation = queued(user).conversation
    with pytest.raises(Conversation.DoesNotExist):
        save(person("eve"), "Be rude.", conversation)


@pytest.mark.django_db(False)
def test_details_show_the_text_that_the_endpoint_received(make_site, join, endpoint: Endpoint):
    site = make_site(SYSTEM_PROMPT="Be honest.")
    ada = join(site, "ada")
    ada.post("/preferences/instructions/", content="Be brief.\r\nAlways.")
    conversation = ada.ask("Why?")
    ada.await_end(conversation)
    ada.post("/preferences/instructions/", content="")
    ada.post(f"{conversation}instructions/", content="In verse.")
    ada.ask("And?", conversation)
    ada.await_end(conversation)
    sent = [exchange.body for exchange in endpoint.exchanges]
    assert "Be brief.\nAlways." in sent[0]["messages"][0]["content"]
    assert "In verse." in sent[1]["messages"][0]["content"]
    for pk, body in zip(answers(site, conversation), sent, strict=True):
        [shown] = REQUEST.findall(ada.http.get(f"/messages/{pk}/details/").text)
        assert json.loads(unescape(shown)) == body


DELETED_BY_AN_EARLIER_VERSION = """
from django.db import connection
from conversations.actions import save_instructions
from conversations.models import Conversation, Instructions, StoredText
from tests.factories import person
user = person()
conversation = Conversation.objects.create(owner=user, title="Why?")
save_instructions(user=user, content="Be brief.")
save_instructions(user=user, content="In verse.", conversation=conversation)
with connection.cursor() as cursor:
    cursor.execute("delete from conversations_conversation")
    print(*Instructions.objects.values_list("content", flat=True), *StoredText.objects.values_list("bytes", flat=True))
    cursor.execute("delete from conversations_storedtext")
    cursor.execute("delete from conversations_user")
    print(Instructions.objects.count())
"""


@pytest.mark.postgresql
@pytest.mark.django_db(False)
def test_a_version_that_knows_no_instructions_deletes_them_on_postgresql(postgresql_database: str):
    done = manage("shell", "--no-imports", "-c", DELETED_BY_AN_EARLIER_VERSION, DATABASE_URL=postgresql_database)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Be brief. 9", "0"]
