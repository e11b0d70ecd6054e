"""The timeline as SVG: widths, names, links, and nothing from the model but escaped labels."""

import re

import pytest

from conversations.rendering import timeline
from conversations.rendering.cues import StepKind
from conversations.rendering.outlines import OutlineStep, ThoughtOutline
from conversations.rendering.steps import Step


def outline(*seconds: float | None) -> ThoughtOutline:
    steps = [OutlineStep(100 * n, f"Label {n}", StepKind.PLAIN, second) for n, second in enumerate(seconds)]
    return ThoughtOutline(steps, 100 * len(steps), 20)


def widths(svg: str) -> list[float]:
    return [float(width) for width in re.findall(r'class="segment[^"]*" x="[^"]*" y="6" width="([0-9.]+)%"', svg)]


def test_segments_are_as_wide_as_the_time_of_their_steps():
    found = timeline.finished(5, outline(0, 10, 15), 20, url="")
    assert widths(found.svg) == [50, 25, 25]
    assert found.is_timed
    assert 'href="#step-5-2"><title>Step 2 of 3: Label 1, from 10 s</title>' in found.svg


def test_without_times_segments_are_as_wide_as_the_text_is_long():
    for found in (
        timeline.finished(5, outline(None, None, None, None), 20, url=""),
        timeline.finished(5, outline(0, 1, 2, 3), None, url=""),
    ):
        assert widths(found.svg) == [25, 25, 25, 25]
        assert not found.is_timed


def test_a_step_of_no_time_is_visible():
    assert min(widths(timeline.finished(5, outline(0, 0, 20, 20), 20, url="").svg)) > 0.3


def test_a_correction_has_a_shape_of_its_own_and_labels_are_escaped():
    steps = [
        OutlineStep(0, '"><script>alert(1)</script>', StepKind.CORRECTION, None),
        OutlineStep(9, "", StepKind.CHECK),
    ]
    svg = timeline.finished(5, ThoughtOutline(steps, 20, 4), None, url="/messages/5/reasoning/").svg
    assert svg.count("mark-of-correction") == 1
    assert "<script" not in svg
    assert "<title>Step 2 of 2: no label, check</title>" in svg
    assert 'href="/messages/5/reasoning/#step-5-1"' in svg


def test_a_long_thought_has_segments_for_several_steps_which_lead_to_corrections():
    steps = [OutlineStep(n, "", StepKind.CORRECTION if n == 9 else StepKind.PLAIN) for n in range(200)]
    found = timeline.finished(5, ThoughtOutline(steps, 200, 200), None, url="")
    linked = [int(number) for number in re.findall(r'href="#step-5-(\d+)"', found.svg)]
    assert linked == [1, 5, 10, *range(13, 200, 4)]
    assert len(linked) <= timeline.MAX_SEGMENTS
    assert sum(widths(found.svg)) == pytest.approx(100)
    assert (found.steps, found.corrections) == (200, 1)


def test_a_growing_timeline_keeps_its_scale_and_its_size():
    steps = [Step(500 * n, "Label", StepKind.CORRECTION if n == 2 else StepKind.PLAIN) for n in range(1_000)]
    some = timeline.live(steps[:4], 2_300, Step(2_000, "Now", StepKind.PLAIN))
    assert some.label == "Now"
    assert (some.steps, some.corrections) == (4, 1)
    assert '<path class="segment" d="M0 9h122M125 9h122M375 9h122"/>' in some.svg
    assert '<path class="segment correction" d="M250 9h122"/>' in some.svg
    assert '<path class="segment open" d="M500 9h17"/>' in some.svg
    longer = timeline.live(steps[:5], 2_700, Step(2_500, "Next", StepKind.PLAIN))
    assert "M0 9h122M125 9h122" in longer.svg
    all_of_it = timeline.live(steps, 500_000, None)
    assert "open" not in all_of_it.svg
    assert len(all_of_it.svg) < 2_000
