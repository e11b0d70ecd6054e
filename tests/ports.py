"""Ports for servers that tests start, and may start again while their clients still know the port.

They are below those that systems give to clients (from 32768 on Linux, 49152 elsewhere), so no connection takes one
while its server is down.
"""

import itertools
import os
import socket

FIRST, LAST = 10_000, 32_000
PROCESSES = 16  # each process of a test run has its own share of the ports
_share = (LAST - FIRST) // PROCESSES
_start = FIRST + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % PROCESSES * _share
_offsets = itertools.count(os.getpid())


def unused_port() -> int:
    """Return a port on which nothing listens on this machine, and which this process has not been given lately."""
    for offset in itertools.islice(_offsets, _share):
        port = _start + offset % _share
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
    raise AssertionError("all ports are in use")
