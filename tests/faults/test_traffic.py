"""Many prompts by many people, one in ten with a fault."""

import asyncio
import os
import re
from collections import Counter

import aiohttp

from tests.endpoint import Endpoint
from tests.faults.baseline import Baseline, memory, objects
from tests.faults.stored import texts
from tests.faults.traffic import FAULTS, Model, Visitor, cut, plan
from tests.site import Person, people

PEOPLE, TURNS = 25, 4
CONVERSATIONS = int(os.environ.get("TRAFFIC_CONVERSATIONS", "2"))  # of each person; with 10, the test takes minutes
WARM = CONVERSATIONS // 2  # of them, after which a process has allocated what it keeps
PROMPTS = PEOPLE * CONVERSATIONS * TURNS
AT_ONCE = 20  # people
# From the end of the warm conversations to the end of all. Some threads still cache statements that are new to them.
MOST_NEW_OBJECTS = 5_000
MOST_GROWTH = 6 * 2**20  # bytes in the same time
TOKEN = "for-this-test-alone"


async def test_every_prompt_ends_in_one_outcome_without_leaks(make_site, endpoint: Endpoint):
    endpoint.respond = model = Model()
    site = make_site(STALL_SECONDS=8, METRICS_TOKEN=TOKEN)
    crowd = people(site, PEOPLE)
    baseline = Baseline(endpoint, site)
    measured: list[tuple[int, int]] = []
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        visitors = [Visitor(person, session, model) for person in crowd]
        room = asyncio.Semaphore(AT_ONCE)

        async def visit(number: int, conversations: int) -> None:
            async with room:
                do = visitors[number].converse if number % 10 == 0 else visitors[number].send  # one in ten watches
                await do(conversations, TURNS)

        ended = "select 1 where ? = (select count(*) from conversations_generation where finished_at is not null)"
        for conversations in (WARM, CONVERSATIONS - WARM):
            async with asyncio.TaskGroup() as group:
                for number in range(PEOPLE):
                    group.create_task(visit(number, conversations))
            prompts = sum(len(visitor.conversations) for visitor in visitors) * TURNS
            await asyncio.to_thread(site.await_rows, ended, prompts)
            measured.append((await asyncio.to_thread(objects, site), memory(site)))
            print("{:,} prompts: {:,} objects, {:,} bytes".format(prompts, *measured[-1]))
    (objects_before, memory_before), (objects_after, memory_after) = measured

    found = texts(site)
    assert len(found) == PROMPTS
    faults: Counter[str] = Counter()
    for prompt, text in found.items():
        planned = plan(prompt)
        sent = planned.text("reasoning"), planned.text("answer")
        if planned.fault is None:
            assert text == ("complete", *sent)
            assert model.requests[prompt] == 1
            continue
        faults[planned.fault.__name__] += 1
        assert text.status == FAULTS[planned.fault]
        if planned.fault is cut:  # text that was being sent is lost with the connection
            assert sent[0].startswith(text.reasoning)
            assert sent[1].startswith(text.answer)
        else:
            assert text[1:] == sent, prompt
    assert faults == model.faults  # every fault happened, once
    assert len(faults) == len(FAULTS)
    assert 0.08 < faults.total() / PROMPTS < 0.12
    # One row and one counted end per generation.
    assert site.rows("select count(*) from conversations_generation") == [(PROMPTS,)]
    assert ends(crowd[0]) == Counter(text.status for text in found.values())
    assert objects_after - objects_before <= MOST_NEW_OBJECTS
    assert memory_after - memory_before <= MOST_GROWTH
    baseline.check(*((crowd[0], conversation) for conversation in visitors[0].conversations))
    for person in crowd:
        person.close()


def ends(person: Person) -> Counter[str]:
    """Return the number of ended generations by outcome, from the process's metrics."""
    metrics = person.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    ended: Counter[str] = Counter()
    line = re.compile(r'^chat_generations_ended_total\{.*outcome="(\w+)"\} (\d+)', re.MULTILINE)
    for outcome, number in line.findall(metrics):
        ended[outcome] += int(number)
    return ended
