"""What viewers see of a thought that grows, and that it equals a page that is loaded then and afterwards."""

import re

import pytest
from django.template.loader import render_to_string
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conversations.generation import commit
from conversations.generation.live import Cursor, LiveText
from conversations.inference.deltas import Delta
from conversations.models import Chunk, Conversation, Generation, Kind, Message, Status
from conversations.rendering import fragments, message_state
from conversations.rendering.steps import split
from tests.factories import claimed, person
from tests.rendering.test_steps import THOUGHTS
from tests.screen import Screen

THOUGHT = THOUGHTS["r1-migration"][:2_600] + "<script>alert(1)</script>\n\n" + THOUGHTS["zh-system"][:300]


def article_of(message: Message, state: message_state.State) -> str:
    return render_to_string("conversations/_message.html", {"message": message, "state": state})


def page_of(message_id: int, *, with_text: bool) -> Screen:
    conversation = Conversation.objects.get(messages=message_id)
    [message] = conversation.read(conversation.tree(), [message_id])
    article = article_of(message, message_state.state_of(message, with_text=with_text))
    return Screen(f'<main ws-connect="/"><section id="messages">{article}</section></main>')


def segments(screen: Screen) -> str:
    [timeline] = [e for e in screen.page.elements() if e.attributes.get("id", "").startswith("timeline-")]
    return str([(e.tag, e.attributes) for e in timeline.elements()]) + timeline.text


@pytest.mark.django_db
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 700), st.booleans()), max_size=30))
def test_a_viewer_of_any_pace_sees_what_a_reload_shows(cuts: list[tuple[int, bool]]):
    user = person(f"user{Generation.objects.count()}")
    worker, claim = claimed(user)
    live, pk = LiveText(claim.generation_id, claim.message_id), claim.message_id
    live.start(1)
    early, late = page_of(pk, with_text=False), page_of(pk, with_text=False)
    cursor, at = Cursor(), 0

    def send(screen: Screen, cursor: Cursor) -> Cursor:
        while True:
            frames, cursor = live.frames_since(cursor)
            for frame in frames:
                screen.apply(frame)
            if not live.is_behind(cursor):
                return cursor

    for length, is_sent in [*cuts, (len(THOUGHT), True)]:
        live.feed([Delta(Kind.REASONING, THOUGHT[at : at + length])])
        at += length
        if is_sent:
            cursor = send(early, cursor)
    Chunk.objects.create(generation_id=claim.generation_id, attempt=1, sequence=0, kind=Kind.REASONING, text=THOUGHT)
    reloaded = page_of(pk, with_text=True)
    assert segments(early) == segments(reloaded)
    send(late, Cursor())
    assert segments(late) == segments(early)
    assert "<script" not in "".join(live.frames_since(Cursor())[0])

    live.feed([Delta(Kind.ANSWER, "An answer.")])
    send(early, cursor)
    Generation.objects.filter(pk=claim.generation_id).update(status=Status.ANSWERING)
    assert segments(early) == segments(page_of(pk, with_text=True))
    assert re.search(r">\d+ steps<", article_of(*_message_and_state(pk)))

    live.end()
    send(early, cursor)
    assert live.steps == split(THOUGHT)
    times = [(0, 0), (len(THOUGHT), 20)]
    result = commit.Result(Status.COMPLETE, THOUGHT, "An answer.", times=times, steps=live.steps)
    assert commit.finish(worker.pk, claim, result, {})
    conversation = Conversation.objects.get(messages=pk)
    [message] = conversation.read(conversation.tree(), [pk], reasoning=True)
    for part in fragments.final_parts(message, live.message_reasoning, live.html):
        early.apply(part)
    final = page_of(pk, with_text=True)
    assert segments(early) == segments(final)
    assert early.text(f"phase-{pk}") == final.text(f"phase-{pk}")
    assert early.missed == late.missed == []


@pytest.mark.django_db
def test_a_viewer_who_lacks_text_gets_it_before_the_outcome():
    worker, claim = claimed(person("ada"))
    assert commit.finish(worker.pk, claim, commit.Result(Status.COMPLETE, "A thought.", "An answer."), {})
    conversation = Conversation.objects.get(messages=claim.message_id)
    [message] = conversation.read(conversation.tree(), [claim.message_id], reasoning=True)
    sent = "".join(fragments.final_parts(message, "", ""))
    assert sent.index("A thought.") < sent.index('data-status="complete"')
    assert sent.index("An answer.") < sent.index('data-status="complete"')


def _message_and_state(pk: int) -> tuple[Message, message_state.State]:
    conversation = Conversation.objects.get(messages=pk)
    [message] = conversation.read(conversation.tree(), [pk])
    return message, message_state.state_of(message)


async def test_a_timeline_is_sent_for_each_step_and_not_for_each_word():
    live = LiveText(1, 7)
    assert live.steps == []  # nobody has watched
    live.start(1)
    cursor, timelines, size = Cursor(), 0, 0
    text = "".join(THOUGHTS.values())
    for at in range(0, len(text), 20):
        live.feed([Delta(Kind.REASONING, text[at : at + 20])])
        frames, cursor = live.frames_since(cursor)
        timelines += "".join(frames).count('id="timeline-7"')
        size += sum(len(frame) for frame in frames if 'id="timeline-7"' in frame)
    assert cursor.steps[0] <= timelines <= 1.2 * cursor.steps[0]
    assert size < 2 * len(text)
