// The web application. `azd deploy` deploys it with each new image, after infra/predeploy.sh has migrated the database,
// so a revision contains both image and settings. main.bicep creates the resources that it needs.
param environmentName string
param location string
param containersName string
param registry string
param identityName string
param vaultName string

@description('Names of secrets in the vault, separated by commas. `secret-key` becomes SECRET_KEY in the site.')
param fromVault string

param image string

@description('Endpoint of the model on Azure. Empty: OPENAI_BASE_URL is in the settings.')
param modelEndpoint string
param modelDeployment string

@description('Database URL without a password. Empty: it is one of the secrets.')
param databaseUrl string
param databaseAuth string

@description('URL of the storage for the files that people attach.')
param storageUrl string

@description('Redis URL. Empty with one replica, which does not need Redis.')
param redisUrl string

@description('Number of replicas. It is fixed, because automatic scaling counts requests and not open sockets.')
param replicas string

@description('Cores and memory of a replica.')
param cpu string
param memory string

@description('Seconds that running answers may continue when a replica is replaced. At most 590.')
param drainSeconds string

@description('Your own host name, and its certificate in the environment. See docs/azure.md for the steps.')
param customDomain string
param certificateId string

@description('Resource id of the action group to alert. Empty: no alerts.')
param actionGroupId string

@description('Settings of the site by name. Empty values keep the site\'s default.')
param settings object

var hosts = concat(['${name}.${containers.properties.defaultDomain}'], empty(customDomain) ? [] : [customDomain])
var secrets = split(fromVault, ',')
var name = 'web-${uniqueString(resourceGroup().id, environmentName)}'
// A domain is first added without a certificate, so that one can be requested, and then secured with it.
var announced = { name: customDomain, bindingType: 'Disabled' }
var secured = { name: customDomain, bindingType: 'SniEnabled', certificateId: certificateId }
// With models of your own in this file, that of the template is not added to them: name it there too, if you use it.
var models = loadTextContent('models.toml')
var settled = {
  ALLOWED_HOSTS: join(hosts, ',')
  CSRF_TRUSTED_ORIGINS: 'https://${join(hosts, ',https://')}'
  TRUSTED_PROXY_COUNT: '1'
  RUNNING_IN_PRODUCTION: 'true'
  AZURE_CLIENT_ID: identity.properties.clientId
  MODELS: models
  AZURE_INFERENCE_ENDPOINT: empty(models) ? modelEndpoint : ''
  AZURE_DEEPSEEK_DEPLOYMENT: empty(models) ? modelDeployment : ''
  DATABASE_URL: databaseUrl
  DATABASE_AUTH: databaseAuth
  STORAGE_URL: storageUrl
  REDIS_URL: redisUrl
  REDIS_AUTH: empty(redisUrl) ? '' : 'entra'
  DRAIN_SECONDS: drainSeconds
  PORT: '8000'
  LOG_FORMAT: 'json'
}

resource containers 'Microsoft.App/managedEnvironments@2026-01-01' existing = {
  name: containersName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource web 'Microsoft.App/containerApps@2026-01-01' = {
  name: name
  location: location
  tags: { 'azd-env-name': environmentName, 'azd-service-name': 'web' }
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identity.id}': {} } }
  properties: {
    environmentId: containers.id
    workloadProfileName: 'Consumption'
    configuration: {
      // The old revision serves until the new one is ready.
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        allowInsecure: false
        targetPort: 8000
        transport: 'http'
        customDomains: empty(customDomain) ? [] : (empty(certificateId) ? [announced] : [secured])
      }
      registries: [
        { server: registry, identity: identity.id }
      ]
      secrets: [
        for one in secrets: {
          name: one
          keyVaultUrl: '${vault.properties.vaultUri}secrets/${one}'
          identity: identity.id
        }
      ]
    }
    template: {
      // After the drain, saving the rest takes up to four seconds.
      terminationGracePeriodSeconds: int(drainSeconds) + 10
      scale: { minReplicas: int(replicas), maxReplicas: int(replicas) }
      containers: [
        {
          name: 'web'
          image: image
          resources: { cpu: json(cpu), memory: memory }
          env: concat(
            map(filter(items(settled), one => !empty(one.value)), one => { name: one.key, value: one.value }),
            map(filter(items(settings), one => !empty(one.value)), one => { name: one.key, value: one.value }),
            map(secrets, one => { name: toUpper(replace(one, '-', '_')), secretRef: one })
          )
          // A host name that the site always accepts: probes would use the container's address.
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/healthz', port: 8000, httpHeaders: [{ name: 'Host', value: 'localhost' }] }
              periodSeconds: 3
              failureThreshold: 10
              initialDelaySeconds: 3
              timeoutSeconds: 5
            }
            {
              type: 'Liveness'
              httpGet: { path: '/healthz', port: 8000, httpHeaders: [{ name: 'Host', value: 'localhost' }] }
              periodSeconds: 10
              failureThreshold: 6
              timeoutSeconds: 5
            }
            {
              type: 'Readiness'
              httpGet: { path: '/readyz', port: 8000, httpHeaders: [{ name: 'Host', value: 'localhost' }] }
              periodSeconds: 5
              failureThreshold: 3
              timeoutSeconds: 5
            }
          ]
        }
      ]
    }
  }
}

module alerts 'modules/web-alerts.bicep' = if (!empty(actionGroupId)) {
  params: { name: name, webId: web.id, actionGroupId: actionGroupId }
}

output WEB_URL string = 'https://${last(hosts)}'
