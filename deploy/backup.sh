#!/bin/sh
# Write the whole database, while the site runs, to FILE: `DATABASE_URL=… deploy/backup.sh FILE`.
# The secrets are not in it: keep SECRET_KEY and AUDIT_KEYS elsewhere, without them sign-ins and the audit trail's proof end.
set -eu
umask 077
file=${1:?name the file to write}
if [ -e "$file" ]; then
    echo "$file is there already." >&2
    exit 1
fi
case ${DATABASE_URL:?set it as for the site} in
    sqlite:///*)
        python3 - "${DATABASE_URL#sqlite:///}" "$file" <<'PYTHON'
import contextlib
import sqlite3
import sys

with (
    contextlib.closing(sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)) as live,
    contextlib.closing(sqlite3.connect(sys.argv[2])) as copy,
):
    live.backup(copy)
PYTHON
        ;;
    postgres*) pg_dump --format=custom --no-owner --no-privileges --file="$file" --dbname="$DATABASE_URL" ;;
    *) echo "DATABASE_URL: use sqlite:///path or postgresql://…" >&2; exit 1 ;;
esac
