// Who is told, and what the logs tell of. web.bicep adds the alerts that measure the site itself.
param name string
param email string
param logsId string
param location string
param tags object

var lines = 'ContainerAppConsoleLogs | extend line = parse_json(Log) | extend level = tostring(line.level), message = tostring(line.message)'
var rules = {
  errors: {
    label: 'The site logs errors'
    query: '${lines} | where level in (\'error\', \'critical\')'
    threshold: 0
  }
  failures: {
    label: 'Answers fail'
    query: '${lines} | where message startswith \'generation \' and message has \'failed:\''
    threshold: 10
  }
  jobs: {
    label: 'A job of the site failed'
    query: 'ContainerAppSystemLogs | where isnotempty(JobName) and Type == \'Warning\' and Reason has \'Fail\''
    threshold: 0
  }
}

resource operators 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: name
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'site'
    enabled: true
    emailReceivers: [
      { name: 'operators', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

resource inLogs 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in items(rules): {
    name: '${name}-${rule.key}'
    location: location
    tags: tags
    properties: {
      displayName: rule.value.label
      severity: 2
      enabled: true
      scopes: [logsId]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT15M'
      skipQueryValidation: true  // the tables appear with the first lines
      criteria: {
        allOf: [
          {
            query: rule.value.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: rule.value.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      actions: { actionGroups: [operators.id] }
    }
  }
]

// Azure announces the end of a model, and everything else that needs action, as an advisory to the subscription.
resource advisories 'Microsoft.Insights/activityLogAlerts@2020-10-01' = {
  name: '${name}-advisories'
  location: 'global'
  tags: tags
  properties: {
    description: 'Azure asks for action, for example because a model is retired.'
    enabled: true
    scopes: [subscription().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'ServiceHealth' }
        {
          anyOf: [
            { field: 'properties.incidentType', equals: 'ActionRequired' }
            { field: 'properties.incidentType', equals: 'Informational' }
          ]
        }
      ]
    }
    actions: {
      actionGroups: [
        { actionGroupId: operators.id }
      ]
    }
  }
}

output actionGroupId string = operators.id
