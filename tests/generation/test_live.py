import asyncio
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.generation.live import (
    TICK_SECONDS,
    Cursor,
    LiveText,
    gather_seconds,
    live_text,
)
from conversations.generation.text_buffer import TextBuffer
from conversations.inference.deltas import Delta
from conversations.models import Generation, Kind, Message, Status
from conversations.rendering import outcomes
from conversations.rendering.fragments import FRAME_CHARACTERS


def reasoning(text: str) -> Delta:
    return Delta(Kind.REASONING, text)


def answer(text: str) -> Delta:
    return Delta(Kind.ANSWER, text)


async def test_a_new_viewer_is_sent_everything_and_then_only_new_text():
    live = live_text(1, 7)
    live.start(1)
    live.feed([reasoning("Hm. "), reasoning("<b>")])
    frames, cursor = live.frames_since(Cursor())
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm. &lt;b&gt;</div>' in frames[0]
    live.feed([reasoning("So.")])
    frames, cursor = live.frames_since(cursor)
    assert frames == ['<div id="reasoning-7" hx-swap-oob="beforeend">So.</div>']
    assert live.frames_since(cursor) == ([], cursor)


async def test_viewers_at_the_same_cursor_share_frames():
    live = live_text(1, 7)
    live.feed([reasoning("Hm.")])
    assert live.frames_since(Cursor())[0] is live.frames_since(Cursor())[0]


async def test_the_first_answer_text_ends_thinking():
    live = live_text(1, 7)
    live.start(1, seconds_ago=12.2)
    live.feed([reasoning("Hm.")])
    _, cursor = live.frames_since(Cursor())
    live.feed([answer("Yes")])
    frames, _ = live.frames_since(cursor)
    assert live.status == Status.ANSWERING
    assert "Thought for 12 s" in frames[0]
    assert 'data-status="answering"' in frames[0]


async def test_a_finalised_block_is_not_sent_again():
    live = live_text(1, 7)
    live.start(1)
    live.feed([answer("First paragraph.\n\nSecond")])
    frames, cursor = live.frames_since(Cursor())
    assert "First paragraph." in "".join(frames)
    live.feed([answer(" goes on")])
    frames, _ = live.frames_since(cursor)
    assert "First" not in "".join(frames)
    assert "Second goes on" in "".join(frames)


async def test_relabelled_answer_text_moves_to_the_reasoning():
    live = live_text(1, 7)
    live.start(1)
    live.feed([answer("Thinking aloud")])
    _, cursor = live.frames_since(Cursor())
    live.feed([Delta(Kind.REASONING, "", relabels=True), answer("Yes.")])
    frames, _ = live.frames_since(cursor)
    sent = "".join(frames)
    assert (str(live.reasoning), str(live.answer)) == ("Thinking aloud", "Yes.")
    assert '<div id="reasoning-7" hx-swap-oob="innerHTML"></div>' in sent
    assert '<div id="finalised-7" hx-swap-oob="innerHTML"></div>' in sent
    assert "Thinking aloud" in sent
    assert "Yes." in sent


async def test_a_waiting_viewer_wakes_up_after_a_change():
    live = live_text(1, 7)
    waiting = asyncio.create_task(live.wait_for_change(live.version))
    await asyncio.sleep(0)  # let it start to wait
    assert not waiting.done()
    live.feed([reasoning("Hm.")])
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("now", [100.0, 100.005, 100.02, 100.0209, 5_000_000.5])
def test_the_frames_of_all_texts_are_made_at_the_same_ticks(monkeypatch: pytest.MonkeyPatch, now: float):
    monkeypatch.setattr("time.monotonic", lambda: now)
    for tail_characters in (0, 3_000, 1_000_000):
        seconds = gather_seconds(tail_characters)
        ticks = (now + seconds) / TICK_SECONDS
        assert ticks == pytest.approx(round(ticks), abs=1e-3)
        assert TICK_SECONDS <= seconds <= 0.25 + TICK_SECONDS


async def test_runner_and_viewers_share_one_text_until_it_ends():
    live = live_text(1, 7)
    assert live_text(1, 7) is live
    live.end()
    assert live_text(1, 7) is not live


async def test_a_late_viewer_catches_up_in_frames_of_limited_size():
    live = live_text(1, 7)
    live.start(1)
    live.feed([reasoning("x" * 200_000), *(answer(f"Paragraph {number}.\n\n") for number in range(10_000))])
    cursor, frames = Cursor(), []
    while live.is_behind(cursor):
        more, cursor = live.frames_since(cursor)
        frames += more
    assert max(map(len, frames)) < 3 * FRAME_CHARACTERS
    sent = "".join(frames)
    assert sent.count("x" * 1_000) == 200
    assert sent.index("xxx") < sent.index("Paragraph 0.") < sent.index("Paragraph 9999.") < sent.index("answering")
    assert live.frames_since(cursor) == ([], cursor)


async def test_a_new_attempt_replaces_the_text_of_the_earlier_one():
    live = live_text(1, 7)
    live.start(1)
    live.feed([reasoning("Lost."), answer("Lost too.")])
    _, cursor = live.frames_since(Cursor())
    live.start(2)
    live.feed([reasoning("Kept.")])
    assert (str(live.reasoning), str(live.answer), live.status) == ("Kept.", "", Status.THINKING)
    frames, _ = live.frames_since(cursor)
    for part in ("reasoning", "finalised", "tail"):
        assert f'<div id="{part}-7" hx-swap-oob="innerHTML"></div>' in frames[0]
    assert "Kept." in frames[0]


async def test_the_queue_position_is_shown_until_the_generation_starts():
    live = live_text(1, 7)
    live.update(queue_position=12)
    frames, cursor = live.frames_since(Cursor())
    assert "12th in line" in frames[0]
    live.start(1)
    assert "in line" not in live.frames_since(cursor)[0][0]


def test_a_text_buffer_is_read_from_any_offset():
    text = TextBuffer()
    for piece in ("ab", "c", "", "defg"):
        text.append(piece)
        assert len(text) == len(str(text))
    assert [text.after(offset) for offset in range(9)] == ["abcdefg"[offset:] for offset in range(9)]


def sent(live: LiveText) -> str:
    """Return everything that a new viewer is sent."""
    cursor, all_frames = Cursor(), []
    while live.is_behind(cursor) or not all_frames:
        frames, cursor = live.frames_since(cursor)
        all_frames += frames
    return "".join(all_frames)


def cut(reasoning_text: str, content: str, seconds: float = 0.0) -> Message:
    """Return an answer that was cut off after `seconds` of thinking and is continued by generation 1."""
    start = timezone.now()
    first = Generation(pk=0, started_at=start, first_answer_at=start + timedelta(seconds=seconds))
    message = Message(pk=7, reasoning=reasoning_text, content=content)
    message.generation_list = [first, Generation(pk=1, joined_at=len(content))]
    return message


async def test_a_continuation_is_shown_as_one_text_with_the_earlier_part():
    live = live_text(1, 7)
    live.continue_from(cut("Hm.", "```python\nlet x = 1\n", 12.0))
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm.</div>' in sent(live)
    live.start(1)
    live.feed([reasoning("So."), answer("y = 2\n```\n")])
    live.end()
    assert '<div id="reasoning-7" hx-swap-oob="beforeend">Hm.\n\nSo.</div>' in sent(live)
    assert (live.message_reasoning, live.characters) == ("Hm.\n\nSo.", 36)
    assert live.html.count("<figure") == 1
    assert re.sub("<.*?>", "", live.html).count("let x = 1\ny = 2\n") == 1
    assert live.html.count('class="join"') == 1
    assert "Thought for 12 s" in sent(live)
    assert (str(live.reasoning), str(live.answer)) == ("So.", "y = 2\n```\n")


async def test_viewers_start_again_when_a_text_turns_out_to_be_a_continuation():
    live = live_text(1, 7)
    live.start(1)
    _, cursor = live.frames_since(Cursor())
    live.continue_from(cut("", "Part"))
    frames, _ = live.frames_since(cursor)
    assert '<div id="finalised-7" hx-swap-oob="innerHTML"></div>' in frames[0]
    assert "Part" in frames[0]


async def test_relabelling_does_not_move_the_text_that_is_continued():
    live = live_text(1, 7)
    live.continue_from(cut("Hm.", "Part"))
    live.start(1)
    live.feed([answer("Thinking aloud"), Delta(Kind.REASONING, "", relabels=True), answer(" two")])
    live.end()
    assert live.message_reasoning == "Hm.\n\nThinking aloud"
    assert re.sub("<.*?>", "", live.html).strip() == "Part two"


async def test_actions_are_cancel_while_queued_and_answer_now_while_thinking():
    live = live_text(1, 7)
    live.update(queue_position=2)
    assert 'action="/generations/1/take-back/"' in sent(live)
    live.start(1)
    assert 'action="/generations/1/answer-now/"' in sent(live)
    live.update(activity=outcomes.ANSWERING)
    assert "answer-now" not in sent(live)
