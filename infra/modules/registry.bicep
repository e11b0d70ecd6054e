// The container registry. It has no password.
param name string
@description('Principals of the identities that run the image: they pull it.')
param pullers array
param pusherId string
param pusherType string
param logsId string
param location string
param tags object

var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')
var acrPush = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '8311e382-0749-4cb8-b61a-304f252e45ec')

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Basic' }
  properties: { adminUserEnabled: false }
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for puller in pullers: {
    name: guid(registry.id, puller, acrPull)
    scope: registry
    properties: { roleDefinitionId: acrPull, principalId: puller, principalType: 'ServicePrincipal' }
  }
]

resource push 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(pusherId)) {
  name: guid(registry.id, pusherId, acrPush)
  scope: registry
  properties: { roleDefinitionId: acrPush, principalId: pusherId, principalType: pusherType }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: registry
  properties: {
    workspaceId: logsId
    logs: [
      { category: 'ContainerRegistryLoginEvents', enabled: true }
      { category: 'ContainerRegistryRepositoryEvents', enabled: true }
    ]
  }
}

output endpoint string = registry.properties.loginServer
