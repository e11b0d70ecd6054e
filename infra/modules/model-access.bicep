// Access to the model: for the site, and for the principal that deploys (to use it from a laptop with `azd auth login`).
param accountName string
param webPrincipalId string
param principalId string
param principalType string

// "Cognitive Services OpenAI User" is not enough: it does not cover DeepSeek.
var user = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'a97b65f3-24c7-4388-baec-2e87135dc908')

resource account 'Microsoft.CognitiveServices/accounts@2025-09-01' existing = {
  name: accountName
}

resource web 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, webPrincipalId, user)
  scope: account
  properties: { roleDefinitionId: user, principalId: webPrincipalId, principalType: 'ServicePrincipal' }
}

resource deployer 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(principalId)) {
  name: guid(account.id, principalId, user)
  scope: account
  properties: { roleDefinitionId: user, principalId: principalId, principalType: principalType }
}

output endpoint string = 'https://${account.properties.customSubDomainName}.services.ai.azure.com'
