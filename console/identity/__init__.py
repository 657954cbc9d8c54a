"""Who somebody is and may be: passwords, codes, tokens and positions."""
