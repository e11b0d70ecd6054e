#!/bin/sh
# Copy the folder with the site's attached files to TARGET, while the site runs: `copy_files.sh SOURCE TARGET [PREVIOUS]`.
# Back up the database first: then the files of all its rows are in the copy, or were deleted meanwhile. What the earlier
# copy PREVIOUS has already is linked to, and takes no more room. If anything fails, there is no TARGET.
set -eu
umask 077
source=${1:?give the folder of STORAGE_URL}
target=${2:?give the folder to write}
previous=${3:-}
if [ -e "$target" ]; then
    echo "$target already exists." >&2
    exit 1
fi
partial=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$partial" "$partial.list"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$partial/files" "$partial/pictures"
# Archives are made of what is here, and expire.
(cd "$source" && find . -type f ! -path './archives/*') > "$partial.list"
while IFS= read -r name; do
    # A file that was not complete when it was copied is newer now.
    if [ -f "$previous/$name" ] && [ ! "$source/$name" -nt "$previous/$name" ]; then
        ln "$previous/$name" "$partial/$name"
    elif ! cp "$source/$name" "$partial/$name" && [ -e "$source/$name" ]; then
        exit 1 # else it has just been deleted
    fi
done < "$partial.list"
sync
mv "$partial" "$target"
