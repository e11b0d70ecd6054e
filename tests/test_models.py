from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.urls import resolve
from django.utils import timezone

from conversations.models import Conversation, Message
from conversations.models.conversation import TITLE_CHARACTERS, Placement, title_from


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


@pytest.mark.parametrize(
    ("days", "group"),
    [
        (-1, "Today"),  # by the clock of another process
        (0, "Today"),
        (1, "Yesterday"),
        (2, "Previous 7 days"),
        (7, "Previous 7 days"),
        (8, "Previous 30 days"),
        (30, "Previous 30 days"),
    ],
)
def test_conversations_are_grouped_by_day(days: int, group: str):
    conversation = Conversation(updated_at=timezone.now() - timedelta(days=days))
    assert conversation.group == group
    conversation.placement = Placement.PINNED
    assert conversation.group == "Pinned"


def test_older_conversations_are_grouped_by_the_month_in_the_readers_time_zone():
    conversation = Conversation(updated_at=datetime(2020, 2, 29, 23, 30, tzinfo=UTC))
    assert conversation.group == "February 2020"
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        assert conversation.group == "March 2020"


def test_the_string_of_a_conversation_does_not_contain_its_title():
    assert "secret" not in str(Conversation(title="secret"))


def test_written_paths_lead_to_the_pages_of_messages_and_conversations():
    message, conversation = Message(pk=5), Conversation()
    assert resolve(f"{message.path}details/").kwargs == {"pk": 5}
    assert resolve(conversation.get_absolute_url()).kwargs == {"pk": conversation.pk}
