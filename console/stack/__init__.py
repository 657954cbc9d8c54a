"""The embedded stack: one directory enters; database, broker and services under one supervisor leave."""
