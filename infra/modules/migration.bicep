// The job that migrates as the owner of the tables, and lets the site's role in. infra/predeploy.sh starts it.
param name string
param environmentId string
param image string
param registry string
param identityId string
param identityClientId string
@description('Without a password; empty: the vault has it, at the address below.')
param databaseUrl string
param databaseUrlInVault string
@description('The site\'s role, to be made and granted what it needs; empty: not the deployment\'s concern.')
param applicationRole string
param applicationRoleId string
param location string
param tags object

var migrate = 'python manage.py migrate'
var grant = 'python manage.py grant_application_role ${applicationRole} --entra ${applicationRoleId}'
var kept = [
  { name: 'database-owner-url', keyVaultUrl: databaseUrlInVault, identity: identityId }
]
var fromVault = { name: 'DATABASE_URL', secretRef: 'database-owner-url' }
var byToken = { name: 'DATABASE_URL', value: databaseUrl }

resource job 'Microsoft.App/jobs@2026-07-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: 'Manual'
      manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 }
      replicaTimeout: 3600
      replicaRetryLimit: 0
      registries: [
        { server: registry, identity: identityId }
      ]
      secrets: empty(databaseUrl) ? kept : []
    }
    template: {
      containers: [
        {
          name: 'migration'
          image: image
          command: ['sh', '-c', empty(applicationRole) ? migrate : '${migrate} && ${grant}']
          resources: { cpu: json('0.5'), memory: '1Gi' }
          env: [
            // The settings want one; a migration signs nothing, and must not have the key of the audit trail.
            { name: 'SECRET_KEY', value: 'a-migration-signs-nothing-with-this' }
            { name: 'RUNNING_IN_PRODUCTION', value: 'true' }
            { name: 'AZURE_CLIENT_ID', value: identityClientId }
            empty(databaseUrl) ? fromVault : byToken
            { name: 'DATABASE_AUTH', value: empty(databaseUrl) ? 'password' : 'entra' }
            { name: 'LOG_FORMAT', value: 'json' }
          ]
        }
      ]
    }
  }
}

output name string = job.name
