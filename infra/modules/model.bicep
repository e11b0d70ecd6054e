// An AI Services account without keys, and the model deployment in it.
param name string
param deployment string
param format string
param modelName string
param version string
param sku string
param capacity int
param logsId string
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
    // When Azure retires this version, the deployment moves to its successor instead of ending.
    versionUpgradeOption: 'OnceCurrentVersionExpired'
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: account
  properties: {
    workspaceId: logsId
    logs: [
      { category: 'Audit', enabled: true }
    ]
    metrics: [
      { category: 'AllMetrics', enabled: true }
    ]
  }
}
