#!/bin/sh
# Migrate the database with the image that azd has just pushed, before azd deploys the revision that needs it. The old
# version keeps serving meanwhile. azd runs this script with the values of its environment; a failure stops `azd deploy`.
set -eu

# An environment of an earlier version has no storage for files, and the site would lose them with each container.
: "${WEB_STORAGE_URL:?is not set. Run azd provision first: it creates the storage for attached files}"

job() {
    name=$1
    shift
    az containerapp job "$@" --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$AZURE_RESOURCE_GROUP" --name "$name"
}

job "$MIGRATION_JOB_NAME" update --image "$SERVICE_WEB_IMAGE_NAME" --output none
execution=$(job "$MIGRATION_JOB_NAME" start --query name --output tsv)
echo "Migrating: $execution"
while :; do
    status=$(job "$MIGRATION_JOB_NAME" execution show --job-execution-name "$execution" \
        --query properties.status --output tsv)
    case $status in
        Succeeded) break ;;
        Running | Processing | Unknown) sleep "${POLL_SECONDS:-5}" ;;
        *)
            echo "The migration ended with status $status. The current version keeps running. To see the log:" >&2
            echo "  az containerapp job logs show --subscription $AZURE_SUBSCRIPTION_ID --resource-group $AZURE_RESOURCE_GROUP --name $MIGRATION_JOB_NAME" \
                "--container job --execution $execution" >&2
            exit 1
            ;;
    esac
done

# The daily pruning job, if there is one, uses the same version.
if [ -n "${PRUNE_JOB_NAME:-}" ]; then
    job "$PRUNE_JOB_NAME" update --image "$SERVICE_WEB_IMAGE_NAME" --output none
fi
