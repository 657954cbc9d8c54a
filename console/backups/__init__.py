"""Encrypted backups of the database, and what is filled from them."""
