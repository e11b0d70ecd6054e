#!/bin/sh
# Stop before anything is created if a later step could not run: the Azure CLI starts the migration.
set -eu
if ! command -v az >/dev/null; then
    echo "The Azure CLI (az) is not installed: https://aka.ms/azure-cli" >&2
    exit 1
fi
# Before the first deployment, azd asks for the subscription only after this.
if ! az account get-access-token ${AZURE_SUBSCRIPTION_ID:+--subscription "$AZURE_SUBSCRIPTION_ID"} --output none; then
    echo "The Azure CLI is not signed in, or cannot see the subscription. Run: az login" >&2
    exit 1
fi
