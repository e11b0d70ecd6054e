using '../main.bicep'

param environmentName = 'chat'
param location = 'swedencentral'
param modelLocation = 'swedencentral'
param openaiBaseUrl = 'https://api.example.org/v1'
param openaiApiKey = 'key'
param emailUrl = 'smtp://user:password@mail.example.org:587/?tls=True'
