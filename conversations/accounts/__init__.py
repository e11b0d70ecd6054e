"""Sign-up and sign-in, sessions, deletion of accounts, and the administration of users.

`sso` is single sign-on: `entra` with Microsoft Entra ID, `oidc` with any other OpenID Connect provider.
"""
