#!/bin/sh
# Back up the database to FOLDER now and then once a day, and delete backups older than DAYS: `backups.sh FOLDER DAYS`.
# The service `backup` of compose.yaml runs it. A failed backup deletes nothing and is repeated after an hour.
set -eu
folder=${1:?give the folder for the backups}
days=${2:?give the number of days that backups are kept}
DATABASE_URL=${DATABASE_URL:-$(cat "${DATABASE_URL_FILE:?}")}
export DATABASE_URL
while :; do
    file=$folder/$(date -u +%Y-%m-%dT%H%M%SZ).dump
    if sh "$(dirname "$0")/backup.sh" "$file"; then
        echo "Backup: $file ($(wc -c < "$file") bytes)"
        # Also those that were interrupted, which have a temporary name.
        find "$folder" -name '*.dump*' -type f -mtime "+$days" -exec rm -- {} +
        sleep 86400
    else
        echo "The backup failed. The next attempt is in an hour." >&2
        sleep 3600
    fi
done
