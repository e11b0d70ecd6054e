"""Sign-in with Entra ID: allauth's OpenID Connect provider for the people of one tenant. Set-up: docs/entra.md.

Anyone who gets a token for this site from the tenant can sign in, whatever `SIGNUP` says. Their account is identified
by tenant and object id, and never matched to an existing account by email address. It has no password and no email
address here. The app roles of the tenant are applied at each sign-in.
"""
