#!/bin/sh
# Back up the whole database to FILE, while the site runs: `DATABASE_URL=… deploy/backup.sh FILE`.
# It does not contain the secrets. Back up SECRET_KEY and AUDIT_KEYS separately: without them everyone has to sign in
# again, and the audit trail cannot be verified.
set -eu
umask 077
file=${1:?give the file to write}
if [ -e "$file" ]; then
    echo "$file already exists." >&2
    exit 1
fi
case ${DATABASE_URL:?set it to the same value as for the site} in
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
