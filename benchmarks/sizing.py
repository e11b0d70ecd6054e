"""Compute the replicas, the database and the Redis that a number of users needs, from measured costs.

In the busiest hour of a day, `users * questions_per_day * peak_share / 3600` questions arrive per second, and that many
times `answer_seconds` answers run at once (Little's law). Everything else is proportional to one of the two, or to the
open pages. Half of each core is left free (`BUSY`), for questions do not arrive evenly; and one replica more than
needed lets one be replaced.
"""

import math
from dataclasses import dataclass

BUSY = 0.5  # of a core, in the busiest hour
REPLICA_MEMORY_MB = 1024  # of which a third stays free; the chart's limit is 1536
MIN_REPLICAS = 2
POOL = 20  # connections to PostgreSQL of one replica
SPARE_CONNECTIONS = 20  # for migrations, backups and people


@dataclass(frozen=True, slots=True)
class Costs:
    """What was measured. One replica uses one core; CPU is in seconds of a core."""

    streams: int  # at once, that one replica carries
    idle_mb: float
    kb_per_page: float  # an open page, with its socket
    cpu_per_page: float  # to load it, and to open its socket
    cpu_per_question: float
    cpu_per_stream_second: float
    database_cpu_per_question: float
    database_cpu_per_stream_second: float
    rows_per_question: float
    bytes_per_question: float  # of the database, with indexes
    bytes_per_character: float
    redis_cpu_per_stream_second: float  # where viewers are at other replicas
    redis_bytes_per_stream_second: float  # received and sent


@dataclass(frozen=True, slots=True)
class Demand:
    """What people do."""

    users: int
    questions_per_day: float = 5.0  # of each
    peak_share: float = 0.15  # of a day's questions, in its busiest hour
    answer_seconds: float = 30.0
    answer_characters: float = 4000.0  # with its question and reasoning
    pages_per_question: float = 3.0  # loaded
    open_share: float = 0.1  # of the users, who have a page open in the busiest hour

    @property
    def questions_per_second(self) -> float:
        return self.users * self.questions_per_day * self.peak_share / 3600

    @property
    def streams(self) -> float:
        return self.questions_per_second * self.answer_seconds

    @property
    def open_pages(self) -> float:
        return self.users * self.open_share


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is needed. `replicas` is the largest of the three numbers before it, plus one; at least `MIN_REPLICAS`."""

    by_cpu: float
    by_streams: float
    by_memory: float
    replicas: int
    database_cores: float
    database_connections: int
    rows_per_second: float  # written
    gb_per_year: float
    redis_cores: float
    redis_megabits: float  # per second


def sizes(costs: Costs, demand: Demand) -> Sizes:
    """Return what `demand` needs."""
    questions, streams = demand.questions_per_second, demand.streams
    cpu_per_question = costs.cpu_per_question + demand.pages_per_question * costs.cpu_per_page
    by_cpu = (questions * cpu_per_question + streams * costs.cpu_per_stream_second) / BUSY
    by_streams = streams / costs.streams
    by_memory = demand.open_pages * costs.kb_per_page / 1024 / (REPLICA_MEMORY_MB - costs.idle_mb)
    replicas = max(MIN_REPLICAS, 1 + math.ceil(max(by_cpu, by_streams, by_memory)))
    database = questions * costs.database_cpu_per_question + streams * costs.database_cpu_per_stream_second
    stored = costs.bytes_per_question + demand.answer_characters * costs.bytes_per_character
    return Sizes(
        by_cpu=by_cpu,
        by_streams=by_streams,
        by_memory=by_memory,
        replicas=replicas,
        database_cores=database / BUSY,
        database_connections=replicas * POOL + SPARE_CONNECTIONS,
        rows_per_second=questions * costs.rows_per_question + streams,
        gb_per_year=demand.users * demand.questions_per_day * 365 * stored / 1e9,
        redis_cores=streams * costs.redis_cpu_per_stream_second / BUSY,
        redis_megabits=streams * costs.redis_bytes_per_stream_second * 8 / 1e6,
    )
