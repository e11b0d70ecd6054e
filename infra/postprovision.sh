#!/bin/sh
# Register the site for sign-in with Entra ID, if ENTRA_REGISTRATION is `true`: the application with its roles, the
# enterprise application, and a credential that trusts the site's identity, so that no secret is needed. Can be repeated.
set -eu
[ "${ENTRA_REGISTRATION:-}" = true ] || exit 0

# A new application is known everywhere only after some seconds.
retry() {
    tries=10
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep "${POLL_SECONDS:-5}"
    done
}

if [ -z "${ENTRA_CLIENT_ID:-}" ]; then
    ENTRA_CLIENT_ID=$(az rest --method post --url https://graph.microsoft.com/v1.0/applications \
        --body @infra/registration.json --query appId --output tsv)
    azd env set ENTRA_CLIENT_ID "$ENTRA_CLIENT_ID"
    azd env set ENTRA_TENANT_ID "$AZURE_TENANT_ID"
    echo "Registered for sign-in with Entra ID: $ENTRA_CLIENT_ID"
fi

set --
for host in "$WEB_HOST" "${CUSTOM_DOMAIN:-}"; do
    [ -z "$host" ] || set -- "$@" "https://$host/accounts/entra/login/callback/"
done
retry az ad app update --id "$ENTRA_CLIENT_ID" --web-redirect-uris "$@"
if ! az ad sp show --id "$ENTRA_CLIENT_ID" --output none 2>/dev/null; then
    retry az ad sp create --id "$ENTRA_CLIENT_ID" --output none
fi

credential=$(printf '{"name": "ponder", "issuer": "https://login.microsoftonline.com/%s/v2.0", "subject": "%s", %s}' \
    "$AZURE_TENANT_ID" "$WEB_IDENTITY_PRINCIPAL_ID" '"audiences": ["api://AzureADTokenExchange"]')
existing=$(az ad app federated-credential list --id "$ENTRA_CLIENT_ID" --query "[?name=='ponder'].name" --output tsv)
if [ -n "$existing" ]; then
    az ad app federated-credential update --id "$ENTRA_CLIENT_ID" --federated-credential-id ponder --parameters "$credential"
else
    retry az ad app federated-credential create --id "$ENTRA_CLIENT_ID" --parameters "$credential" --output none
fi
