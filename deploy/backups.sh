#!/bin/sh
# Back up the database and attached files now and then once a day, and delete backups older than DAYS:
# `backups.sh FOLDER DAYS [FILES]`. FILES is the folder of the files, if they are in one. The service `backup` of
# compose.yaml runs it. A failed backup deletes nothing and is repeated after an hour.
set -eu
folder=${1:?give the folder for the backups}
days=${2:?give the number of days that backups are kept}
files=${3:-}
DATABASE_URL=${DATABASE_URL:-$(cat "${DATABASE_URL_FILE:?}")}
export DATABASE_URL
here=$(dirname "$0")

copy_files() {
    [ -n "$files" ] || return 0
    previous=$(find "$folder" -maxdepth 1 -name '*Z.files' -type d | sort | tail -n 1)
    sh "$here/copy_files.sh" "$files" "$1" "$previous"
}

while :; do
    name=$folder/$(date -u +%Y-%m-%dT%H%M%SZ)
    if sh "$here/backup.sh" "$name.dump" && copy_files "$name.files"; then
        echo "Backup: $name.dump ($(wc -c < "$name.dump") bytes)"
        # Also those that were interrupted, which have a temporary name.
        find "$folder" -maxdepth 1 -name '*.dump*' -type f -mtime "+$days" -exec rm -- {} +
        find "$folder" -maxdepth 1 -name '*.files*' -type d -mtime "+$days" -exec rm -r -- {} +
        sleep 86400
    else
        echo "The backup failed. The next attempt is in an hour." >&2
        sleep 3600
    fi
done
