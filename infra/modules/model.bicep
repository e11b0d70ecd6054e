// An AI Services account without keys, and the model deployment in it.
param name string
param deployment string
param format string
param modelName string
param version string
param sku string
param capacity int
param location string
param tags object

resource account 'Microsoft.CognitiveServices/accounts@2025-09-01' = {
  name: name
  location: location
  tags: tags
  kind: 'AIServices'
  sku: { name: 'S0' }
  properties: {
    customSubDomainName: name
    disableLocalAuth: true
    publicNetworkAccess: 'Enabled'
  }
}

resource model 'Microsoft.CognitiveServices/accounts/deployments@2025-09-01' = {
  parent: account
  name: deployment
  sku: { name: sku, capacity: capacity }
  properties: {
    model: { format: format, name: modelName, version: version }
    versionUpgradeOption: 'NoAutoUpgrade'
  }
}
