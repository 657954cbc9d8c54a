"""Telephone calls: a message of the outbox on the channel ``voice`` enters; a pressed key, committed, leaves.

``gateway`` is the port, ``sip`` and ``cloud`` are its adapters, ``keypad`` and ``pacing`` decide, ``prompts`` speaks,
``answers`` writes what a key means, ``dialler`` is the loop that joins them.
"""
