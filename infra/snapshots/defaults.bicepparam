using '../main.bicep'

param environmentName = 'chat'
param location = 'swedencentral'
param modelLocation = 'swedencentral'
