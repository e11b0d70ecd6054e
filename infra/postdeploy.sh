#!/bin/sh
# Create the first administrator, if the site has none, and show the password once. Needs a terminal.
set -eu
run="az containerapp exec --subscription $AZURE_SUBSCRIPTION_ID --resource-group $AZURE_RESOURCE_GROUP --name ${WEB_HOST%%.*}"
command="python manage.py first_administrator${FIRST_ADMINISTRATOR:+ --email $FIRST_ADMINISTRATOR}"
if [ -t 0 ]; then
    $run --command "$command"
else
    echo "To create the first administrator, if there is none: $run --command '$command'"
fi
