// The resources that `azd provision` creates: everything except the web application, which `azd deploy` creates from
// web.bicep with its image. docs/azure.md explains how to use it, and what could not be tested without a subscription.
targetScope = 'subscription'

@description('Name of the azd environment. Names and tags of resources are based on it.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of all resources.')
param location string

@description('Principal that deploys. It gets the roles that a developer or a pipeline needs. Set by azd; empty: none.')
param principalId string = ''

@description('Type of that principal. Set by azd.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'

@description('An existing resource group. Empty: create one.')
param existingResourceGroup string = ''

@description('Resource id of an existing AI Services account with the deployment. Empty: create both.')
param existingModelAccount string = ''

@description('Name of the model deployment.')
param modelDeployment string = 'deepseek'

@description('Publisher, name and version of the model: `az cognitiveservices model list` lists what is available.')
param modelFormat string = 'DeepSeek'
param modelName string = 'DeepSeek-V4-Flash'
param modelVersion string = '2026-04-23'

// azd offers the regions whose quota has room for this model and capacity, both with their defaults. Without a default here,
// it asks. MODEL_LOCATION answers in advance.
@description('Region of the model\'s account.')
@metadata({ azd: { type: 'location', usageName: ['AIServices.GlobalStandard.DeepSeek-V4-Flash,150'] } })
param modelLocation string

@description('GlobalStandard runs in any region, DataZoneStandard in the data zone, Standard in the region.')
param modelSku string = 'GlobalStandard'

@description('Capacity. For DeepSeek, 1 is a request and about 1,000 tokens per minute.')
@minValue(1)
param modelCapacity int = 150

@description('An OpenAI-compatible endpoint to use instead of a model on Azure.')
param openaiBaseUrl string = ''

@description('API key of that endpoint.')
@secure()
param openaiApiKey string = ''

@description('Headers for the collector of traces, such as api-key=secret.')
@secure()
param otelHeaders string = ''

@description('Where email is sent: smtp://user:password@host:587/?tls=True. Empty: print it to the log.')
@secure()
param emailUrl string = ''

@description('URL of an existing PostgreSQL database, for the role that runs the site. Empty: create a server.')
@secure()
param existingDatabaseUrl string = ''

@description('The same for the role that owns the tables and migrates. Empty: the same role.')
@secure()
param existingDatabaseOwnerUrl string = ''

@description('How the site authenticates to the existing database: with the password in the URL, or with tokens.')
@allowed(['password', 'entra'])
param existingDatabaseAuth string = 'password'

@description('Size of the PostgreSQL server, and the tier of that size.')
param databaseSku string = 'Standard_B1ms'
@allowed(['Burstable', 'GeneralPurpose', 'MemoryOptimized'])
param databaseTier string = 'Burstable'

@description('Number of replicas of the site. More than one adds Azure Managed Redis.')
@minValue(1)
@maxValue(30)
param replicas int = 1

@description('Size of the Redis that connects the replicas.')
param redisSku string = 'Balanced_B0'

@description('Days that logs are kept, including the heads of the audit trail.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 90

@description('Days after which reasoning, conversations and deactivated accounts are deleted. 0: never.')
param retainReasoningDays string = '0'
param retainConversationsDays string = '0'
param retainDeactivatedDays string = '0'

@description('Where alerts are sent. Empty: no alerts.')
param alertEmail string = ''

@description('Any text, such as a number: makes new names, for when deleted resources keep the old ones.')
param salt string = ''

@description('Image of the jobs. `azd deploy` sets the new one before it starts the migration.')
param image string = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'

var unsalted = uniqueString(subscription().id, environmentName, location)
var token = toLower(empty(salt) ? unsalted : uniqueString(unsalted, salt))
var tags = { 'azd-env-name': environmentName }
var groupName = empty(existingResourceGroup) ? 'rg-${environmentName}' : existingResourceGroup

// The parts of the resource id of the model's account: [2] subscription, [4] resource group, [8] name.
var newAccount = 'ai-${token}'
var here = '${subscription().id}/resourceGroups/${groupName}'
var newAccountId = '${here}/providers/Microsoft.CognitiveServices/accounts/${newAccount}'
var account = split(empty(existingModelAccount) ? newAccountId : existingModelAccount, '/')
var onAzure = empty(openaiBaseUrl)
var makesModel = onAzure && empty(existingModelAccount)

var makesDatabase = empty(existingDatabaseUrl)
var databaseName = 'site'
var databaseHost = makesDatabase ? database!.outputs.host : ''
var asSite = {
  DATABASE_URL: 'postgresql://${identities.outputs.webName}@${databaseHost}:5432/${databaseName}'
  DATABASE_AUTH: 'entra'
}
var asOwner = {
  DATABASE_URL: 'postgresql://${identities.outputs.migrationName}@${databaseHost}:5432/${databaseName}'
  DATABASE_AUTH: 'entra'
}
var brought = { DATABASE_AUTH: existingDatabaseAuth }
var makesRedis = replicas > 1

// Commands and settings of the jobs.
var everywhere = { RUNNING_IN_PRODUCTION: 'true', LOG_FORMAT: 'json' }
var keys = { SECRET_KEY: 'secret-key', AUDIT_KEYS: 'audit-keys' }
var role = '${identities.outputs.webName} --entra ${identities.outputs.webPrincipalId}'
var migrate = 'python manage.py migrate'
var grant = 'python manage.py grant_application_role ${role}'
var prunes = retainReasoningDays != '0' || retainConversationsDays != '0' || retainDeactivatedDays != '0'

resource newGroup 'Microsoft.Resources/resourceGroups@2025-04-01' = if (empty(existingResourceGroup)) {
  name: groupName
  location: location
  tags: tags
}

module identities 'modules/identities.bicep' = {
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
  scope: resourceGroup(groupName)
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
  }
  dependsOn: [newGroup]
}

module containers 'modules/containers.bicep' = {
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
  scope: resourceGroup(groupName)
  params: {
    name: 'cr${token}'
    pullers: [identities.outputs.webPrincipalId, identities.outputs.migrationPrincipalId]
    pusherId: principalId
    pusherType: principalType
    logsId: containers.outputs.logsId
    location: location
    tags: tags
  }
}

module model 'modules/model.bicep' = if (makesModel) {
  scope: resourceGroup(groupName)
  params: {
    name: newAccount
    deployment: modelDeployment
    format: modelFormat
    modelName: modelName
    version: modelVersion
    sku: modelSku
    capacity: modelCapacity
    logsId: containers.outputs.logsId
    location: modelLocation
    tags: tags
  }
  dependsOn: [newGroup]
}

module modelAccess 'modules/model-access.bicep' = if (onAzure) {
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
  scope: resourceGroup(groupName)
  params: {
    name: 'kv-${token}'
    webPrincipalId: identities.outputs.webPrincipalId
    migrationPrincipalId: identities.outputs.migrationPrincipalId
    emailUrl: emailUrl
    openaiApiKey: openaiApiKey
    otelHeaders: otelHeaders
    databaseUrl: existingDatabaseUrl
    databaseOwnerUrl: existingDatabaseOwnerUrl
    logsId: containers.outputs.logsId
    location: location
    tags: tags
  }
}

module database 'modules/database.bicep' = if (makesDatabase) {
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
    logsId: containers.outputs.logsId
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  scope: resourceGroup(groupName)
  params: {
    name: 'st${token}'
    webPrincipalId: identities.outputs.webPrincipalId
    logsId: containers.outputs.logsId
    location: location
    tags: tags
  }
}

module redis 'modules/redis.bicep' = if (makesRedis) {
  scope: resourceGroup(groupName)
  params: {
    name: 'redis-${token}'
    sku: redisSku
    userId: identities.outputs.webPrincipalId
    location: location
    tags: tags
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmail)) {
  scope: resourceGroup(groupName)
  params: {
    name: 'alerts-${token}'
    email: alertEmail
    logsId: containers.outputs.logsId
    location: location
    tags: tags
  }
}

// Migrates as the owner of the tables, and grants the site's role access. The settings require a key, but a migration
// signs nothing and must not get the key of the audit trail.
module migration 'modules/job.bicep' = {
  scope: resourceGroup(groupName)
  params: {
    name: 'migration-${token}'
    environmentId: containers.outputs.id
    image: image
    registry: registry.outputs.endpoint
    identityId: identities.outputs.migrationId
    command: ['sh', '-c', makesDatabase ? '${migrate} && ${grant}' : migrate]
    schedule: ''
    settings: union(everywhere, makesDatabase ? asOwner : brought, {
      AZURE_CLIENT_ID: identities.outputs.migrationClientId
      SECRET_KEY: 'a-migration-signs-nothing-with-this'
    })
    fromVault: makesDatabase ? {} : { DATABASE_URL: 'database-owner-url' }
    vaultUri: vault.outputs.uri
    location: location
    tags: tags
  }
}

module prune 'modules/job.bicep' = if (prunes) {
  scope: resourceGroup(groupName)
  params: {
    name: 'prune-${token}'
    environmentId: containers.outputs.id
    image: image
    registry: registry.outputs.endpoint
    identityId: identities.outputs.webId
    command: ['python', 'manage.py', 'prune']
    schedule: '17 3 * * *'
    settings: union(everywhere, makesDatabase ? asSite : brought, {
      AZURE_CLIENT_ID: identities.outputs.webClientId
      RETAIN_REASONING_DAYS: retainReasoningDays
      RETAIN_CONVERSATIONS_DAYS: retainConversationsDays
      RETAIN_DEACTIVATED_DAYS: retainDeactivatedDays
    })
    fromVault: union(keys, makesDatabase ? {} : { DATABASE_URL: 'database-url' })
    vaultUri: vault.outputs.uri
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
output PRUNE_JOB_NAME string = prunes ? prune!.outputs.name : ''
output ALERTS_ACTION_GROUP_ID string = empty(alertEmail) ? '' : alerts!.outputs.actionGroupId
output WEB_IDENTITY_PRINCIPAL_ID string = identities.outputs.webPrincipalId
output WEB_HOST string = 'web-${uniqueString(here, environmentName)}.${containers.outputs.domain}'
output WEB_FROM_VAULT string = vault.outputs.forWeb
output WEB_DATABASE_URL string = makesDatabase ? asSite.DATABASE_URL : ''
output WEB_DATABASE_AUTH string = makesDatabase ? asSite.DATABASE_AUTH : existingDatabaseAuth
output WEB_STORAGE_URL string = storage.outputs.url
output WEB_REDIS_URL string = makesRedis ? 'rediss://${redis!.outputs.host}:10000' : ''
