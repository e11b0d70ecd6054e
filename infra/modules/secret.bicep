// A secret with a given value, and permission for one identity to read this secret only.
param vaultName string
param name string
@secure()
param value string
param readerId string

var reader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource secret 'Microsoft.KeyVault/vaults/secrets@2026-02-01' = {
  parent: vault
  name: name
  properties: { value: value, contentType: 'text/plain' }
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(secret.id, readerId, reader)
  scope: secret
  properties: { roleDefinitionId: reader, principalId: readerId, principalType: 'ServicePrincipal' }
}
