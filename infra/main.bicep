// What `azd provision` makes: all but the web application itself, which `azd deploy` makes from web.bicep together
// with its image. docs/azure.md tells how to use it, and what of it could not be tried without a subscription.
targetScope = 'subscription'

@description('Name of the azd environment; names and tags follow from it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything that is made here.')
param location string

@description('Who deploys: gets the roles that a developer or a pipeline needs. azd fills it in; empty: nobody.')
param principalId string = ''

@description('What kind of principal that is; azd fills it in.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'

@description('An existing resource group to use; empty: one is made.')
param existingResourceGroup string = ''

@description('Resource id of an existing Azure AI Services account that has the deployment; empty: both are made.')
param existingModelAccount string = ''

@description('Name of the model deployment.')
param modelDeployment string = 'deepseek'

@description('Who publishes the model, its name and its version: `az cognitiveservices model list` shows what there is.')
param modelFormat string = 'DeepSeek'
param modelName string = 'DeepSeek-V4-Flash'
param modelVersion string = '2026-04-23'

@description('GlobalStandard answers from any region, DataZoneStandard stays in the zone, Standard in the region.')
param modelSku string = 'GlobalStandard'

@description('Thousands of tokens a minute, for most models.')
@minValue(1)
param modelCapacity int = 50

@description('Any other OpenAI-compatible endpoint instead of a model on Azure.')
param openaiBaseUrl string = ''

@description('The key of that endpoint.')
@secure()
param openaiApiKey string = ''

@description('Where mail goes, smtp://user:password@host:587/?tls=True; empty: it is printed.')
@secure()
param emailUrl string = ''

@description('URL of an existing PostgreSQL database, as the role that runs the site; empty: a server is made.')
@secure()
param existingDatabaseUrl string = ''

@description('The same as the role that owns the tables and migrates; empty: the same role.')
@secure()
param existingDatabaseOwnerUrl string = ''

@description('Compute of the PostgreSQL server: its size, and the tier the size belongs to.')
param databaseSku string = 'Standard_B1ms'
@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param databaseTier string = 'Burstable'

@description('Replicas of the site. More than one brings Azure Managed Redis.')
@minValue(1)
@maxValue(30)
param replicas int = 1

@description('Size of the Redis that joins the replicas.')
param redisSku string = 'Balanced_B0'

@description('How long logs, and with them the heads of the audit trail, are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('The image that migrates. `azd deploy` puts each new one in before it starts the job.')
param image string = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = { 'azd-env-name': environmentName }
var groupName = empty(existingResourceGroup) ? 'rg-${environmentName}' : existingResourceGroup

// Where the model's account is, as the parts of its resource id: [2] subscription, [4] resource group, [8] name.
var newAccount = 'ai-${token}'
var here = '${subscription().id}/resourceGroups/${groupName}'
var newAccountId = '${here}/providers/Microsoft.CognitiveServices/accounts/${newAccount}'
var account = split(empty(existingModelAccount) ? newAccountId : existingModelAccount, '/')
var onAzure = empty(openaiBaseUrl)
var makesModel = onAzure && empty(existingModelAccount)

var makesDatabase = empty(existingDatabaseUrl)
var databaseName = 'site'
var databaseHost = makesDatabase ? database!.outputs.host : ''
var databaseRest = '${databaseHost}:5432/${databaseName}'
var makesRedis = replicas > 1

// Made once, and never again: what was signed with them has to hold after each provisioning.
// The fallback is nobody's at first: when SECRET_KEY is replaced, the old one goes there.
var generatedSecrets = ['secret-key', 'secret-key-fallbacks', 'audit-keys', 'metrics-token']
var mail = empty(emailUrl) ? [] : ['email-url']
var key = empty(openaiApiKey) ? [] : ['openai-api-key']
var data = makesDatabase ? [] : ['database-url']
var secrets = concat(generatedSecrets, mail, key, data)

resource newGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = if (empty(existingResourceGroup)) {
  name: groupName
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  scope: resourceGroup(groupName)
  params: {
    webName: 'id-web-${token}'
    migrationName: 'id-migration-${token}'
    location: location
    tags: tags
  }
  dependsOn: [newGroup]
}

module network 'modules/network.bicep' = {
  name: 'network'
  scope: resourceGroup(groupName)
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
  }
  dependsOn: [newGroup]
}

module containers 'modules/containers.bicep' = {
  name: 'containers'
  scope: resourceGroup(groupName)
  params: {
    name: 'cae-${token}'
    logsName: 'log-${token}'
    logRetentionDays: logRetentionDays
    subnetId: network.outputs.webSubnetId
    location: location
    tags: tags
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: resourceGroup(groupName)
  params: {
    name: 'cr${token}'
    pullers: [identities.outputs.webPrincipalId, identities.outputs.migrationPrincipalId]
    pusherId: principalId
    pusherType: principalType
    location: location
    tags: tags
  }
}

module model 'modules/model.bicep' = if (makesModel) {
  name: 'model'
  scope: resourceGroup(groupName)
  params: {
    name: newAccount
    deployment: modelDeployment
    format: modelFormat
    modelName: modelName
    version: modelVersion
    sku: modelSku
    capacity: modelCapacity
    location: location
    tags: tags
  }
  dependsOn: [newGroup]
}

module modelAccess 'modules/model-access.bicep' = if (onAzure) {
  name: 'model-access'
  scope: resourceGroup(account[2], account[4])
  params: {
    accountName: account[8]
    webPrincipalId: identities.outputs.webPrincipalId
    principalId: principalId
    principalType: principalType
  }
  dependsOn: [model]
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: resourceGroup(groupName)
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
  }
  dependsOn: [newGroup]
}

module generatedSecret 'modules/generated-secret.bicep' = [
  for name in generatedSecrets: {
    name: 'secret-${name}'
    scope: resourceGroup(groupName)
    params: {
      vaultName: vault.outputs.name
      name: name
      readerId: identities.outputs.webPrincipalId
    }
  }
]

module emailSecret 'modules/secret.bicep' = if (!empty(emailUrl)) {
  name: 'secret-email-url'
  scope: resourceGroup(groupName)
  params: {
    vaultName: vault.outputs.name
    name: 'email-url'
    value: emailUrl
    readerId: identities.outputs.webPrincipalId
  }
}

module openaiSecret 'modules/secret.bicep' = if (!empty(openaiApiKey)) {
  name: 'secret-openai-api-key'
  scope: resourceGroup(groupName)
  params: {
    vaultName: vault.outputs.name
    name: 'openai-api-key'
    value: openaiApiKey
    readerId: identities.outputs.webPrincipalId
  }
}

module databaseSecret 'modules/secret.bicep' = if (!makesDatabase) {
  name: 'secret-database-url'
  scope: resourceGroup(groupName)
  params: {
    vaultName: vault.outputs.name
    name: 'database-url'
    value: existingDatabaseUrl
    readerId: identities.outputs.webPrincipalId
  }
}

// Only the migration may read this one: who runs the site must not become the owner of its tables.
module ownerSecret 'modules/secret.bicep' = if (!makesDatabase) {
  name: 'secret-database-owner-url'
  scope: resourceGroup(groupName)
  params: {
    vaultName: vault.outputs.name
    name: 'database-owner-url'
    value: empty(existingDatabaseOwnerUrl) ? existingDatabaseUrl : existingDatabaseOwnerUrl
    readerId: identities.outputs.migrationPrincipalId
  }
}

module database 'modules/database.bicep' = if (makesDatabase) {
  name: 'database'
  scope: resourceGroup(groupName)
  params: {
    name: 'psql-${token}'
    database: databaseName
    sku: databaseSku
    tier: databaseTier
    ownerName: identities.outputs.migrationName
    ownerId: identities.outputs.migrationPrincipalId
    networkId: network.outputs.id
    subnetId: network.outputs.databaseSubnetId
    location: location
    tags: tags
  }
}

module redis 'modules/redis.bicep' = if (makesRedis) {
  name: 'redis'
  scope: resourceGroup(groupName)
  params: {
    name: 'redis-${token}'
    sku: redisSku
    userId: identities.outputs.webPrincipalId
    location: location
    tags: tags
  }
}

module migration 'modules/migration.bicep' = {
  name: 'migration'
  scope: resourceGroup(groupName)
  params: {
    name: 'migration-${token}'
    environmentId: containers.outputs.id
    image: image
    registry: registry.outputs.endpoint
    identityId: identities.outputs.migrationId
    identityClientId: identities.outputs.migrationClientId
    databaseUrl: makesDatabase ? 'postgresql://${identities.outputs.migrationName}@${databaseRest}' : ''
    databaseUrlInVault: makesDatabase ? '' : ownerSecret!.outputs.uri
    applicationRole: makesDatabase ? identities.outputs.webName : ''
    applicationRoleId: identities.outputs.webPrincipalId
    location: location
    tags: tags
  }
}

output AZURE_RESOURCE_GROUP string = groupName
output AZURE_TENANT_ID string = tenant().tenantId
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.endpoint
output AZURE_INFERENCE_ENDPOINT string = onAzure ? modelAccess!.outputs.endpoint : ''
output AZURE_DEEPSEEK_DEPLOYMENT string = onAzure ? modelDeployment : ''
output CONTAINER_APPS_ENVIRONMENT_NAME string = containers.outputs.name
output KEY_VAULT_NAME string = vault.outputs.name
output MIGRATION_JOB_NAME string = migration.outputs.name
output WEB_IDENTITY_NAME string = identities.outputs.webName
output WEB_FROM_VAULT string = join(secrets, ',')
output WEB_DATABASE_URL string = makesDatabase ? 'postgresql://${identities.outputs.webName}@${databaseRest}' : ''
output WEB_REDIS_URL string = makesRedis ? 'rediss://${redis!.outputs.host}:10000' : ''
