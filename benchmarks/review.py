"""Measure the lists, search and figures of review with many conversations on PostgreSQL: `python -m benchmarks.review`.

`manage.py seed_demo` fills the database. The pages are requested in this process, as a reviewer.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.ports import unused_port
from tests.services import PostgreSQL
from tests.site import ROOT, environment, migrate

if TYPE_CHECKING:
    from django.test import Client

FOLDER = "/admin/conversations/conversation/"
PAGES = {
    "list": "find/",
    "list, by model and outcome": "find/?model=reasoner-small&outcome=failed",
    "list, by tokens and time": "find/?tokens=5000&seconds=60",
    "list, by feedback": "find/?feedback=report",
    "list, an older page": "find/?before={middle}T00:00:00%2B00:00_ffffffffffffffffffffffffffffffff",
    "search: a frequent word": "search/?q=bace",
    "search: two words": "search/?q=bace+fogu",
    "search: part of a word": "search/?q=quiro",
    "search: a word that does not occur": "search/?q=absent",
    "search: Chinese": "search/?q=北京的人口",
    "search: two characters": "search/?q=北京",
    "search: in reasoning": "search/?q=sutave&reasoning=on",
    "figures of 30 days": "figures/",
    "figures of 90 days": "figures/?since={since}",
}

PLANS = """# Query plans of review

The query plan of each page's costliest query on PostgreSQL, with {messages:,} messages. Written by
`python -m benchmarks.review --plans docs/plans.md`. For the cost of the pages see `docs/performance.md`."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.review", description=__doc__)
    parser.add_argument(
        "--conversations", type=int, default=100_000, help="number of conversations, of ten messages each (100,000)"
    )
    parser.add_argument("--repeat", type=int, default=20, help="number of measured requests per page (20)")
    parser.add_argument(
        "--plans", type=Path, help="write the plan of each page's costliest query to this Markdown file"
    )
    arguments = parser.parse_args()
    server = PostgreSQL(unused_port())
    try:
        url = server.create_database()
        migrate(url)
        seed = [sys.executable, "manage.py", "seed_demo", "--conversations", str(arguments.conversations)]
        subprocess.run(seed, cwd=ROOT, env=environment(DATABASE_URL=url), check=True, stdout=sys.stderr)
        measure(url, arguments.repeat, arguments.plans)
    finally:
        server.stop()


def measure(url: str, repeat: int, plans: Path | None) -> None:
    os.environ.update(environment(DATABASE_URL=url), DJANGO_SETTINGS_MODULE="chatsite.settings")
    import django

    django.setup()
    from datetime import timedelta

    from django.contrib.auth.models import Group
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from conversations.models import Message, User

    connection.cursor().execute("analyze")
    reviewer = User.objects.create(username="reviewer", is_staff=True)
    reviewer.groups.add(Group.objects.get(name="Reviewer"))
    client = Client(headers={"host": "localhost"})
    client.force_login(reviewer)
    client.post(f"{FOLDER}reason/", {"reason": "Safety", "note": ""})
    messages = Message.objects.count()
    print(f"{messages:,} messages; milliseconds", "", sep="\n")
    print("| page | p50 | p95 | queries |", "|---|--:|--:|--:|", sep="\n")
    sections = [f"{PLANS.format(messages=messages)}\n"]
    since, middle = (timezone.localdate() - timedelta(days=days) for days in (89, 45))
    for name, page in PAGES.items():
        address = FOLDER + page.format(since=since, middle=middle)
        times, queries = time_requests(client, address, repeat), CaptureQueriesContext(connection)
        with queries:
            if client.get(address).status_code != 200:
                raise LookupError(address)
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"| {name} | {statistics.median(times):.0f} | {p95:.0f} | {len(queries)} |", flush=True)
        sections.append(f"## {name[0].upper()}{name[1:]}\n\n```\n{costliest_plan(queries.captured_queries)}\n```\n")
    if plans:
        plans.write_text("\n".join(sections))


def costliest_plan(queries: list[dict[str, str]]) -> str:
    """Return the plan of the query with the highest estimated cost, without times, which would differ in every run."""
    from django.db import connection

    with connection.cursor() as cursor:

        def explain(options: str, query: str) -> list[Any]:
            cursor.execute(f"explain ({options}) {query}")
            return [line for (line,) in cursor.fetchall()]

        def cost(query: str) -> float:
            [[plan]] = explain("format json", query)
            return plan["Plan"]["Total Cost"]

        costliest = max((query["sql"] for query in queries if query["sql"].startswith("SELECT")), key=cost)
        return "\n".join(explain("analyze, costs off, timing off, summary off", costliest))


def time_requests(client: "Client", address: str, repeat: int) -> list[float]:
    """Return the milliseconds that each of `repeat` requests took, after one that is not counted."""
    client.get(address)
    times = []
    for _ in range(repeat):
        started = time.perf_counter()
        client.get(address)
        times.append((time.perf_counter() - started) * 1000)
    return times


if __name__ == "__main__":
    main()
