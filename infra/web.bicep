// The site itself: `azd deploy` deploys this with each new image, after infra/predeploy.sh has migrated the database,
// so a revision is image and settings in one. What it stands on, main.bicep has made before.
param environmentName string
param location string
param containersName string
param registry string
param identityName string
param vaultName string

@description('Names in the vault, with commas; `secret-key` is given to the site as SECRET_KEY.')
param fromVault string

param image string

@description('Of the model on Azure; empty: OPENAI_BASE_URL is among the settings.')
param modelEndpoint string
param modelDeployment string

@description('Without a password; empty: it is among the secrets.')
param databaseUrl string
param databaseAuth string

@description('Empty with one replica, which needs none.')
param redisUrl string

@description('How many run. A fixed number: what scales by itself counts requests, and an open socket is none.')
param replicas string

@description('Cores and memory of a replica.')
param cpu string
param memory string

@description('How long running answers may go on when a replica is replaced; Container Apps waits ten minutes at most.')
param drainSeconds string

@description('A host name of your own, and the certificate for it in the environment. docs/azure.md has the steps.')
param customDomain string
param certificateId string

@description('Settings of the site by their names; what is empty keeps the site\'s default.')
param settings object

var hosts = concat(['${name}.${containers.properties.defaultDomain}'], empty(customDomain) ? [] : [customDomain])
var secrets = split(fromVault, ',')
var name = 'web-${uniqueString(resourceGroup().id, environmentName)}'
// A domain is announced first, so that a certificate can be asked for, and secured then.
var announced = { name: customDomain, bindingType: 'Disabled' }
var secured = { name: customDomain, bindingType: 'SniEnabled', certificateId: certificateId }
var settled = {
  ALLOWED_HOSTS: join(hosts, ',')
  CSRF_TRUSTED_ORIGINS: 'https://${join(hosts, ',https://')}'
  TRUSTED_PROXY_COUNT: '1'
  RUNNING_IN_PRODUCTION: 'true'
  AZURE_CLIENT_ID: identity.properties.clientId
  AZURE_INFERENCE_ENDPOINT: modelEndpoint
  AZURE_DEEPSEEK_DEPLOYMENT: modelDeployment
  DATABASE_URL: databaseUrl
  DATABASE_AUTH: databaseAuth
  REDIS_URL: redisUrl
  REDIS_AUTH: empty(redisUrl) ? '' : 'entra'
  DRAIN_SECONDS: drainSeconds
  PORT: '8000'
  LOG_FORMAT: 'json'
}

resource containers 'Microsoft.App/managedEnvironments@2026-07-01' existing = {
  name: containersName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: vaultName
}

resource web 'Microsoft.App/containerApps@2026-07-01' = {
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
      // What is still to be written down takes four seconds after the drain.
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
          // By a name that the site always answers to: probes come by the address of the container.
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

output WEB_URL string = 'https://${last(hosts)}'
