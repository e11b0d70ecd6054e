"""Sign-up and sign-in, sessions, and the administration of users. `entra` is sign-in with Microsoft Entra ID."""
