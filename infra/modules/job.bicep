// A management command that runs as a job, on demand or on a schedule.
param name string
param environmentId string
@description('azd deploys new images only to the site; infra/predeploy.sh sets them here.')
param image string
param registry string
param identityId string
param command array
@description('Cron expression, in UTC. Empty: run only on demand.')
param schedule string
@description('Settings by name.')
param settings object
@description('Settings stored in the vault, with their names there.')
param fromVault object
param vaultUri string
param location string
param tags object

var once = { parallelism: 1, replicaCompletionCount: 1 }

resource job 'Microsoft.App/jobs@2026-01-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    environmentId: environmentId
    workloadProfileName: 'Consumption'
    configuration: {
      triggerType: empty(schedule) ? 'Manual' : 'Schedule'
      manualTriggerConfig: empty(schedule) ? once : null
      scheduleTriggerConfig: empty(schedule) ? null : union(once, { cronExpression: schedule })
      replicaTimeout: 3600
      replicaRetryLimit: 0
      registries: [
        { server: registry, identity: identityId }
      ]
      secrets: map(items(fromVault), one => {
        name: one.value
        keyVaultUrl: '${vaultUri}secrets/${one.value}'
        identity: identityId
      })
    }
    template: {
      containers: [
        {
          name: 'job'
          image: image
          command: command
          resources: { cpu: json('0.5'), memory: '1Gi' }
          env: concat(
            map(items(settings), one => { name: one.key, value: one.value }),
            map(items(fromVault), one => { name: one.key, secretRef: one.value })
          )
        }
      ]
    }
  }
}

output name string = job.name
