#!/bin/sh
# Load what backup.sh wrote into an empty database: `DATABASE_URL=… deploy/restore.sh FILE`. Then start the site.
set -eu
file=${1:?name the file to load}
case ${DATABASE_URL:?set it as for the site} in
    sqlite:///*)
        database=${DATABASE_URL#sqlite:///}
        if [ -e "$database" ]; then
            echo "$database is there already: move it away first." >&2
            exit 1
        fi
        cp "$file" "$database"
        ;;
    postgres*) pg_restore --exit-on-error --single-transaction --no-owner --no-privileges --dbname="$DATABASE_URL" "$file" ;;
    *) echo "DATABASE_URL: use sqlite:///path or postgresql://…" >&2; exit 1 ;;
esac
