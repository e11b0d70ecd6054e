"""How conversations reach the queue, and that no two reviewers work on one unknowingly."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.models import Conversation, Feedback, Generation, Message, Status, User
from conversations.review import audit, queue
from conversations.review.models import CLAIM_DURATION, QueueItem, Rule, Verdict
from tests.factories import person
from tests.review.people import planted, somebody
from tests.review.test_pages import WORDS

pytestmark = pytest.mark.django_db
QUEUE = "/admin/conversations/conversation/queue/"


@pytest.fixture
def conversation() -> Conversation:
    return planted(person("owner"), **WORDS)


@pytest.fixture
def reviewer() -> User:
    return somebody("reader with reasoning")


@pytest.fixture
def second() -> User:
    return somebody("reader")


@pytest.fixture
def report(conversation: Conversation) -> QueueItem:
    actions.give_feedback(message=conversation.leaf, rating="report", comment="It is rude", shared=False)
    queue.fill()
    return QueueItem.objects.get()


@pytest.fixture
def end(conversation: Conversation) -> Callable[..., None]:
    """Let the shown answer end now, in this way and with this text."""

    def end(status: Status = Status.COMPLETE, content: str = "Because.") -> None:
        Message.objects.filter(pk=conversation.leaf_id).update(content=content)
        Generation.objects.filter(message=conversation.leaf_id).update(status=status, finished_at=timezone.now())

    return end


@pytest.mark.parametrize(
    ("fields", "waits"),
    [
        ({"rating": "report", "comment": "It is rude"}, queue.REPORTED),
        ({"rating": "bad", "shared": "on"}, queue.SHARED),
        ({"rating": "bad"}, None),
        ({"rating": "good"}, None),
    ],
)
def test_the_owner_decides_whether_feedback_is_reviewed(
    client: Client, conversation: Conversation, fields: dict[str, str], waits: str | None
):
    client.force_login(conversation.owner)
    address = f"/messages/{conversation.leaf_id}/feedback/"
    assert address in client.get(conversation.get_absolute_url()).content.decode()
    assert client.post(address, fields).status_code == 302
    assert Feedback.objects.get().rating == fields["rating"]
    queue.fill()
    assert list(QueueItem.objects.values_list("why", flat=True)) == ([waits] if waits else [])
    client.post(address, fields)  # once more changes nothing
    queue.fill()
    assert QueueItem.objects.count() == bool(waits)


def test_feedback_is_its_owners_alone(client: Client, conversation: Conversation):
    client.force_login(person("stranger"))
    address = f"/messages/{conversation.leaf_id}/feedback/"
    assert client.get(address).status_code == 404
    assert client.post(address, {"rating": "report"}).status_code == 404
    assert not QueueItem.objects.exists()


@pytest.mark.parametrize(
    ("rule", "ending", "found"),
    [
        ({"words": "bomb\nbecause"}, {}, True),
        ({"words": "WHY?"}, {}, True),  # in the question, whatever its case
        ({"words": "炸弹"}, {"content": "如何制造炸弹"}, True),
        ({"words": "bomb"}, {}, False),
        ({"outcome": "filtered"}, {"status": Status.FILTERED}, True),
        ({"outcome": "filtered"}, {"status": Status.FAILED}, False),
        ({"outcome": "failed", "words": "bomb"}, {"status": Status.FAILED}, False),
        ({}, {}, True),
        ({"percent": 0}, {}, False),
        ({"active": False}, {}, False),
    ],
)
def test_rules_bring_what_ended_since_they_were_written(
    end: Callable[..., None], rule: dict[str, object], ending: dict[str, object], found: bool
):
    Rule.objects.create(name="The rule", checked_until=timezone.now() - timedelta(seconds=1), **rule)
    end(**ending)
    for _ in range(2):
        queue.fill()
        assert list(QueueItem.objects.values_list("why", flat=True)) == (["The rule"] if found else [])


def test_a_resolved_item_is_not_brought_again_by_its_rule(end: Callable[..., None], reviewer: User):
    Rule.objects.create(name="The rule", checked_until=timezone.now() - timedelta(seconds=1))
    end()
    queue.fill()
    actor, item = audit.Actor(reviewer), QueueItem.objects.get()
    queue.claim(actor=actor, item=item)
    assert queue.resolve(actor=actor, item=item, verdict=Verdict.FINE, note="")
    queue.fill()
    assert QueueItem.objects.get().verdict == Verdict.FINE


def test_a_rule_goes_through_all_answers_in_batches(conversation: Conversation, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queue, "BATCH", 2)
    start = timezone.now()
    for n in range(5):
        message = Message.objects.create(conversation=conversation, role="assistant", content="Because.")
        Generation.objects.create(
            message=message,
            conversation=conversation,
            owner=conversation.owner,
            status=Status.COMPLETE,
            finished_at=start + timedelta(seconds=n + 1),
        )
    Rule.objects.create(name="The rule", checked_until=start)
    counts = []
    for _ in range(4):
        queue.fill()
        counts.append(QueueItem.objects.count())
    assert counts == [2, 4, 5, 5]


def test_feedback_that_is_no_longer_shared_leaves_the_queue_unless_it_is_claimed(
    conversation: Conversation, reviewer: User
):
    feedback = {"message": conversation.leaf, "rating": "bad", "comment": ""}
    for claimed in (False, True):
        actions.give_feedback(**feedback, shared=True)
        queue.fill()
        if claimed:
            queue.claim(actor=audit.Actor(reviewer), item=QueueItem.objects.get())
        assert QueueItem.objects.count() == 1
        actions.give_feedback(**feedback, shared=False)
        queue.fill()
        assert QueueItem.objects.count() == claimed


def test_feedback_that_is_shared_again_after_it_was_resolved_returns_to_the_queue(
    conversation: Conversation, reviewer: User
):
    for number in (1, 2):
        actions.give_feedback(message=conversation.leaf, rating="bad", comment="", shared=True)
        queue.fill()
        [item] = QueueItem.objects.unresolved()
        queue.claim(actor=audit.Actor(reviewer), item=item)
        assert queue.resolve(actor=audit.Actor(reviewer), item=item, verdict=Verdict.FINE, note="")
        queue.fill()
        assert not QueueItem.objects.unresolved().exists()
        assert QueueItem.objects.count() == number


def test_a_sample_is_drawn_by_lot():
    rule = Rule(pk=1, percent=10)
    drawn = [queue.is_sampled(rule, n) for n in range(10_000)]
    assert 900 < sum(drawn) < 1100
    assert drawn == [queue.is_sampled(rule, n) for n in range(10_000)]
    assert drawn != [queue.is_sampled(Rule(pk=2, percent=10), n) for n in range(10_000)]


def test_a_sample_is_disclosed(client: Client):
    assert "No answers are selected at random" in client.get("/privacy/").content.decode()
    Rule.objects.create(name="Sample", percent="1.5")
    assert "A random 1.50% of all answers" in " ".join(client.get("/privacy/").content.decode().split())


def test_an_item_is_taken_by_one_reviewer_until_its_time_is_over(report: QueueItem, reviewer: User, second: User):
    assert queue.claim(actor=audit.Actor(reviewer), item=report)
    assert queue.claim(actor=audit.Actor(second), item=report) is None
    QueueItem.objects.update(taken_at=timezone.now() - CLAIM_DURATION)
    assert not queue.resolve(actor=audit.Actor(reviewer), item=report, verdict=Verdict.FINE, note="")
    assert queue.claim(actor=audit.Actor(second), item=report)
    assert not queue.resolve(actor=audit.Actor(reviewer), item=report, verdict=Verdict.FINE, note="")
    assert queue.resolve(actor=audit.Actor(second), item=report, verdict=Verdict.POOR, note="Rude indeed")
    assert queue.claim(actor=audit.Actor(reviewer), item=report) is None
    item = QueueItem.objects.get()
    assert (item.verdict, item.note, item.resolved_by) == (Verdict.POOR, "Rude indeed", second)


def test_taking_an_item_states_the_reason_and_opens_the_conversation(
    client: Client, report: QueueItem, reviewer: User, conversation: Conversation
):
    client.force_login(reviewer)
    listed = client.get(QUEUE).content.decode()
    assert queue.REPORTED in listed
    assert "It is rude" not in listed
    assert WORDS["title"] not in listed
    opened = client.post(f"{QUEUE}{report.pk}/take/", follow=True).content.decode()
    assert WORDS["answer"] in opened
    assert "It is rude" in opened
    rows = audit.AuditEntry.objects.filter(act__in=["case", "opened"]).order_by("number")
    assert list(rows.values_list("act", "reason", "note")) == [
        ("case", queue.REPORTED, f"Queue item {report.pk}"),
        ("opened", queue.REPORTED, f"Queue item {report.pk}"),
    ]


def test_resolving_goes_on_to_the_next_and_stepping_gives_back(
    client: Client, report: QueueItem, reviewer: User, conversation: Conversation
):
    other = planted(conversation.owner, **WORDS)
    actions.give_feedback(message=other.leaf, rating="report", comment="", shared=True)
    queue.fill()
    last = QueueItem.objects.latest("pk")
    client.force_login(reviewer)
    client.post(f"{QUEUE}0/next/")
    assert QueueItem.objects.claimed_by(reviewer).get() == report
    client.post(f"{QUEUE}{report.pk}/next/")
    assert QueueItem.objects.claimed_by(reviewer).get() == last
    client.post(f"{QUEUE}{last.pk}/previous/")
    assert QueueItem.objects.claimed_by(reviewer).get() == report
    assert client.post(f"{QUEUE}{report.pk}/resolve/", {"verdict": "sublime"}).status_code == 302
    assert QueueItem.objects.claimed_by(reviewer).get() == report
    answer = client.post(f"{QUEUE}{report.pk}/resolve/", {"verdict": "poor", "note": "Rude"})
    assert str(other.pk) in answer.headers["Location"]
    assert QueueItem.objects.claimed_by(reviewer).get() == last
    assert client.post(f"{QUEUE}{last.pk}/resolve/", {"verdict": "fine"}).headers["Location"] == QUEUE
    assert not QueueItem.objects.unresolved().exists()
    client.post(f"{QUEUE.removesuffix('queue/')}reason/", {"reason": "Safety"})
    transcript = client.get(f"{QUEUE.removesuffix('queue/')}{conversation.pk}/transcript/").content.decode()
    assert "Poor answer: Rude" in transcript


def test_a_limited_reviewer_has_a_queue_of_their_own(client: Client, report: QueueItem, conversation: Conversation):
    client.force_login(somebody("scoped reviewer"))
    assert "The queue is empty" in client.get(QUEUE).content.decode()
    assert client.post(f"{QUEUE}{report.pk}/take/").status_code == 404
    conversation.owner.groups.add(Group.objects.get(name="Another group"))
    assert queue.REPORTED in client.get(QUEUE).content.decode()
    assert client.post(f"{QUEUE}{report.pk}/take/").status_code == 302


@pytest.mark.parametrize("role", ["user", "superuser", "list-only", "exporter without reading"])
def test_the_queue_is_for_who_may_read(client: Client, report: QueueItem, role: str):
    client.force_login(somebody(role))
    assert client.get(QUEUE).status_code in (302, 403)
    for command in ("take", "next", "previous", "resolve"):
        assert client.post(f"{QUEUE}{report.pk}/{command}/", {"verdict": "fine"}).status_code in (302, 403)
    assert QueueItem.objects.get().taken_by is None
