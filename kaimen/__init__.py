"""What every service agrees on; does no work by itself.

The data's way: a door controller or sensor speaks its dialect, ``edge`` turns frames into door events and keeps
them until the broker has them, ``ingest`` admits and stores them and writes stage crossings in one transaction,
``alerts`` makes cases, tasks and messages of those, ``console`` shows them to people. ``firmware_sim`` plays the
street. The services meet in the types of this package, in MQTT messages and in database rows, nowhere else.
"""

__version__ = "0.1.0"
