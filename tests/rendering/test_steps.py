"""Steps of a thought: what they must be for any text, and what they are for texts like those of models."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conversations.rendering.cues import StepKind, kind_of, says_nothing
from conversations.rendering.step_labels import MAX_LABEL, candidates
from conversations.rendering.steps import MAX_WORDS, Step, StepSplitter, size, split
from tests.rendering.hostile import ENORMOUS, HOSTILE

THOUGHTS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "thoughts").glob("*.txt"))}
PIECES = [
    "Okay, so I need to find the sum. ",
    "Wait, that's not right. ",
    "Let me check: 2 + 2 = 4. ",
    "\n\n",
    "\n",
    " ",
    "\t",
    "```python\ndef f(x):\n    return x\n```\n",
    "```\n",
    "~~~\n",
    "$$\nx^2 + y^2 = z^2\n$$\n\n",
    "$$",
    "\\[",
    "\\]",
    "\\(x\\)",
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n",
    "- an item\n",
    "1. First, we take e.g. the number 3.14. ",
    "# A heading\n",
    "等等，不对。",
    "让我想想，这个数是偶数。",
    "另一种方法是假设全是鸡。",
    "ภาษาไทยไม่มีช่องว่าง",
    "مرحبا بالعالم. ",
    "word " * 60,
    "x" * 90,
    "字" * 120,
    "`code",
    "\r\n",
    "\0",
    "\u202e",
    "🙂 ",
    "Hmm. ",
    "…",
    "The end",
]
texts = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), max_size=40).map("".join)


def parts(text: str, steps: list[Step]) -> list[str]:
    starts = [step.start for step in steps]
    return [text[start:end] for start, end in pairwise([*starts, len(text)])]


@settings(max_examples=40, deadline=None)
@given(texts, st.data())
def test_steps_are_the_whole_text_and_do_not_depend_on_how_it_arrives(text: str, data: st.DataObject):
    steps = split(text)
    assert "".join(parts(text, steps)) == text
    assert all(parts(text, steps))
    assert all(len(step.label) <= MAX_LABEL for step in steps)
    splitter, at = StepSplitter(), 0
    while at < len(text):
        length = data.draw(st.integers(1, max(1, len(text) // 3)))
        splitter.feed(text[at : at + length])
        at += length
        assert splitter.steps == steps[: len(splitter.steps)], "text that was appended changed a finished step"
    splitter.close()
    assert splitter.steps == steps


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 60), st.sampled_from([" ", "\n\n", "\n- "])), min_size=1, max_size=60))
def test_no_step_is_too_long_or_splits_a_sentence(lengths: list[tuple[int, str]]):
    sentences = [f"This is {' '.join(f'w{n}' for n in range(length))}." for length, _ in lengths]
    text = "".join(sentence + after for sentence, (_, after) in zip(sentences, lengths, strict=True))
    text = text.rstrip("\n -")  # a list item without text is no sentence
    found = parts(text, split(text))
    assert all(len(part.split()) <= MAX_WORDS for part in found)
    assert all(part.rstrip().removesuffix("-").rstrip().endswith(".") for part in found)


def test_thirty_thoughts_are_split_into_labelled_steps():
    assert len(THOUGHTS) == 30
    sizes, kinds = [], set()
    for name, text in THOUGHTS.items():
        assert 600 <= size(text) <= 2_000, name
        steps = split(text)
        found = parts(text, steps)
        assert "".join(found) == text
        sizes += map(size, found)
        kinds |= {step.kind for step in steps}
        labels = [step.label for step in steps]
        assert len(set(labels)) >= 0.9 * len(labels), name
        plain = re.sub(r"[\s*_`$#|]|\\[\[\]()]", "", text).casefold()
        for label, part in zip(labels, found, strict=True):
            assert label, (name, part)
            assert len(label) <= MAX_LABEL
            assert not says_nothing(label), label
            assert re.sub(r"[\s*_`$#|]", "", label.removesuffix("…")).casefold() in plain, label
            assert not re.match(r"(okay|hmm|so,|let me think|嗯|好的)", label, re.IGNORECASE), label
    assert max(sizes) <= MAX_WORDS
    assert sum(40 <= words <= 150 for words in sizes) >= 0.9 * len(sizes)
    assert kinds == set(StepKind)


@pytest.mark.parametrize(
    "block",
    [
        "```python\n" + "value = value + 1  # and again\n\n" * 100 + "```",
        "~~~~\n" + "```\nis text here\n```\n" * 100 + "~~~~",
        "$$\n" + "x_1 + x_2 + x_3 = y_4 \\\\\n" * 100 + "$$",
        "\\begin{align}\n" + "a &= b + c . And d \\\\\n" * 100 + "\\end{align}",
    ],
    ids=["code", "tildes", "formula", "environment"],
)
def test_an_oversized_block_is_one_step(block: str):
    before, after = "There is a word here. " * 20, "Then it goes on after that. " * 20
    text = f"{before}\n\n{block}\n\n{after}"
    assert block + "\n\n" in parts(text, split(text))


def test_a_table_and_a_short_block_stay_in_one_step():
    table = "| a | b |\n|---|---|\n" + "| one and two | three |\n" * 20
    text = "These are some words. " * 12 + "\n\n" + table + "\n" + "And more of them. " * 30
    assert any(table.strip() in part for part in parts(text, split(text)))


@pytest.mark.parametrize(
    ("sentence", "label"),
    [
        ("Okay, so the user wants a plan.", "The user wants a plan"),
        ("Hmm, let me think. Dual writes race without one sequence.", "Dual writes race without one sequence"),
        ("Wait, no. That's not right.", ""),
        ("Let me think about this step by step.", ""),
        ("So far, 3.14 is a good value", "3.14 is a good value"),
        ("3.14 is a good value.", "3.14 is a good value"),
        ("1. **Prepare the schema**: booleans first", "Prepare the schema: booleans first"),
        ("嗯，让我想想。", ""),
        ("那么，我们先看第一种情况。", "我们先看第一种情况"),
        ("对称矩阵的特征值都是实数。", "对称矩阵的特征值都是实数"),
        ("```python\n\ndef lag(rate):\n    return rate\n```", "def lag(rate)"),
        ("| plan | cost |\n|---|---|", "Plan | cost"),
        ("No solution exists.", "No solution exists"),
        ("a\u202eb \x07c <b>d</b>", "A b c <b>d</b>"),
    ],
)
def test_a_label_is_the_first_clause_that_says_something(sentence: str, label: str):
    assert [*candidates(sentence), ""][0] == label


def test_a_label_of_60_characters_ends_between_words():
    [label, *_] = candidates("The quick brown fox jumps over the lazy dog and then it goes home to sleep for a week.")
    assert label == "The quick brown fox jumps over the lazy dog and then it…"


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Wait, that can't be.", StepKind.CORRECTION),
        ("Hmm, actually, no.", StepKind.CORRECTION),
        ("**Option 2**: dual writes", StepKind.OPTION),
        ("So let’s calculate the sum", StepKind.CALCULATION),
        ("To verify, insert it.", StepKind.CHECK),
        ("等等，不对。", StepKind.CORRECTION),
        ("验证一下：", StepKind.CHECK),
        ("计算一下", StepKind.CALCULATION),
        ("另一种方法", StepKind.OPTION),
        ("Waiting for it takes long.", StepKind.PLAIN),
        ("Le chat attend.", StepKind.PLAIN),
    ],
)
def test_cue_phrases_show_the_kind(sentence: str, kind: StepKind):
    assert kind_of(sentence) == kind


def test_hostile_and_enormous_texts_have_steps():
    for text in (*HOSTILE, *(text[:12_000] for text in ENORMOUS.values())):
        steps = split(text)
        assert "".join(parts(text, steps)) == text
        assert not any(re.search("[\0-\x1f\u202a-\u202e]", step.label) for step in steps)


def test_the_cost_grows_with_the_text_and_not_with_its_square():
    def calls(text: str) -> int:
        count, splitter = 0, StepSplitter()

        def profile(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event.endswith("call")

        sys.setprofile(profile)
        for at in range(0, len(text), 5):
            splitter.feed(text[at : at + 5])
        splitter.close()
        sys.setprofile(None)
        return count

    text = "".join(THOUGHTS.values())[:15_000]
    assert calls(text * 3) < 3.5 * calls(text)
