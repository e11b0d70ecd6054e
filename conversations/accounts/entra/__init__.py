"""Sign-in with Entra ID for the people of one tenant: `sso` with what only Microsoft has. Set-up: docs/entra.md."""
