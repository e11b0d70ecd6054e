// A random secret, created once and never replaced, and permission to read it.
param vaultName string
param name string
param readerId string
@description('Two halves of 122 random bits each. Not set from outside.')
@secure()
param half string = newGuid()
@secure()
param otherHalf string = newGuid()

var reader = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

@onlyIfNotExists()
resource secret 'Microsoft.KeyVault/vaults/secrets@2026-02-01' = {
  parent: vault
  name: name
  properties: { value: '${half}${otherHalf}', contentType: 'text/plain' }
}

resource read 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(secret.id, readerId, reader)
  scope: secret
  properties: { roleDefinitionId: reader, principalId: readerId, principalType: 'ServicePrincipal' }
}
