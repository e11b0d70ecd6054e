#!/bin/sh
# Create the secrets that compose.yaml mounts, in secrets/. Existing files are not changed.
set -eu
cd "$(dirname "$0")/.."
# The folder keeps other users out. The files are readable, because the users inside containers have other ids.
mkdir -p secrets
chmod 700 secrets
umask 022

random() {
    od -An -v -N 32 -t x1 /dev/urandom | tr -d ' \n'
}

from_env() {
    found=$(sed -n "s/^$1=//p" .env 2>/dev/null || true)
    printf '%s' "${found:-${2:-}}"
}

[ -e secrets/secret_key ] || random > secrets/secret_key
[ -e secrets/audit_keys ] || random > secrets/audit_keys
[ -e secrets/metrics_token ] || random > secrets/metrics_token
[ -e secrets/postgresql_password ] || random > secrets/postgresql_password
[ -e secrets/database_url ] ||
    printf 'postgresql://site:%s@postgresql:5432/site' "$(cat secrets/postgresql_password)" > secrets/database_url
# Copied from `.env`, if set there.
[ -e secrets/openai_api_key ] || from_env OPENAI_API_KEY > secrets/openai_api_key
[ -e secrets/entra_client_secret ] || from_env ENTRA_CLIENT_SECRET > secrets/entra_client_secret
[ -e secrets/email_url ] || from_env EMAIL_URL console:// > secrets/email_url
