using '../main.bicep'

param environmentName = 'chat'
param location = 'swedencentral'
param modelLocation = 'swedencentral'
param replicas = 3
param retainReasoningDays = '30'
param alertEmail = 'operators@example.org'
param principalId = '11111111-2222-4333-8444-555555555555'
