"""Police look-ups: what is asked and who agrees enter, rows and a sealed package leave."""
