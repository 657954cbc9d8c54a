"""How others take door events from MQTT into PostgreSQL: a kind and addresses enter; rows and how long it took leave.

``python -m console.benches.ingest_peer KIND DATABASE_URL MQTT_PORT USER PASSWORD EVENTS``; says ``ready`` on standard output once
it listens, then one line of JSON. The client is paho as it comes, the table has a unique key and the index a
household's page needs. None of them judges anything.
"""

from __future__ import annotations

import json
import queue
import sys
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from kaimen.database import queries

_SQL = queries("console.benches", "ingest.sql")
_PATIENCE_S = 60.0
_FIELDS = ("boot", "seq", "ts", "up", "type", "state", "method", "cred", "door", "opens")

Row = tuple[Any, ...]


def _rows(topic: str, payload: bytes) -> list[Row]:
    found = json.loads(payload)
    device = topic.split("/")[5]
    return [
        (device, *(event.get(field) for field in _FIELDS))
        for event in (found if isinstance(found, list) else [found])
    ]


def _insert_each(connection: psycopg.Connection, rows: list[Row]) -> None:
    for row in rows:
        connection.execute(_SQL["peer_insert"], row)
    connection.commit()


def _executemany(connection: psycopg.Connection, rows: list[Row]) -> None:
    connection.cursor().executemany(_SQL["peer_insert"], rows)
    connection.commit()


def _write_row(connection: psycopg.Connection, rows: list[Row]) -> None:
    with connection.cursor().copy(_SQL["peer_copy"]) as copy:
        for row in rows:
            copy.write_row(row)
    connection.commit()


#: How each writes, and how many rows it gathers before.
KINDS: dict[str, tuple[Callable[[psycopg.Connection, list[Row]], None], int]] = {
    "insert": (_insert_each, 1),
    "executemany": (_executemany, 100),
    "write_row": (_write_row, 1_000),
}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(kind: str, database_url: str, port: int, user: str, password: str, events: int) -> int:
    """Listen, write ``events`` rows, say how long it took from the first message to the last commit."""
    write, gathered = KINDS[kind]
    waiting: queue.Queue[tuple[str, bytes]] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"peer-{kind}")
    client.username_pw_set(user, password)
    client.on_message = lambda _client, _data, message: waiting.put((message.topic, bytes(message.payload)))

    def subscribe(client: mqtt.Client, *_said: object) -> None:
        client.subscribe([("kaimen/v1/+/+/+/+/evt", 1), ("kaimen/v1/+/+/+/+/evb", 1)])

    client.on_connect = subscribe
    client.on_subscribe = lambda *_: _say("ready")
    with psycopg.connect(database_url) as connection:
        client.connect("127.0.0.1", port)
        client.loop_start()
        rows: list[Row] = []
        stored, begun, used_s = 0, 0.0, 0.0
        while stored < events:
            topic, payload = waiting.get(timeout=_PATIENCE_S)
            if not begun:
                begun, used_s = time.perf_counter(), time.process_time()
            rows += _rows(topic, payload)
            if len(rows) >= gathered or stored + len(rows) >= events:
                write(connection, rows)
                stored, rows = stored + len(rows), []
        took_s, used_s = time.perf_counter() - begun, time.process_time() - used_s
        client.disconnect()
        client.loop_stop()
    _say(json.dumps({"seconds": took_s, "cpu_s": used_s}))
    return 0


if __name__ == "__main__":
    _, _kind, _url, _port, _user, _password, _events = sys.argv
    raise SystemExit(main(_kind, _url, int(_port), _user, _password, int(_events)))
