"""Sign-in with any OpenID Connect provider that publishes a discovery document. Set-up: docs/oidc.md."""
