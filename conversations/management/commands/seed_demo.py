"""Fill an empty site with made-up users, conversations and feedback, to try the administration pages at scale."""

import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import F, OuterRef, Subquery, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from conversations.models import Conversation, DailyUsage, Feedback, Generation, Message, Rating, Role, Status, User
from conversations.models.words import count_words

BATCH_SIZE = 1_000  # conversations
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
        parser.add_argument("--seed", type=int, default=1, help="for the random texts (default: 1)")

    def handle(self, *args, conversations: int, seed: int, **options) -> None:
        if Conversation.objects.exists():
            raise CommandError("The site already has conversations. Run this command on an empty site.")
        rng = random.Random(seed)  # noqa: S311  (not for security)
        words = ["".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(5_000)]
        names = [f"demo{number}" for number in range(max(3, conversations // 100))]
        users = User.objects.bulk_create([User(username=name, password="!") for name in names])  # noqa: S106
        generated = _conversations(rng, words, users, conversations)
        written = 0
        while batch := list(islice(generated, BATCH_SIZE)):
            _write(batch, rng)
            written += len(batch)
            self.stdout.write(f"{written:,} of {conversations:,} conversations")
        _count_usage()


def _conversations(
    rng: random.Random, words: list[str], users: list[User], number: int
) -> Iterator[tuple[Conversation, list[dict[str, Any]]]]:
    """Yield conversations, each with the fields of its messages: questions and answers alternate."""
    now = timezone.now()
    for _ in range(number):
        at = now - timedelta(seconds=rng.randrange(DAYS * 86_400))
        texts = [_text(rng, words, 12 if turn % 2 == 0 else 60) for turn in range(2 * TURNS)]
        conversation = Conversation(
            id=uuid.UUID(int=rng.getrandbits(128), version=4),
            owner=rng.choice(users),
            title=texts[0][:80],
            created_at=at,
            updated_at=at,
        )
        reasoning = [_text(rng, words, 40) if turn % 2 else "" for turn in range(2 * TURNS)]
        fields = [
            {"content": text, "reasoning": thought, "reasoning_words": count_words(thought)}
            for text, thought in zip(texts, reasoning, strict=True)
        ]
        yield conversation, fields


def _text(rng: random.Random, words: list[str], length: int) -> str:
    if rng.random() < 0.1:
        return "，".join(rng.choices(CHINESE, k=max(1, length // 8))) + "。"
    return " ".join(rng.choices(words, k=length)).capitalize() + "."


def _write(batch: list[tuple[Conversation, list[dict[str, Any]]]], rng: random.Random) -> None:
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
    Generation.objects.bulk_create([_generation(answer, rng) for answer in answers])
    rated = rng.sample(answers, len(answers) // 50)
    Feedback.objects.bulk_create(
        Feedback(message=answer, conversation=answer.conversation, rating=rng.choice(Rating.values)) for answer in rated
    )
    written = [conversation.pk for conversation, _ in batch]
    newest = Message.objects.filter(conversation=OuterRef("pk")).order_by("-pk").values("pk")[:1]
    # `auto_now_add` replaces values that are given.
    Conversation.objects.filter(pk__in=written).update(leaf=Subquery(newest), created_at=F("updated_at"))
    Generation.objects.filter(conversation__in=written).update(created_at=F("started_at"))


def _count_usage() -> None:
    sums = Generation.objects.order_by().values_list("owner", "model", TruncDate("finished_at"))
    sums = sums.annotate(*(Sum(name) for name in ("prompt_tokens", "reasoning_tokens", "answer_tokens")))
    columns = ("user_id", "model", "day", "input_tokens", "reasoning_tokens", "output_tokens")
    rows = (DailyUsage(**dict(zip(columns, row, strict=True))) for row in sums.iterator(BATCH_SIZE))
    while batch := list(islice(rows, BATCH_SIZE)):
        DailyUsage.objects.bulk_create(batch)


def _generation(answer: Message, rng: random.Random) -> Generation:
    started_at = answer.conversation.updated_at
    first_thought_at = started_at + timedelta(seconds=rng.expovariate(1))
    first_answer_at = first_thought_at + timedelta(seconds=rng.expovariate(1 / 20))
    status = rng.choice(OUTCOMES)
    return Generation(
        message=answer,
        conversation=answer.conversation,
        owner_id=answer.conversation.owner_id,
        status=status,
        error=rng.choice(CAUSES) if status == Status.FAILED else "",
        model=rng.choice(MODELS),
        prompt_tokens=rng.randrange(20, 4_000),
        reasoning_tokens=int(rng.expovariate(1 / 800)),
        answer_tokens=rng.randrange(10, 1_200),
        started_at=started_at,
        first_thought_at=first_thought_at,
        first_answer_at=first_answer_at,
        finished_at=first_answer_at + timedelta(seconds=rng.expovariate(1 / 10)),
    )
