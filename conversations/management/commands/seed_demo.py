"""Fill an empty site with made-up people, conversations and feedback, to try the administration pages at scale."""

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F, OuterRef, Subquery
from django.utils import timezone

from conversations.models import Conversation, Feedback, Generation, Message, Rating, Role, Status, User
from conversations.models.words import count_words

BATCH = 1_000  # conversations written at a time
TURNS = 5
DAYS = 90
SYLLABLES = tuple("ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo zy".split())  # noqa: SIM905
CHINESE = (
    "推理模型先思考再回答",
    "数据存储在本地",
    "审查必须说明理由",
    "天气很好我们去公园",
    "北京的人口有多少",
    "请解释这段代码",
)
MODELS = ("reasoner-large", "reasoner-small", "reasoner-mini")
OUTCOMES = (Status.COMPLETE,) * 17 + (Status.STOPPED, Status.LENGTH, Status.FAILED)
CAUSES = ("The model could not be reached.", "The model took too long.", "The model's endpoint is overloaded.")


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--conversations", type=int, default=1_000, help="of five turns each (default: 1,000)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same texts (default: 1)")

    def handle(self, *args, conversations: int, seed: int, **options) -> None:
        if Conversation.objects.exists():
            raise CommandError("The site already has conversations. Run this command on an empty site.")
        chance = random.Random(seed)  # noqa: S311  (nothing is secret here)
        words = ["".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))) for _ in range(5_000)]
        names = [f"demo{number}" for number in range(max(3, conversations // 100))]
        people = User.objects.bulk_create([User(username=name, password="!") for name in names])  # noqa: S106
        made = _conversations(chance, words, people, conversations)
        written = 0
        while batch := list(islice(made, BATCH)):
            _write(batch, chance)
            written += len(batch)
            self.stdout.write(f"{written:,} of {conversations:,} conversations")


def _conversations(
    chance: random.Random, words: list[str], people: list[User], number: int
) -> Iterator[tuple[Conversation, list[dict[str, Any]]]]:
    """Yield each conversation with the fields of its messages, a question and an answer in turn."""
    now = timezone.now()
    for _ in range(number):
        at = now - timedelta(seconds=chance.randrange(DAYS * 86_400))
        texts = [_text(chance, words, 12 if turn % 2 == 0 else 60) for turn in range(2 * TURNS)]
        conversation = Conversation(
            id=uuid.UUID(int=chance.getrandbits(128), version=4),
            owner=chance.choice(people),
            title=texts[0][:80],
            created_at=at,
            updated_at=at,
        )
        thought = [_text(chance, words, 40) if turn % 2 else "" for turn in range(2 * TURNS)]
        yield (
            conversation,
            [
                {"content": said, "reasoning": why, "reasoning_words": count_words(why)}
                for said, why in zip(texts, thought, strict=True)
            ],
        )


def _text(chance: random.Random, words: list[str], length: int) -> str:
    if chance.random() < 0.1:
        return "，".join(chance.choices(CHINESE, k=max(1, length // 8))) + "。"
    return " ".join(chance.choices(words, k=length)).capitalize() + "."


def _write(batch: list[tuple[Conversation, list[dict[str, Any]]]], chance: random.Random) -> None:
    Conversation.objects.bulk_create([conversation for conversation, _ in batch])
    messages: list[list[Message]] = []
    for turn in range(2 * TURNS):
        role = Role.ASSISTANT if turn % 2 else Role.USER
        parents = messages[-1] if messages else [None] * len(batch)
        turns = [
            Message(conversation=conversation, parent=parent, role=role, **texts[turn])
            for (conversation, texts), parent in zip(batch, parents, strict=True)
        ]
        messages.append(Message.objects.bulk_create(turns))
    answers = [answer for turn in messages[1::2] for answer in turn]
    Generation.objects.bulk_create([_generation(answer, chance) for answer in answers])
    rated = chance.sample(answers, len(answers) // 50)
    Feedback.objects.bulk_create(
        Feedback(message=answer, conversation=answer.conversation, rating=chance.choice(Rating.values))
        for answer in rated
    )
    written = [conversation.pk for conversation, _ in batch]
    newest = Message.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    # Django itself dates what it adds.
    Conversation.objects.filter(pk__in=written).update(leaf=Subquery(newest), created_at=F("updated_at"))
    Generation.objects.filter(conversation__in=written).update(created_at=F("started_at"))


def _generation(answer: Message, chance: random.Random) -> Generation:
    begun = answer.conversation.updated_at
    thought = begun + timedelta(seconds=chance.expovariate(1))
    said = thought + timedelta(seconds=chance.expovariate(1 / 20))
    status = chance.choice(OUTCOMES)
    return Generation(
        message=answer,
        conversation=answer.conversation,
        owner_id=answer.conversation.owner_id,
        status=status,
        error=chance.choice(CAUSES) if status == Status.FAILED else "",
        model=chance.choice(MODELS),
        prompt_tokens=chance.randrange(20, 4_000),
        reasoning_tokens=int(chance.expovariate(1 / 800)),
        answer_tokens=chance.randrange(10, 1_200),
        started_at=begun,
        first_thought_at=thought,
        first_answer_at=said,
        finished_at=said + timedelta(seconds=chance.expovariate(1 / 10)),
    )
