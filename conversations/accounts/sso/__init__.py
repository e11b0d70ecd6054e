"""Single sign-on with OpenID Connect: what `entra` (Microsoft Entra ID) and `oidc` (any other provider) share.

Anyone who gets a token for this site from a provider can sign in, whatever `SIGNUP` says. Their account is identified
by what the provider never gives to anyone else, and never matched to an existing account by email address. It has no
password and no email address here. Roles are applied at each sign-in.
"""
