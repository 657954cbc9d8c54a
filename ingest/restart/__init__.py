"""What is at hand of devices enters with a turn; at a start it leaves again, with what could not be used and why."""
