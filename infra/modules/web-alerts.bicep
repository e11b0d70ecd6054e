// Alerts on what the platform measures of the site. alerts.bicep has those on what the site logs.
param name string
param webId string
param actionGroupId string

// Sockets count as requests with status 101, which `2xx` leaves out.
var alerts = {
  failures: {
    label: 'Requests fail'
    metric: 'Requests'
    aggregation: 'Total'
    threshold: 10
    dimensions: [{ name: 'statusCodeCategory', operator: 'Include', values: ['5xx'] }]
  }
  latency: {
    label: 'Pages take more than two seconds'
    metric: 'ResponseTime'
    aggregation: 'Average'
    threshold: 2000
    dimensions: [{ name: 'statusCodeCategory', operator: 'Include', values: ['2xx'] }]
  }
  restarts: {
    label: 'The site restarts again and again'
    metric: 'RestartCount'
    aggregation: 'Maximum'
    threshold: 2
    dimensions: []
  }
}

resource measured 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in items(alerts): {
    name: '${name}-${alert.key}'
    location: 'global'
    properties: {
      description: alert.value.label
      severity: 2
      enabled: true
      scopes: [webId]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.key
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.App/containerapps'
            metricName: alert.value.metric
            operator: 'GreaterThan'
            threshold: alert.value.threshold
            timeAggregation: alert.value.aggregation
            dimensions: alert.value.dimensions
          }
        ]
      }
      actions: [
        { actionGroupId: actionGroupId }
      ]
    }
  }
]
