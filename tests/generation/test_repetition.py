"""A thought that repeats itself is noticed, and one that does not is left alone."""

import pytest

from conversations.generation.live import Cursor
from conversations.generation.repetition import RepetitionDetector
from conversations.inference.deltas import Delta
from conversations.models import Generation, Kind
from tests.generation.test_runner import committed, run  # noqa: F401  (a fixture)
from tests.rendering.test_steps import THOUGHTS

SENTENCE = "Wait, maybe the angle is measured from the other side, so I should look at it again. "
LIST = "".join(f"- Person {letter} sits next to someone who owns animal {letter.lower()}.\n" for letter in "ABCDEFGHIJ")
CODE = "```python\nfor key in table:\n    total = total + table[key]  # and so on\n```\n"
TABLE = "| name | value |\n|---|---|\n" + "| the same | 12 |\n" * 200


def found_at(text: str, piece: int = 7) -> int | None:
    detector = RepetitionDetector()
    for at in range(0, len(text), piece):
        detector.feed(text[at : at + piece])
    return detector.found_at


@pytest.mark.parametrize(
    "unit",
    [
        SENTENCE,
        LIST + "\n",
        "等等，也许角度是从另一边量的，我应该再看一遍。",
        "Wait. ",
        "and then it goes on ",
        "so the answer is\n",
        LIST * 4 + "That is the whole list, I think. ",
        "Is it 17? No, 17 is too large. Is it 16? No, 16 is too small. ",
    ],
    ids=["sentence", "list", "Chinese", "one word", "without an end", "lines", "long", "alternating"],
)
@pytest.mark.parametrize("before", ["", THOUGHTS["r1-migration"]], ids=["at once", "after a thought"])
def test_a_repeated_sentence_or_list_is_noticed_within_2000_characters(unit: str, before: str):
    if len(unit) > 2_000:
        unit = unit[:1_900].rpartition("\n")[0] + "\n"
    text = before + unit * (4_000 // len(unit) + 2)
    at = found_at(text)
    assert at is not None
    assert len(before) < at <= len(before) + len(unit) + 2_000  # the first time is no repetition


@pytest.mark.parametrize(
    "text",
    [
        *THOUGHTS.values(),
        CODE * 40,
        TABLE,
        "\n\n".join(f"{number}. {SENTENCE}{number * 7} is not it." for number in range(50)),
        LIST + "\nLet me write that again as the answer.\n\n" + LIST,
        "0 1 1 0\n1 0 0 1\n" * 100,
        "\n".join(f"    total = total + {n % 3}" for n in range(300)),
        "Hmm. Let me check that. " + " ".join(f"Row {n} has a sum of {n * 3}. Let me check that." for n in range(200)),
    ],
    ids=[*THOUGHTS, "code", "table", "variations", "draft", "numbers", "indented", "phrase"],
)
def test_other_thoughts_are_not_said_to_repeat_themselves(text: str):
    assert found_at(text, piece=50) is None


@pytest.mark.django_db
def test_the_worker_stores_where_a_thought_repeats_itself(run):  # noqa: F811
    run.feed([Delta(Kind.REASONING, SENTENCE * 20)])
    run.feed([Delta(Kind.REASONING, SENTENCE * 20)])
    assert run.live.display.repeats
    assert committed(run.take_progress())
    assert 0 < Generation.objects.get().repetition_at <= 2_000 + len(SENTENCE)
    frames, _ = run.live.frames_since(Cursor())
    assert "repeating itself" not in "".join(frames)  # it has not started, as no task runs it
    run.live.start(1)
    run.live.update(repeats=True)
    frames, _ = run.live.frames_since(Cursor())
    assert "The model is repeating itself. You can stop it and get an answer now." in "".join(frames)
