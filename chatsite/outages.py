"""Tell outages of the database, after which the same statement may succeed, from errors that remain."""

import sqlite3

from django.db import InterfaceError, OperationalError

# SQLSTATEs, or the first characters of their classes; https://www.postgresql.org/docs/current/errcodes-appendix.html
OUTAGE_STATES = (
    "08",  # connection exception
    "25006",  # the server accepts no writes
    "25P03",  # the connection was closed: idle in a transaction
    "25P04",  # the connection was closed: a transaction took too long
    "40001",  # serialization failure
    "40P01",  # deadlock
    "53",  # insufficient resources: full disk, memory, too many connections
    "55P03",  # lock not available
    "57",  # operator intervention: shutdown, crash, starting up, cancelled
    "58030",  # I/O error
)
# Primary result codes; https://www.sqlite.org/rescode.html
OUTAGE_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


def is_outage(error: BaseException) -> bool:
    """Return whether `error`, of Django or of a driver, was caused by an outage of the database."""
    causes: list[BaseException] = [error]
    while cause := causes[-1].__cause__:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, sqlite3.Error):
            return getattr(cause, "sqlite_errorcode", 0) & 0xFF in OUTAGE_CODES
        if state := getattr(cause, "sqlstate", None):  # of a psycopg.Error
            return str(state).startswith(OUTAGE_STATES)
    # Without a code: psycopg has no connection, or lost it.
    return any(isinstance(cause, OperationalError | InterfaceError) for cause in causes)


def describe(error: BaseException) -> str:
    """Return the error's name and code for the log. Messages of databases can contain the values of a row."""
    cause = error.__cause__ or error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
    return f"{type(error).__name__} {code}" if code else type(error).__name__
