"""A model endpoint that stalls, disconnects or sends invalid data, in every phase of a stream."""

from collections import Counter
from itertools import product

from tests.endpoint import Endpoint, Exchange
from tests.faults.baseline import Baseline
from tests.faults.endless_model import ask_each
from tests.faults.stored import texts

PHASES = (
    "before the headers",
    "before the first event",
    "in reasoning",
    "between reasoning and answer",
    "in the answer",
    "after the finish reason",
    "before the last line",
)
FAULTS = ("stall", "cut", "garbage")
# The text sent by then, as (reasoning, answer).
TEXT_BEFORE = {
    "before the headers": ("", ""),
    "before the first event": ("", ""),
    "in reasoning": ("Let me ", ""),
    "between reasoning and answer": ("Let me think.", ""),
    "in the answer": ("Let me think.", "It is "),
    "after the finish reason": ("Let me think.", "It is so."),
    "before the last line": ("Let me think.", "It is so."),
}
WHOLE = ("after the finish reason", "before the last line")
NOTHING_CAME = ("before the headers", "before the first event")


class Broken:
    """A model with the fault that the prompt names: "<fault> <phase>"."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()

    async def __call__(self, exchange: Exchange) -> None:
        prompt = exchange.body["messages"][-1]["content"]
        self.requests[prompt] += 1
        fault, _, phase = prompt.partition(" ")
        steps = iter(PHASES)

        async def reach() -> None:
            if next(steps) != phase:
                return
            if fault == "stall":
                await exchange.gate("never")
            elif fault == "garbage":
                await exchange.garbage()
            exchange.cut()
            await exchange.gate("never")

        await reach()
        await exchange.start()
        await reach()
        await exchange.reason("Let me ")
        await reach()
        await exchange.reason("think.")
        await reach()
        await exchange.answer("It is ")
        await reach()
        await exchange.answer("so.")
        await exchange.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        await reach()
        await exchange.event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        await reach()


def test_every_fault_in_every_phase_keeps_the_received_text_and_ends_once(make_site, join, endpoint: Endpoint):
    endpoint.respond = model = Broken()
    site = make_site(STALL_SECONDS=2, USER_CONCURRENCY=100)
    person = join(site)
    baseline = Baseline(endpoint, site)
    prompts = [f"{fault} {phase}" for fault, phase in product(FAULTS, PHASES)]
    conversations = ask_each(person, prompts)
    for conversation in conversations:
        person.await_end(conversation)
    ended = texts(site)
    for fault, phase in product(FAULTS, PHASES):
        prompt = f"{fault} {phase}"
        assert ended[prompt] == ("complete" if phase in WHOLE else "failed", *TEXT_BEFORE[phase]), prompt
        # Only a connection that breaks before any text is retried.
        assert model.requests[prompt] == (3 if fault == "cut" and phase in NOTHING_CAME else 1), prompt
    baseline.check(*((person, conversation) for conversation in conversations))
