import pytest

from conversations.inference.context_use import LEFT_OUT, SOON, context_use
from conversations.models.generation import Counts
from tests.models import model, registry


@pytest.fixture(autouse=True)
def _models(settings):
    settings.MODELS = registry(model(context_tokens=1_000), model(model_id="large", context_tokens=10_000))


def counts(prompt: int | None = None, answer: int | None = None, **others: object) -> Counts:
    fields = {"prompt_estimate": None, "tokens_estimated": False, "context_start_id": None}
    return Counts(**(fields | {"prompt_tokens": prompt, "answer_tokens": answer} | others))


def test_the_newest_answer_that_has_ended_counts():
    waiting = counts(prompt_estimate=900)
    assert context_use("m", [waiting, counts(100, 15), counts(700, 7)]) == (12, False, "")
    assert context_use("large", [counts(100, 15)]) == (2, False, "")
    assert context_use("m", [counts(100, 20, tokens_estimated=True)]) == (12, True, "")


def test_before_the_first_answer_an_estimate_counts():
    assert context_use("m", [counts()], ["", "x" * 306]) == (11, True, "")
    assert context_use("m", [counts(prompt_estimate=200)], ["x" * 300]) == (20, True, "")
    assert context_use("m", []) is None


def test_a_model_that_is_not_known_any_more_is_measured_by_the_first():
    assert context_use("gone", [counts(100, 20)]) == (12, False, "")
    assert context_use(None, [counts(100, 20)]) == (12, False, "")


def test_without_a_model_the_size_of_the_context_is_not_known(settings):
    settings.MODELS = {}
    assert context_use("m", [counts(100, 20)]) is None


def test_the_warning_comes_before_messages_are_left_out():
    # Three quarters of the context are for the prompt, by an estimate that is higher here than the endpoint's count.
    assert context_use("m", [counts(400, 70, prompt_estimate=500)]).notice == ""
    assert context_use("m", [counts(400, 100, prompt_estimate=500)]) == (50, False, SOON)
    assert context_use("m", [counts(700, 100)]) == (80, False, SOON)


def test_the_notice_tells_when_messages_are_left_out():
    assert context_use("m", [counts(500, 100, context_start_id=7)]).notice == LEFT_OUT


def test_more_than_all_is_shown_as_all():
    assert context_use("m", [counts(1_500, 100)]).percent == 100
