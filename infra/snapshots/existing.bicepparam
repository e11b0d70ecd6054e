using '../main.bicep'

param environmentName = 'chat'
param location = 'swedencentral'
param modelLocation = 'swedencentral'
param existingResourceGroup = 'rg-existing'
param existingModelAccount = '/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/rg-models/providers/Microsoft.CognitiveServices/accounts/models'
param existingDatabaseUrl = 'postgresql://site@database.example.org/site'
param existingDatabaseOwnerUrl = 'postgresql://owner@database.example.org/site'
