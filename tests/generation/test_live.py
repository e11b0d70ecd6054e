import asyncio

from conversations.generation.live import Cursor, live_text, merge_pieces
from conversations.inference.tags import Delta
from conversations.models import Kind, Status


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
    assert '<div id="settled-7" hx-swap-oob="innerHTML"></div>' in sent
    assert "Thinking aloud" in sent
    assert "Yes." in sent


async def test_a_viewer_wakes_when_something_changes():
    live = live_text(1, 7)
    waiting = asyncio.create_task(live.change_after(live.version))
    await asyncio.sleep(0)
    assert not waiting.done()
    live.feed([thought("Hm.")])
    await asyncio.wait_for(waiting, 5)


async def test_runner_and_viewers_share_one_text_until_it_ends():
    live = live_text(1, 7)
    assert live_text(1, 7) is live
    live.end()
    assert live_text(1, 7) is not live


def test_pieces_join_neighbours_of_a_kind():
    pieces = merge_pieces([thought("a"), thought("b"), answer(""), answer("c"), thought("d")])
    assert pieces == [(Kind.REASONING, "ab"), (Kind.ANSWER, "c"), (Kind.REASONING, "d")]
