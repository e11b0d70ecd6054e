// The vault for keys that must outlive all other resources. If deleted, it can be recovered for 90 days and not purged.
param name string
param webPrincipalId string
param migrationPrincipalId string
@secure()
param emailUrl string
@secure()
param openaiApiKey string
@secure()
param otelHeaders string
@secure()
param databaseUrl string
@secure()
param databaseOwnerUrl string
param logsId string
param location string
param tags object

// Created once and never replaced: signatures must remain valid after each provisioning. The fallback is random at first:
// when the secret key is replaced, the old key goes there.
var generatedNames = ['secret-key', 'secret-key-fallbacks', 'audit-keys', 'metrics-token']
var mail = empty(emailUrl) ? [] : ['email-url']
var model = empty(openaiApiKey) ? [] : ['openai-api-key']
var traces = empty(otelHeaders) ? [] : ['otel-exporter-otlp-headers']
var data = empty(databaseUrl) ? [] : ['database-url']

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    enablePurgeProtection: true
  }
}

// One after another: the vault refuses some of several changes at once.
@batchSize(1)
module generated 'generated-secret.bicep' = [
  for secret in generatedNames: {
    params: { vaultName: vault.name, name: secret, readerId: webPrincipalId }
  }
]

module email 'secret.bicep' = if (!empty(emailUrl)) {
  params: { vaultName: vault.name, name: 'email-url', value: emailUrl, readerId: webPrincipalId }
  dependsOn: [generated]
}

module openai 'secret.bicep' = if (!empty(openaiApiKey)) {
  params: { vaultName: vault.name, name: 'openai-api-key', value: openaiApiKey, readerId: webPrincipalId }
  dependsOn: [email]
}

module otel 'secret.bicep' = if (!empty(otelHeaders)) {
  params: { vaultName: vault.name, name: 'otel-exporter-otlp-headers', value: otelHeaders, readerId: webPrincipalId }
  dependsOn: [openai]
}

module database 'secret.bicep' = if (!empty(databaseUrl)) {
  params: { vaultName: vault.name, name: 'database-url', value: databaseUrl, readerId: webPrincipalId }
  dependsOn: [otel]
}

// Only the migration can read this one: the identity that runs the site must not own the tables.
module owner 'secret.bicep' = if (!empty(databaseUrl)) {
  params: {
    vaultName: vault.name
    name: 'database-owner-url'
    value: empty(databaseOwnerUrl) ? databaseUrl : databaseOwnerUrl
    readerId: migrationPrincipalId
  }
  dependsOn: [database]
}

resource toLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: vault
  properties: {
    workspaceId: logsId
    logs: [
      { category: 'AuditEvent', enabled: true }
    ]
  }
}

output name string = vault.name
output uri string = vault.properties.vaultUri
output forWeb string = join(concat(generatedNames, mail, model, traces, data), ',')
