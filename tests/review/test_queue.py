"""How conversations enter the queue, and how reviewers claim and resolve its items."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.utils import timezone

from conversations import actions
from conversations.models import Conversation, Feedback, Generation, Message, Status, User
from conversations.review import audit, queue
from conversations.review.admin import queue as queue_pages
from conversations.review.models import CLAIM_DURATION, QueueItem, Rule, Verdict
from tests.factories import person
from tests.review.factories import WORDS, make_conversation, make_user

pytestmark = pytest.mark.django_db
QUEUE = "/admin/conversations/conversation/queue/"


@pytest.fixture
def conversation() -> Conversation:
    return make_conversation(person("owner"))


@pytest.fixture
def reviewer() -> User:
    return make_user("reader with reasoning")


@pytest.fixture
def second() -> User:
    return make_user("reader")


@pytest.fixture
def report(conversation: Conversation) -> QueueItem:
    actions.give_feedback(message=conversation.leaf, rating="report", comment="It is rude", shared=False)
    queue.refresh()
    return QueueItem.objects.get()


@pytest.fixture
def finish(conversation: Conversation) -> Callable[..., None]:
    """Finish the conversation's answer now, with this status and text."""

    def finish(status: Status = Status.COMPLETE, content: str = "Because.") -> None:
        Message.objects.filter(pk=conversation.leaf_id).update(content=content)
        Generation.objects.filter(message=conversation.leaf_id).update(status=status, finished_at=timezone.now())

    return finish


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"rating": "report", "comment": "It is rude"}, queue.REPORTED),
        ({"rating": "bad", "shared": "on"}, queue.SHARED),
        ({"rating": "bad"}, None),
        ({"rating": "good"}, None),
    ],
)
def test_only_reports_and_shared_feedback_enter_the_queue(
    client: Client, conversation: Conversation, fields: dict[str, str], why: str | None
):
    client.force_login(conversation.owner)
    url = f"/messages/{conversation.leaf_id}/feedback/"
    assert url in client.get(conversation.get_absolute_url()).content.decode()
    assert client.post(url, fields).status_code == 302
    assert Feedback.objects.get().rating == fields["rating"]
    queue.refresh()
    assert list(QueueItem.objects.values_list("why", flat=True)) == ([why] if why else [])
    client.post(url, fields)  # again changes nothing
    queue.refresh()
    assert QueueItem.objects.count() == bool(why)


def test_only_the_owner_can_give_feedback(client: Client, conversation: Conversation):
    client.force_login(person("stranger"))
    url = f"/messages/{conversation.leaf_id}/feedback/"
    assert client.get(url).status_code == 404
    assert client.post(url, {"rating": "report"}).status_code == 404
    assert not QueueItem.objects.exists()


@pytest.mark.parametrize(
    ("rule", "outcome", "is_queued"),
    [
        ({"words": "bomb\nbecause"}, {}, True),
        ({"words": "WHY?"}, {}, True),  # in the question, in any case
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
def test_a_rule_adds_matching_answers_that_finished_after_it_was_created(
    finish: Callable[..., None], rule: dict[str, object], outcome: dict[str, object], is_queued: bool
):
    Rule.objects.create(name="The rule", checked_until=timezone.now() - timedelta(seconds=1), **rule)
    finish(**outcome)
    for _ in range(2):
        queue.refresh()
        assert list(QueueItem.objects.values_list("why", flat=True)) == (["The rule"] if is_queued else [])


def test_a_rule_does_not_add_a_resolved_item_again(finish: Callable[..., None], reviewer: User):
    Rule.objects.create(name="The rule", checked_until=timezone.now() - timedelta(seconds=1))
    finish()
    queue.refresh()
    actor, item = audit.Actor(reviewer), QueueItem.objects.get()
    queue.claim(actor=actor, item=item)
    assert queue.resolve(actor=actor, item=item, verdict=Verdict.FINE, note="")
    queue.refresh()
    assert QueueItem.objects.get().verdict == Verdict.FINE


def test_a_rule_checks_answers_in_batches(conversation: Conversation, monkeypatch: pytest.MonkeyPatch):
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
        queue.refresh()
        counts.append(QueueItem.objects.count())
    assert counts == [2, 4, 5, 5]


def test_feedback_that_is_no_longer_shared_leaves_the_queue_unless_it_is_claimed(
    conversation: Conversation, reviewer: User
):
    feedback = {"message": conversation.leaf, "rating": "bad", "comment": ""}
    for claimed in (False, True):
        actions.give_feedback(**feedback, shared=True)
        queue.refresh()
        if claimed:
            queue.claim(actor=audit.Actor(reviewer), item=QueueItem.objects.get())
        assert QueueItem.objects.count() == 1
        actions.give_feedback(**feedback, shared=False)
        queue.refresh()
        assert QueueItem.objects.count() == claimed


def test_feedback_that_is_shared_again_after_it_was_resolved_returns_to_the_queue(
    conversation: Conversation, reviewer: User
):
    for number in (1, 2):
        actions.give_feedback(message=conversation.leaf, rating="bad", comment="", shared=True)
        queue.refresh()
        [item] = QueueItem.objects.unresolved()
        queue.claim(actor=audit.Actor(reviewer), item=item)
        assert queue.resolve(actor=audit.Actor(reviewer), item=item, verdict=Verdict.FINE, note="")
        queue.refresh()
        assert not QueueItem.objects.unresolved().exists()
        assert QueueItem.objects.count() == number


def test_a_sample_has_its_percentage_and_is_stable_for_each_rule():
    rule = Rule(pk=1, percent=10)
    sample = [queue.is_sampled(rule, n) for n in range(10_000)]
    assert 900 < sum(sample) < 1100
    assert sample == [queue.is_sampled(rule, n) for n in range(10_000)]
    assert sample != [queue.is_sampled(Rule(pk=2, percent=10), n) for n in range(10_000)]


def test_the_privacy_page_discloses_random_samples(client: Client):
    assert "No answers are selected at random" in client.get("/privacy/").content.decode()
    Rule.objects.create(name="Sample", percent="1.5")
    assert "A random 1.50% of all answers" in " ".join(client.get("/privacy/").content.decode().split())


def test_one_reviewer_can_claim_an_item_until_the_claim_expires(report: QueueItem, reviewer: User, second: User):
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


def test_claiming_an_item_opens_a_case_and_the_conversation(
    client: Client, report: QueueItem, reviewer: User, conversation: Conversation
):
    client.force_login(reviewer)
    page = client.get(QUEUE).content.decode()
    assert queue.REPORTED in page
    assert "It is rude" not in page
    assert WORDS["title"] not in page
    transcript = client.post(f"{QUEUE}{report.pk}/take/", follow=True).content.decode()
    assert WORDS["answer"] in transcript
    assert "It is rude" in transcript
    rows = audit.AuditEntry.objects.filter(act__in=["case", "opened"]).order_by("number")
    assert list(rows.values_list("act", "reason", "note")) == [
        ("case", queue.REPORTED, f"Queue item {report.pk}"),
        ("opened", queue.REPORTED, f"Queue item {report.pk}"),
    ]


def test_resolving_claims_the_next_item_and_stepping_releases_the_current_one(
    client: Client, report: QueueItem, reviewer: User, conversation: Conversation
):
    other = make_conversation(conversation.owner)
    actions.give_feedback(message=other.leaf, rating="report", comment="", shared=True)
    queue.refresh()
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
    response = client.post(f"{QUEUE}{report.pk}/resolve/", {"verdict": "poor", "note": "Rude"})
    assert str(other.pk) in response.headers["Location"]
    assert QueueItem.objects.claimed_by(reviewer).get() == last
    assert client.post(f"{QUEUE}{last.pk}/resolve/", {"verdict": "fine"}).headers["Location"] == QUEUE
    assert not QueueItem.objects.unresolved().exists()
    client.post(f"{QUEUE.removesuffix('queue/')}reason/", {"reason": "Safety"})
    transcript = client.get(f"{QUEUE.removesuffix('queue/')}{conversation.pk}/transcript/").content.decode()
    assert "Poor answer: Rude" in transcript


def test_after_the_last_item_come_those_that_were_passed_over(client: Client, report: QueueItem, reviewer: User):
    conversation = make_conversation(report.conversation.owner)
    actions.give_feedback(message=conversation.leaf, rating="report", comment="", shared=True)
    queue.refresh()
    last = QueueItem.objects.latest("pk")
    client.force_login(reviewer)
    client.post(f"{QUEUE}{report.pk}/next/")
    assert QueueItem.objects.claimed_by(reviewer).get() == last
    client.post(f"{QUEUE}{last.pk}/resolve/", {"verdict": "fine"})
    assert QueueItem.objects.claimed_by(reviewer).get() == report


def test_the_form_says_how_many_items_wait_and_which_keys_choose_a_verdict(
    client: Client, report: QueueItem, reviewer: User, second: User
):
    rules = [Rule.objects.create(name=f"Rule {n}", active=False) for n in range(3)]
    items = [
        QueueItem.objects.create(conversation=report.conversation, message=report.message, why=rule.name, rule=rule)
        for rule in rules
    ]
    queue.claim(actor=audit.Actor(second), item=items[0])
    client.force_login(reviewer)
    page = client.post(f"{QUEUE}{items[1].pk}/take/", follow=True).text
    assert "Item 2 of 3" in page  # the report before it, one that another reviewer has claimed, and one after it
    assert re.findall(r'data-key="(\d)">.*?<span>(.*?)</span> <kbd>(\d)</kbd>', page) == [
        (str(n), label, str(n)) for n, (_, label) in enumerate(Verdict.choices, 1)
    ]
    assert "js/shortcuts." in page
    User.objects.update(single_keys=False)
    page = client.get(f"{QUEUE.removesuffix('queue/')}{report.conversation_id}/transcript/").text
    assert "Save and next" in page
    assert "<kbd>" not in page
    assert "js/shortcuts." not in page


def test_a_verdict_that_was_not_saved_is_kept_in_the_form(client: Client, report: QueueItem, reviewer: User):
    client.force_login(reviewer)
    client.post(f"{QUEUE}{report.pk}/take/")
    fields = {"verdict": "", "note": "A long thought"}
    page = client.post(f"{QUEUE}{report.pk}/resolve/", fields, follow=True).text
    assert "Choose a verdict." in page
    assert "A long thought</textarea>" in page
    QueueItem.objects.update(taken_at=timezone.now() - CLAIM_DURATION)
    page = client.post(f"{QUEUE}{report.pk}/resolve/", fields | {"verdict": "poor"}, follow=True).text
    assert f"Claim item {report.pk} again to save it." in page
    page = client.post(f"{QUEUE}{report.pk}/take/", follow=True).text
    assert "A long thought</textarea>" in page
    assert re.search(r'value="poor"[^>]* checked', page)
    client.post(f"{QUEUE}{report.pk}/resolve/", fields | {"verdict": "poor"})
    assert QueueItem.objects.get().note == "A long thought"
    assert client.session["review_drafts"] == {}


def test_a_verdict_that_was_chosen_is_kept_while_other_items_are_looked_at(
    client: Client, report: QueueItem, reviewer: User
):
    rule = Rule.objects.create(name="All", percent=100)
    other = QueueItem.objects.create(conversation=report.conversation, message=report.message, why="All", rule=rule)
    client.force_login(reviewer)
    client.post(f"{QUEUE}{report.pk}/take/")
    page = client.post(f"{QUEUE}{report.pk}/next/", {"verdict": "poor", "note": "Look again"}, follow=True).text
    assert f'action="{QUEUE}{other.pk}/resolve/"' in page
    assert "Look again" not in page
    page = client.post(f"{QUEUE}{other.pk}/previous/", {"note": ""}, follow=True).text
    assert "Look again</textarea>" in page
    assert re.search(r'value="poor"[^>]* checked', page)


def test_a_reviewer_starts_at_the_queue_and_others_at_what_they_may_do(
    client: Client, report: QueueItem, reviewer: User
):
    client.force_login(reviewer)
    assert client.get("/admin/").headers["Location"] == QUEUE
    page = client.get(QUEUE).text
    assert '<span class="count">1<' in page
    assert sections(page) == ["Queue", "Conversations", "Search", "Figures", "Delayed notices"]
    reviewer.user_permissions.add(Permission.objects.get(codename="view_rule"))
    QueueItem.objects.all().delete()
    page = client.get("/admin/").text  # which applies feedback and rules first
    assert '<span class="count">1<' in page
    assert sections(page) == ["Queue", "Conversations", "Search", "Figures", "Delayed notices"]
    assert "/admin/conversations/rule/" in page
    client.force_login(make_user("list-only"))
    assert sections(client.get("/admin/").text) == ["Conversations", "Figures"]
    client.force_login(make_user("superuser"))
    assert sections(client.get("/admin/").text) == []


def sections(page: str) -> list[str]:
    """Return the names of the parts of review that a page links to."""
    nav = page.partition('aria-label="Review">')[2].partition("</nav>")[0]
    return re.findall(r"<a [^>]*>([A-Z][\w ]*?) ?<", nav)


def test_a_scoped_reviewer_sees_only_items_of_their_groups(
    client: Client, report: QueueItem, conversation: Conversation
):
    client.force_login(make_user("scoped reviewer"))
    assert "The queue is empty" in client.get(QUEUE).content.decode()
    assert client.post(f"{QUEUE}{report.pk}/take/").status_code == 404
    conversation.owner.groups.add(Group.objects.get(name="Another group"))
    assert queue.REPORTED in client.get(QUEUE).content.decode()
    assert client.post(f"{QUEUE}{report.pk}/take/").status_code == 302


@pytest.mark.parametrize("role", ["user", "superuser", "list-only", "exporter without reading"])
def test_the_queue_needs_the_permission_to_read(client: Client, report: QueueItem, role: str):
    client.force_login(make_user(role))
    assert client.get(QUEUE).status_code in (302, 403)
    for command in ("take", "next", "previous", "resolve"):
        assert client.post(f"{QUEUE}{report.pk}/{command}/", {"verdict": "fine"}).status_code in (302, 403)
    assert QueueItem.objects.get().taken_by is None


def test_the_page_offers_every_unassigned_item_on_it(
    client: Client, report: QueueItem, reviewer: User, second: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(queue_pages, "ITEMS_PER_PAGE", 3)
    for n in range(4):
        rule = Rule.objects.create(name=f"Rule {n}", active=False)
        QueueItem.objects.create(conversation=report.conversation, message=report.message, why=rule.name, rule=rule)
    queue.claim(actor=audit.Actor(second), item=report)
    shown = list(QueueItem.objects.order_by("pk")[:3])
    client.force_login(reviewer)
    page = client.get(QUEUE).content.decode()
    assert re.findall(r"Claim item (\d+)", page) == [str(item.pk) for item in shown[1:]]
    assert f"Claimed by {second.username}" in page
    assert "Claimed by None" not in page


def test_a_verdict_is_recorded_and_outlives_the_conversation(
    client: Client, report: QueueItem, reviewer: User, conversation: Conversation
):
    unresolved = QueueItem.objects.create(
        conversation=conversation, message=report.message, why="A rule", rule=Rule.objects.create(name="A rule")
    )
    client.force_login(reviewer)
    client.post(f"{QUEUE}{report.pk}/take/")
    client.post(f"{QUEUE}{report.pk}/resolve/", {"verdict": "unsafe", "note": "Dangerous"})
    queue.release(reviewer=reviewer)
    actions.delete_at_once(conversation=conversation)
    entry = audit.AuditEntry.objects.get(act="verdict")
    assert (entry.actor_name, entry.owner_id, entry.conversation_id) == (
        reviewer.username,
        conversation.owner_id,
        report.conversation_id,
    )
    assert entry.message_id == report.message_id
    assert (entry.details["verdict"], entry.details["comment"]) == ("unsafe", "Dangerous")
    item = QueueItem.objects.get(pk=report.pk)
    assert (item.verdict, item.note, item.conversation) == (Verdict.UNSAFE, "Dangerous", None)
    assert client.post(f"{QUEUE}{unresolved.pk}/take/").status_code == 404
    assert "The queue is empty" in client.get(QUEUE).text
    assert list(QueueItem.objects.all()) == [item]
    figures = client.get("/admin/conversations/conversation/figures/").text
    assert "Unsafe answer: 1" in figures
    assert list(audit.verify(audit.AuditEntry.objects.order_by("number"), {})) == []
