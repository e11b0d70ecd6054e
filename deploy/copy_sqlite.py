"""Copy a site's SQLite database, which may be in use, and verify the copy: `copy_sqlite.py SOURCE TARGET`.

For backup.sh and restore.sh, which rename TARGET (an empty file) when this has succeeded. What SOURCE-wal contains is
copied too. Print the number of conversations. Only the standard library is used.
"""

import contextlib
import sqlite3
import sys
from pathlib import Path


def copy(source: Path, target: Path) -> int:
    """Return the number of conversations. Raises `sqlite3.Error` also if the copy is damaged or not of the site."""
    # Closing a connection that can write would empty the write-ahead log of a site that was killed.
    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
        contextlib.closing(sqlite3.connect(target)) as copied,
    ):
        original.backup(copied)
        copied.execute("pragma journal_mode = delete")  # else the copy has a write-ahead log of its own beside it
        for (problem,) in copied.execute("pragma integrity_check(1)"):
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)
        copied.execute("select 1 from django_migrations")
        [(number,)] = copied.execute("select count(*) from conversations_conversation")
        return int(number)


if __name__ == "__main__":
    try:
        print(copy(Path(sys.argv[1]), Path(sys.argv[2])))
    except sqlite3.Error as error:
        sys.exit(f"{sys.argv[1]} cannot be copied: {error}.")
