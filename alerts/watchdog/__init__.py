"""The watchdog, a process of its own: what the database shows enters, findings somebody is told of leave."""
