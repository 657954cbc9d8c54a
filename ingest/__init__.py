"""From messages to stored events and stage crossings in one transaction, acknowledged only after its commit."""
