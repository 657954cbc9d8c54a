"""Cases, escalation, channels and telephone: crossings, acts and the clock enter; tasks and messages leave."""
