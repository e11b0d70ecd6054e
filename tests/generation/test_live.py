import asyncio
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.generation.live import (
    FRAME_CHARACTERS,
    SLOT_SECONDS,
    Cursor,
    Growing,
    LiveText,
    live_text,
    tick_seconds,
)
from conversations.inference.deltas import Delta
from conversations.models import Generation, Kind, Message, Status
from conversations.rendering import outcomes


def thought(text: str) -> Delta:
    return Delta(Kind.REASONING, text)


def answer(text: str) -> Delta:
    return Delta(Kind.ANSWER, text)


async def test_a_cursor_at_zero_is_sent_everything_and_then_only_what_is_new():
    live = live_text(1, 7)
    live.begin(1)
    live.feed([thought("Hm. "), thought("<b>")])
    frames, cursor = live.since(Cursor())
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm. &lt;b&gt;</div>' in frames[0]
    live.feed([thought("So.")])
    frames, cursor = live.since(cursor)
    assert frames == ['<div id="reasoning-7" hx-swap-oob="beforeend">So.</div>']
    assert live.since(cursor) == ([], cursor)


async def test_viewers_at_one_cursor_share_one_encoding():
    live = live_text(1, 7)
    live.feed([thought("Hm.")])
    assert live.since(Cursor())[0] is live.since(Cursor())[0]


async def test_the_first_word_of_the_answer_ends_the_thinking():
    live = live_text(1, 7)
    live.begin(1, seconds_ago=12.2)
    live.feed([thought("Hm.")])
    _, cursor = live.since(Cursor())
    live.feed([answer("Yes")])
    frames, _ = live.since(cursor)
    assert live.status == Status.ANSWERING
    assert "Thought for 12 s" in frames[0]
    assert 'data-status="answering"' in frames[0]


async def test_a_finished_block_settles_and_is_not_sent_again():
    live = live_text(1, 7)
    live.begin(1)
    live.feed([answer("First paragraph.\n\nSecond")])
    frames, cursor = live.since(Cursor())
    assert "First paragraph." in "".join(frames)
    live.feed([answer(" goes on")])
    frames, _ = live.since(cursor)
    assert "First" not in "".join(frames)
    assert "Second goes on" in "".join(frames)


async def test_answer_text_that_turns_out_to_be_reasoning_moves_there():
    live = live_text(1, 7)
    live.begin(1)
    live.feed([answer("Thinking aloud")])
    _, cursor = live.since(Cursor())
    live.feed([Delta(Kind.REASONING, "", relabels=True), answer("Yes.")])
    frames, _ = live.since(cursor)
    sent = "".join(frames)
    assert (str(live.reasoning), str(live.answer)) == ("Thinking aloud", "Yes.")
    assert '<div id="reasoning-7" hx-swap-oob="innerHTML"></div>' in sent
    assert '<div id="finalised-7" hx-swap-oob="innerHTML"></div>' in sent
    assert "Thinking aloud" in sent
    assert "Yes." in sent


async def test_a_viewer_wakes_when_something_changes():
    live = live_text(1, 7)
    waiting = asyncio.create_task(live.change_after(live.version))
    await asyncio.sleep(0)  # no time: its turn, in which it begins to wait
    assert not waiting.done()
    live.feed([thought("Hm.")])
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("now", [100.0, 100.005, 100.02, 100.0209, 5_000_000.5])
def test_the_frames_of_all_texts_fall_into_the_same_slots(monkeypatch: pytest.MonkeyPatch, now: float):
    monkeypatch.setattr("time.monotonic", lambda: now)
    for tail_characters in (0, 3_000, 1_000_000):
        seconds = tick_seconds(tail_characters)
        slots = (now + seconds) / SLOT_SECONDS
        assert slots == pytest.approx(round(slots), abs=1e-3)
        assert SLOT_SECONDS <= seconds <= 0.25 + SLOT_SECONDS


async def test_runner_and_viewers_share_one_text_until_it_ends():
    live = live_text(1, 7)
    assert live_text(1, 7) is live
    live.end()
    assert live_text(1, 7) is not live


async def test_a_late_viewer_is_brought_to_now_in_frames_of_bounded_size():
    live = live_text(1, 7)
    live.begin(1)
    live.feed([thought("x" * 200_000), *(answer(f"Paragraph {number}.\n\n") for number in range(10_000))])
    cursor, frames = Cursor(), []
    while live.is_behind(cursor):
        more, cursor = live.since(cursor)
        frames += more
    assert max(map(len, frames)) < 3 * FRAME_CHARACTERS
    sent = "".join(frames)
    assert sent.count("x" * 1_000) == 200
    assert sent.index("xxx") < sent.index("Paragraph 0.") < sent.index("Paragraph 9999.") < sent.index("answering")
    assert live.since(cursor) == ([], cursor)


async def test_what_an_attempt_said_is_gone_when_the_next_begins():
    live = live_text(1, 7)
    live.begin(1)
    live.feed([thought("Lost."), answer("Lost too.")])
    _, cursor = live.since(Cursor())
    live.begin(2)
    live.feed([thought("Kept.")])
    assert (str(live.reasoning), str(live.answer), live.status) == ("Kept.", "", Status.THINKING)
    frames, _ = live.since(cursor)
    for part in ("reasoning", "finalised", "tail"):
        assert f'<div id="{part}-7" hx-swap-oob="innerHTML"></div>' in frames[0]
    assert "Kept." in frames[0]


async def test_a_place_in_line_is_told_and_forgotten_when_the_answer_begins():
    live = live_text(1, 7)
    live.update(queue_position=12)
    frames, cursor = live.since(Cursor())
    assert "12th in line" in frames[0]
    live.begin(1)
    assert "in line" not in live.since(cursor)[0][0]


def test_growing_text_is_read_from_any_offset():
    text = Growing()
    for piece in ("ab", "c", "", "defg"):
        text.append(piece)
        assert len(text) == len(str(text))
    assert [text.after(offset) for offset in range(9)] == ["abcdefg"[offset:] for offset in range(9)]


def sent(live: LiveText) -> str:
    """Return everything a viewer who has just come is sent."""
    cursor, all_frames = Cursor(), []
    while live.is_behind(cursor) or not all_frames:
        frames, cursor = live.since(cursor)
        all_frames += frames
    return "".join(all_frames)


def cut(reasoning: str, content: str, seconds: float = 0.0) -> Message:
    """Return an answer that was thought about for so long, then cut, and is gone on with by generation 1."""
    start = timezone.now()
    first = Generation(pk=0, started_at=start, first_answer_at=start + timedelta(seconds=seconds))
    message = Message(pk=7, reasoning=reasoning, content=content)
    message.attempts = [first, Generation(pk=1, joined_at=len(content))]
    return message


async def test_what_goes_on_is_one_text_with_what_was_there_before():
    live = live_text(1, 7)
    live.go_on_from(cut("Hm.", "```python\nlet x = 1\n", 12.0))
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm.</div>' in sent(live)
    live.begin(1)
    live.feed([thought("So."), answer("y = 2\n```\n")])
    live.end()
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm.\n\nSo.</div>' in sent(live)
    assert (live.thought, live.characters) == ("Hm.\n\nSo.", 36)
    assert live.html.count("<figure") == 1
    assert re.sub("<.*?>", "", live.html).count("let x = 1\ny = 2\n") == 1
    assert live.html.count('class="join"') == 1
    assert "Thought for 12 s" in sent(live)
    assert (str(live.reasoning), str(live.answer)) == ("So.", "y = 2\n```\n")


async def test_a_text_that_is_heard_of_late_begins_anew_with_what_was_there_before():
    live = live_text(1, 7)
    live.begin(1)
    _, cursor = live.since(Cursor())
    live.go_on_from(cut("", "Part"))
    frames, _ = live.since(cursor)
    assert '<div id="finalised-7" hx-swap-oob="innerHTML"></div>' in frames[0]
    assert "Part" in frames[0]


async def test_only_what_was_said_anew_turns_out_to_be_reasoning():
    live = live_text(1, 7)
    live.go_on_from(cut("Hm.", "Part"))
    live.begin(1)
    live.feed([answer("Thinking aloud"), Delta(Kind.REASONING, "", relabels=True), answer(" two")])
    live.end()
    assert live.thought == "Hm.\n\nThinking aloud"
    assert re.sub("<.*?>", "", live.html).strip() == "Part two"


async def test_a_generation_that_thinks_can_be_asked_for_its_answer_and_one_that_waits_taken_back():
    live = live_text(1, 7)
    live.update(queue_position=2)
    assert 'action="/generations/1/take-back/"' in sent(live)
    live.begin(1)
    assert 'action="/generations/1/answer-now/"' in sent(live)
    live.update(activity=outcomes.ANSWERING)
    assert "answer-now" not in sent(live)
