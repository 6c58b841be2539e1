"""Who may do what: accounts, users, memberships, API keys."""
