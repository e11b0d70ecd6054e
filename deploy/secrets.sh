#!/bin/sh
# Write the secrets that compose.yaml mounts to secrets/. Run it again after each change of `.env`: what is set there is
# copied, everything else stays. SECRET_KEY and AUDIT_KEYS are written once: see "Keys" in docs/operations.md.
set -eu
cd "$(dirname "$0")/.."
# The folder keeps other users out. The files are readable, because the users inside containers have other ids.
mkdir -p secrets
chmod 700 secrets
umask 022
changed=

random() {
    od -An -v -N 32 -t x1 /dev/urandom | tr -d ' \n'
}

# Print what `.env` has after `NAME=`. Fail if the name is not set there.
assigned() {
    line=$(sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*/=/p" .env 2>/dev/null | tail -n 1)
    [ -n "$line" ] && printf '%s' "${line#=}"
}

# Read a value as the site and Compose do: without quotes, or without a comment.
unquoted() {
    tr -d '\r' | sed -e "s/^'\([^']*\)'.*/\1/;t" -e 's/^"\([^"]*\)".*/\1/;t' \
        -e 's/[[:space:]]\{1,\}#.*//' -e 's/[[:space:]]*$//'
}

# Write in place: a container that runs sees a change of the file, but not another file of this name.
store() {
    printf '%s' "$2" > "secrets/$1"
}

# copy FILE NAME DEFAULT
copy() {
    if found=$(assigned "$2"); then
        value=$(printf '%s' "$found" | unquoted)
        if [ -e "secrets/$1" ] && [ "$value" != "$(cat "secrets/$1")" ]; then
            echo "secrets/$1 has changed."
            changed=yes
        fi
        store "$1" "$value"
    elif [ ! -e "secrets/$1" ]; then
        store "$1" "$3"
    fi
}

# keep FILE NAME
keep() {
    if [ ! -e "secrets/$1" ]; then
        copy "$1" "$2" "$(random)"
    elif found=$(assigned "$2") && [ "$(printf '%s' "$found" | unquoted)" != "$(cat "secrets/$1")" ]; then
        echo "secrets/$1 differs from $2 in .env and is kept. To replace a key, see docs/operations.md."
    fi
}

[ -e secrets/postgresql_password ] || store postgresql_password "$(random)"
[ -e secrets/grafana_password ] || store grafana_password "$(random)"
keep secret_key SECRET_KEY
keep audit_keys AUDIT_KEYS
copy metrics_token METRICS_TOKEN "$(random)"
copy secret_key_fallbacks SECRET_KEY_FALLBACKS ''
copy database_url DATABASE_URL "postgresql://site:$(cat secrets/postgresql_password)@postgresql:5432/site"
copy redis_url REDIS_URL redis://redis:6379/0
copy openai_api_key OPENAI_API_KEY ''
copy entra_client_secret ENTRA_CLIENT_SECRET ''
copy oidc_client_secret OIDC_CLIENT_SECRET ''
copy otel_exporter_otlp_headers OTEL_EXPORTER_OTLP_HEADERS ''
copy email_url EMAIL_URL console://

if [ -n "$changed" ]; then
    echo "To use it: docker compose up --detach --force-recreate --wait"
fi
