"""Simulate how long questions wait for a slot, and compare that with a site: `python -m benchmarks.simulation`.

All replicas claim from one queue in the database, so N replicas of S slots are one queue with N * S servers. Questions
arrive at random times (a Poisson process) and take random times (exponential). The site is run with the same questions.
"""

import argparse
import asyncio
import heapq
import math
import random
import sys
from asyncio import Runner
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from statistics import mean, median

import uvloop

from benchmarks import report
from benchmarks.endpoint import Endpoint
from benchmarks.measure import LOAD_CORE, on_core, percentile
from benchmarks.readers import Reading
from benchmarks.servers import Servers
from benchmarks.texts import Playback, conversation

PACE = 20  # deltas per second
OPEN_SECONDS = 5.0  # before they ask, people open their page
CALIBRATION = 5  # questions to an idle site


@dataclass(frozen=True, slots=True)
class Question:
    """When it arrives, how long its answer takes (both in seconds), and whose it is."""

    at: float
    seconds: float
    person: int


def questions(number: int, per_second: float, mean_seconds: float, seed: int) -> list[Question]:
    """Return questions of as many people, at random."""
    source, at, found = random.Random(seed), 0.0, []  # noqa: S311
    for person in range(number):
        at += source.expovariate(per_second)
        found.append(Question(at, source.expovariate(1 / mean_seconds), person))
    return found


def simulate(arriving: Sequence[Question], slots: int, of_one_person: int = 3) -> list[float]:
    """Return how long each question waits, in seconds, in the order of `arriving`, which is that of their arrival.

    Whenever one of the `slots` is free, the question with the lowest turn is claimed: its owner's running ones, plus
    its position among the owner's waiting ones (`GenerationQuerySet.in_queue_order`). Nobody has more than
    `of_one_person` running.
    """
    waits = [0.0] * len(arriving)
    ends: list[tuple[float, int]] = []  # of what runs, with its person
    running: Counter[int] = Counter()
    waiting: list[int] = []
    following = 0
    while following < len(arriving) or waiting:
        # The next event: an arrival or an end.
        if following < len(arriving) and not (ends and ends[0][0] < arriving[following].at):
            now = arriving[following].at
            waiting.append(following)
            following += 1
        else:
            now, person = heapq.heappop(ends)
            running[person] -= 1
        while len(ends) < slots and (claimed := _next(arriving, waiting, running, of_one_person)) is not None:
            waiting.remove(claimed)
            question = arriving[claimed]
            waits[claimed] = now - question.at
            running[question.person] += 1
            heapq.heappush(ends, (now + question.seconds, question.person))
    return waits


def _next(arriving: Sequence[Question], waiting: Sequence[int], running: Counter[int], limit: int) -> int | None:
    turns = Counter[int]()
    best: tuple[int, int] | None = None
    for number in waiting:
        person = arriving[number].person
        turns[person] += 1
        turn = running[person] + turns[person]
        if turn <= limit and (best is None or turn < best[0]):
            best = turn, number
            if turn == 1:
                break  # no later one can have a lower turn
    return best[1] if best else None


def theory(per_second: float, mean_seconds: float, slots: int) -> tuple[float, float]:
    """Return the share of questions that wait, and the mean wait of all in seconds, in a queue M/M/c (Erlang's C)."""
    load = per_second * mean_seconds
    blocked = 1.0  # Erlang's B, by its recursion
    for servers in range(1, slots + 1):
        blocked = load * blocked / (servers + load * blocked)
    share = blocked / (1 - load / slots * (1 - blocked))
    return share, share * mean_seconds / (slots - load)


def measure(
    servers: Servers, endpoint: Endpoint, runner: Runner, arriving: Sequence[Question], replicas: int, slots: int
) -> tuple[list[float], float, float]:
    """Return how long the same questions wait at a site, and what an idle site takes for a claim and an end."""
    alone = [Question(0, 0.1, person) for person in range(CALIBRATION)]
    with servers.site(len(arriving) + CALIBRATION, replicas, GENERATION_CONCURRENCY=slots) as site:

        async def ask(question: Question, name: str) -> Reading:
            deltas = max(2, 1 + round(question.seconds * PACE))
            reading = Reading(name, Playback(conversation(1, deltas - 1, PACE)))
            endpoint.playbacks[name] = reading.playback
            reader = site.reader()
            try:
                await asyncio.sleep(max(0.0, started + question.at - OPEN_SECONDS - loop.time()))
                await reader.open()
                await asyncio.sleep(max(0.0, started + question.at - loop.time()))
                await reader.ask(reading)
            finally:
                await reader.close()
            return reading

        async def all_of(asked: Sequence[Question], name: str) -> list[Reading]:
            return await asyncio.gather(*(ask(each, f"playback-{name}-{each.person:x}") for each in asked))

        loop, started = runner.get_loop(), 0.0
        idle = [reading for question in alone for reading in runner.run(all_of([question], "a"))]
        started = loop.time() + OPEN_SECONDS
        readings = runner.run(all_of(arriving, "b"))
    for reading in (*idle, *readings):
        if reading.error or reading.status != "complete":
            raise RuntimeError(f"{reading.name}: {reading.error or reading.status}")
    claim = median(_wait(reading) for reading in idle)
    end = median(reading.ended - reading.playback.sent[-1] for reading in idle)
    return [_wait(reading) for reading in readings], claim, end


def _wait(reading: Reading) -> float:
    return reading.playback.requested[-1] - reading.posted


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.add_argument("--replicas", type=int, nargs="+", default=[2, 3], help="numbers of replicas (2 3)")
    parser.add_argument("--slots", type=int, default=3, help="GENERATION_CONCURRENCY of each (3)")
    parser.add_argument("--load", type=float, default=0.85, help="share of the slots in use (0.85)")
    parser.add_argument("--seconds", type=float, default=2, help="mean length of an answer (2)")
    parser.add_argument("--questions", type=int, default=150, help="how many are asked (150)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(*report.machine_lines(), "", sep="\n")
    print(f"{'replicas':>8} {'slots':>5}  {'waits in seconds':18} {'mean':>7} {'p50':>7} {'p95':>7} {'longest':>8}")
    with on_core(LOAD_CORE), Runner(loop_factory=uvloop.new_event_loop) as runner, closing(Endpoint()) as endpoint:
        runner.run(endpoint.open())
        with Servers("postgresql", endpoint) as servers:
            for replicas in arguments.replicas:
                slots = replicas * arguments.slots
                per_second = arguments.load * slots / arguments.seconds
                arriving = questions(arguments.questions, per_second, arguments.seconds, arguments.seed)
                measured, claim, end = measure(servers, endpoint, runner, arriving, replicas, arguments.slots)
                served = [Question(each.at, claim + each.seconds + end, each.person) for each in arriving]
                simulated = [claim + wait for wait in simulate(served, slots)]
                expected = claim + theory(per_second, claim + arguments.seconds + end, slots)[1]
                for name, waits in (("measured", measured), ("simulated", simulated)):
                    figures = mean(waits), percentile(waits, 50) or 0.0, percentile(waits, 95) or 0.0
                    cells = " ".join(f"{figure:7.2f}" for figure in figures)
                    print(f"{replicas:8} {slots:5}  {name:18} {cells} {max(waits):8.2f}", flush=True)
                steady = f"{expected:7.2f}" if math.isfinite(expected) and expected > 0 else "      -"
                print(f"{'':14}  {'theory, for ever':18} {steady}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
