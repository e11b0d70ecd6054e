"""Which model and which depth a question gets: of the question, the conversation, the user or the site."""

import pytest

from conversations.inference.choice import AS_BEFORE, Choice, NotOffered, choose
from conversations.inference.registry import Reasoning
from tests.models import model, registry

EFFORTS = ("low", "high")


@pytest.fixture(autouse=True)
def models(settings) -> None:
    settings.MODELS = registry(
        model(model_id="one", label="One", thinking="switchable", efforts=EFFORTS),
        model(model_id="two", label="Two", thinking="switchable"),
        model(model_id="plain", label="Plain", thinking="never"),
    )


@pytest.mark.parametrize(
    ("asked", "conversation", "user", "chosen"),
    [
        (AS_BEFORE, AS_BEFORE, AS_BEFORE, Choice("one", "normal")),
        (AS_BEFORE, AS_BEFORE, Choice("two", "quick"), Choice("two", "quick")),
        (AS_BEFORE, Choice("one", "deep"), Choice("two", "quick"), Choice("one", "deep")),
        (Choice("one", "normal"), Choice("two", "quick"), AS_BEFORE, Choice("one", "normal")),
        # Each of both by itself.
        (Choice("two"), Choice("one", "quick"), AS_BEFORE, Choice("two", "quick")),
        (Choice("", "quick"), Choice("two"), Choice("one", "deep"), Choice("two", "quick")),
        # What is not offered any more is passed over.
        (AS_BEFORE, Choice("gone", "deep"), Choice("two"), Choice("two", "normal")),
        (Choice("two"), Choice("one", "deep"), Choice("two", "quick"), Choice("two", "quick")),
        (AS_BEFORE, Choice("plain", "deep"), AS_BEFORE, Choice("plain", "")),
        # A form without a script has one list of depths for all models.
        (Choice("plain", "normal"), AS_BEFORE, AS_BEFORE, Choice("plain", "")),
    ],
)
def test_the_question_goes_before_the_conversation_the_user_and_the_site(
    asked: Choice, conversation: Choice, user: Choice, chosen: Choice
):
    assert choose(asked, conversation, user) == chosen


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (Choice("gone"), "This model is not available any more. Choose another one, then send your question again."),
        (Choice("two", "deep"), "Two does not offer “Deep”. Choose Quick or Normal, then send your question again."),
        (Choice("plain", "deep"), "Plain does not offer “Deep”. Choose Normal, then send your question again."),
        (Choice("two", "abyss"), "Two does not offer what you have chosen. Choose Quick or Normal, then send"),
    ],
)
def test_what_is_asked_for_and_not_offered_is_refused_with_what_is(asked: Choice, sentence: str):
    with pytest.raises(NotOffered) as refusal:
        choose(asked, Choice("one", "quick"))
    assert str(refusal.value).startswith(sentence)


def test_what_the_operator_pins_cannot_be_chosen(settings):
    settings.MODELS = registry(model(thinking="switchable", efforts=EFFORTS, pinned=Reasoning(effort="high")))
    assert choose(AS_BEFORE, Choice("m", "deep")) == Choice("m", "")
    with pytest.raises(NotOffered):
        choose(Choice("m", "deep"))


def test_without_a_model_nothing_is_chosen(settings):
    settings.MODELS = {}
    assert choose(Choice("", "deep"), Choice("one", "deep")) == AS_BEFORE
