#!/bin/sh
# Back up the whole database to FILE, while the site runs: `DATABASE_URL=… deploy/backup.sh FILE`.
# FILE then is complete and verified. If anything fails, there is no FILE. An existing FILE is not changed.
# It does not contain the secrets. Back up SECRET_KEY and AUDIT_KEYS separately: without them everyone has to sign in
# again, and the audit trail cannot be verified.
set -eu
umask 077
file=${1:?give the file to write}
url=${DATABASE_URL:?set it to the same value as for the site}
if [ -e "$file" ]; then
    echo "$file already exists." >&2
    exit 1
fi
partial=$(mktemp "$file.XXXXXX")
trap 'rm -f "$partial" "$partial-journal"' EXIT
trap 'exit 1' HUP INT TERM
case $url in
    sqlite:///*) python3 "$(dirname "$0")/copy_sqlite.py" "${url#sqlite:///}" "$partial" > /dev/null ;;
    postgres*)
        pg_dump --format=custom --no-owner --no-privileges --file="$partial" --dbname="$url"
        pg_restore --file=/dev/null "$partial"  # reads all of it
        ;;
    *) echo "DATABASE_URL: use sqlite:///path or postgresql://…" >&2; exit 1 ;;
esac
sync "$partial"
mv "$partial" "$file"
sync "$(dirname "$file")" 2> /dev/null || sync  # not every file system can do this for one folder
