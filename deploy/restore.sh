#!/bin/sh
# Restore a backup from backup.sh into an empty database: `DATABASE_URL=… deploy/restore.sh FILE`. Then start the site.
set -eu
file=${1:?give the file to restore}
case ${DATABASE_URL:?set it to the same value as for the site} in
    sqlite:///*)
        database=${DATABASE_URL#sqlite:///}
        if [ -e "$database" ]; then
            echo "$database already exists. Move it away first." >&2
            exit 1
        fi
        cp "$file" "$database"
        ;;
    postgres*) pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$DATABASE_URL" "$file" ;;
    *) echo "DATABASE_URL: use sqlite:///path or postgresql://…" >&2; exit 1 ;;
esac
