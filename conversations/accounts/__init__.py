"""Who may sign up and sign in, and what ends a session. `entra` is sign-in with Microsoft Entra ID."""
