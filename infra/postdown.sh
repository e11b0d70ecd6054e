#!/bin/sh
# Let the next `azd up` use other names: a deleted vault keeps its name for 90 days, a model account for two.
set -eu
azd env set SALT "$(date +%s)"
azd env set SERVICE_WEB_IMAGE_NAME mcr.microsoft.com/k8se/quickstart-jobs:latest
