from datetime import timedelta

import pytest
from django.utils import timezone

from conversations.models import Conversation
from conversations.models.conversation import TITLE_CHARACTERS, title_from


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("Why?", "Why?"),
        ("  Which is\n\ngreater?  ", "Which is greater?"),
        ("word " * 40, ("word " * 15).strip() + "…"),
        ("字" * 200, "字" * (TITLE_CHARACTERS - 1) + "…"),
        ("a" * 200_000, "a" * (TITLE_CHARACTERS - 1) + "…"),
    ],
)
def test_a_title_is_the_prompts_first_words(prompt: str, title: str):
    assert title_from(prompt) == title
    assert len(title) <= TITLE_CHARACTERS


@pytest.mark.parametrize(("days", "group"), [(0, "Today"), (1, "Yesterday"), (2, "Earlier"), (400, "Earlier")])
def test_conversations_are_grouped_by_day(days: int, group: str):
    assert Conversation(updated_at=timezone.now() - timedelta(days=days)).group == group


def test_the_string_of_a_conversation_does_not_contain_its_title():
    assert "secret" not in str(Conversation(title="secret"))
