// Two identities: one runs the site, the other owns its tables. docs/review.md explains why they differ.
param webName string
param migrationName string
param location string
param tags object

resource web 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: webName
  location: location
  tags: tags
}

resource migration 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: migrationName
  location: location
  tags: tags
}

output webId string = web.id
output webName string = web.name
output webClientId string = web.properties.clientId
output webPrincipalId string = web.properties.principalId
output migrationId string = migration.id
output migrationName string = migration.name
output migrationClientId string = migration.properties.clientId
output migrationPrincipalId string = migration.properties.principalId
