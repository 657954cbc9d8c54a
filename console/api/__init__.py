"""The JSON API: a token or a session enters, JSON leaves, within the same scopes as the pages."""
