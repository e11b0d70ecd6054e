#!/bin/sh
# Migrate the database with the image that azd has just pushed, before it deploys the revision that needs it. The old
# version serves meanwhile. azd runs this with its environment's values; a failure here ends `azd deploy`.
set -eu

# azd skips web.bicep when the file has not changed, and with it settings that have: let it take it for new.
azd env set SERVICE_WEB_TEMPLATE_HASH none

job() {
    name=$1
    shift
    az containerapp job "$@" --resource-group "$AZURE_RESOURCE_GROUP" --name "$name"
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
            echo "The migration ended as $status; the site goes on as it was. Its log:" >&2
            echo "  az containerapp job logs show --resource-group $AZURE_RESOURCE_GROUP --name $MIGRATION_JOB_NAME" \
                "--container job --execution $execution" >&2
            exit 1
            ;;
    esac
done

# The daily job of what has outlived its period, if there is one, goes on with the same version.
if [ -n "${PRUNE_JOB_NAME:-}" ]; then
    job "$PRUNE_JOB_NAME" update --image "$SERVICE_WEB_IMAGE_NAME" --output none
fi
