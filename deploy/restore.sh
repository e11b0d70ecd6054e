#!/bin/sh
# Restore a backup from backup.sh into an empty database: `DATABASE_URL=… deploy/restore.sh FILE`. Then start the site.
# FILE is verified first. If anything fails, the database stays empty.
set -eu
umask 077
file=${1:?give the file to restore}
url=${DATABASE_URL:?set it to the same value as for the site}
case $url in
    sqlite:///*)
        database=${url#sqlite:///}
        # With a -wal of another database, SQLite would damage the restored one.
        for existing in "$database" "$database-wal" "$database-shm" "$database-journal"; do
            if [ -e "$existing" ]; then
                echo "$existing already exists. Stop the site, and move the database and its -wal and -shm away." >&2
                exit 1
            fi
        done
        partial=$(mktemp "$database.XXXXXX")
        trap 'rm -f "$partial" "$partial-journal"' EXIT
        trap 'exit 1' HUP INT TERM
        number=$(python3 "$(dirname "$0")/copy_sqlite.py" "$file" "$partial")
        sync "$partial"
        mv "$partial" "$database"
        sync "$(dirname "$database")" 2> /dev/null || sync  # not every file system can do this for one folder
        ;;
    postgres*)
        query() {
            psql --no-psqlrc --quiet --tuples-only --no-align --dbname="$url" --command="$1"
        }
        pg_restore --file=/dev/null "$file"  # reads all of it
        tables=$(query "select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')")
        if [ "$tables" != 0 ]; then
            echo "The database already contains $tables tables. Stop the site and create an empty database." >&2
            exit 1
        fi
        pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$url" "$file"
        number=$(query "select count(*) from conversations_conversation")
        ;;
    *) echo "DATABASE_URL: use sqlite:///path or postgresql://…" >&2; exit 1 ;;
esac
echo "Restored $number conversations."
