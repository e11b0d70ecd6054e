"""Sign-in with Entra ID: allauth's OpenID Connect, for the people of one tenant. How it is set up: docs/entra.md.

Whoever gets a token for this site from the tenant gets in, whatever `SIGNUP` says: that the tenant lets somebody use
the site is an invitation by its administrator. Their account is the tenant's alone. It is known by tenant and object
id, never by an address: no account that exists is ever joined to it, it has no password and no mailbox here, and what
its app roles give is given and taken at each sign-in.
"""
