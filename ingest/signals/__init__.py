"""Facts of doors and dwellings that are no inactivity: stored events and registers enter, ``signals`` rows leave."""
