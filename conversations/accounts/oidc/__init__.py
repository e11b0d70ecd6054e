"""Sign-in with any provider of OpenID Connect that publishes a discovery document. Set-up: docs/oidc.md."""
