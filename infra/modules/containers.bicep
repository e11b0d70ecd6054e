// The environment of the containers, and their logs. A diagnostic setting sends the logs, because the alternative needs
// the workspace's key.
param name string
param logsName string
param logRetentionDays int
param subnetId string
param location string
param tags object

// The site writes one JSON object a line: docs/operations.md lists its fields.
var lines = 'ContainerAppConsoleLogs | extend line = parse_json(Log) | extend level = tostring(line.level), message = tostring(line.message)'
var savedQueries = {
  errors: {
    label: 'Errors of the site'
    query: '${lines} | where level in (\'error\', \'critical\') | project TimeGenerated, message, tostring(line.exception), ContainerGroupName'
  }
  failures: {
    label: 'Answers that failed, by cause'
    query: '${lines} | parse message with \'generation \' * \' failed: \' cause \':\' * | where isnotempty(cause) | summarize count() by cause, bin(TimeGenerated, 1h)'
  }
  audit: {
    label: 'Heads of the audit trail'
    query: '${lines} | where message startswith \'audit head\' | project TimeGenerated, message'
  }
  request: {
    label: 'One request, by its X-Request-ID'
    query: '${lines} | where tostring(line.request) == \'PASTE THE ID\' | project TimeGenerated, level, message'
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: logsName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: logRetentionDays
    features: { disableLocalAuth: true }
  }
}

resource containers 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    vnetConfiguration: { infrastructureSubnetId: subnetId, internal: false }
    workloadProfiles: [
      { name: 'Consumption', workloadProfileType: 'Consumption' }
    ]
    zoneRedundant: false
  }
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: containers
  properties: {
    workspaceId: logs.id
    logs: [
      { category: 'ContainerAppConsoleLogs', enabled: true }
      { category: 'ContainerAppSystemLogs', enabled: true }
    ]
  }
}

// Shown in the portal under the workspace's queries.
resource searches 'Microsoft.OperationalInsights/workspaces/savedSearches@2020-08-01' = [
  for search in items(savedQueries): {
    parent: logs
    name: search.key
    properties: {
      category: 'Site'
      displayName: search.value.label
      query: search.value.query
      version: 2
    }
  }
]

output logsId string = logs.id
output domain string = containers.properties.defaultDomain
output id string = containers.id
output name string = containers.name
