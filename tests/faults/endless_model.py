"""A model that sends one word after another without end, and records what it sent and when."""

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from tests.endpoint import Exchange
from tests.site import Person

WAIT = 60  # seconds


class Word(NamedTuple):
    """A word that was sent, its time (monotonic seconds) and its kind: reasoning or answer."""

    at: float
    kind: str
    text: str


@dataclass(frozen=True)
class SentText:
    """The words sent for one prompt."""

    words: list[Word]

    def text(self, kind: str, until: float = float("inf")) -> str:
        return "".join(word.text for word in self.words if word.kind == kind and word.at <= until)


class EndlessModel:
    """Sends `reasoning_words` words of reasoning, then an answer until `enough` is set; one word in `every` seconds.

    All words of all prompts are different, so that lost, repeated and misplaced words are noticed.
    """

    def __init__(self, every: float = 0.05, reasoning_words: int = 20) -> None:
        self.every = every
        self.reasoning_words = reasoning_words
        self.enough = False
        self.exchanges: dict[str, list[Exchange]] = defaultdict(list)
        self._words: dict[str, list[Word]] = defaultdict(list)
        self._word_sent = threading.Condition()

    async def __call__(self, exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        self.exchanges[prompt].append(exchange)
        number = 0
        while not self.enough:
            kind = "reasoning" if number < self.reasoning_words else "answer"
            await self._send(exchange, prompt, kind, self._word(prompt, number))
            number += 1
            await asyncio.sleep(self.every)
        await exchange.finish()

    def sent(self, prompt: str) -> SentText:
        return SentText(list(self._words[prompt]))

    def next_word(self, prompt: str) -> str:
        """Return a word for this prompt that has not been sent and is not being sent."""
        return self._word(prompt, len(self._words[prompt]) + 1)

    def await_words(self, number: int, *prompts: str, seconds: float = WAIT) -> None:
        """Wait until this number of words has been sent for each prompt."""
        with self._word_sent:
            done = self._word_sent.wait_for(lambda: all(len(self._words[p]) >= number for p in prompts), seconds)
        assert done, f"{number} words were not sent: {sorted({p: len(self._words[p]) for p in prompts}.items())}"

    def _word(self, prompt: str, number: int) -> str:
        return f"{prompt}:{number} "

    async def _send(self, exchange: Exchange, prompt: str, kind: str, text: str) -> None:
        await (exchange.reason(text) if kind == "reasoning" else exchange.answer(text))
        self._words[prompt].append(Word(time.monotonic(), kind, text))
        with self._word_sent:
            self._word_sent.notify_all()


def ask_each(person: Person, prompts: Sequence[str]) -> list[str]:
    """Send each prompt in its own conversation; return the conversations in order. At most eight wait at a time."""

    def ask(prompt: str) -> str:
        conversation = person.ask(prompt)
        person.site.await_rows(
            "select 1 from conversations_generation where conversation_id = ? and status <> 'queued'",
            person.site.uuid(conversation),
        )
        return conversation

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(ask, prompts))
