"""The fixtures themselves: the servers that the other tests stand on."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import psycopg

from tests.fix_broker import Broker
from tests.fix_database import DatabaseServer
from tests.fix_servers import free_port, postgres_server, wait_until


def test_the_server_is_what_its_name_says(database_server: DatabaseServer, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SHOW shared_preload_libraries").fetchone()
        assert row is not None
        assert ("timescaledb" in row[0]) == (database_server.kind == "timescale")
        assert connection.info.server_version >= 180_000


def test_nobody_who_connects_is_given_a_port_that_was_said_to_be_free() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    assert all(free_port() < int(first) for _ in range(20))


def test_a_fresh_database_has_the_newest_schema_and_none_of_the_last_tests_rows(database_url: str) -> None:
    from kaimen.schema import list_migrations, schema_version

    assert schema_version(database_url) == max(migration.version for migration in list_migrations())
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM households").fetchone() == (0,)


def test_a_killed_postgres_has_what_was_committed() -> None:
    with postgres_server() as server:
        with psycopg.connect(server.admin_url) as connection:
            connection.execute("CREATE TABLE kept (value int)")
            connection.execute("INSERT INTO kept VALUES (7)")
        server.program.kill()
        server.start_again()
        with psycopg.connect(server.admin_url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (7,)


def test_a_sleeping_session_gets_what_was_acknowledged_before_the_broker_was_killed(broker: Broker) -> None:
    """What every broker must give; of retained messages NATS promises less: just after a start it may show none."""
    import paho.mqtt.client as mqtt
    import paho.mqtt.publish as publish

    name = f"test-{secrets.token_hex(6)}"
    heard: list[str] = []
    answered: list[object] = []

    def turn_until(is_so: Callable[[], bool], what: str) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        client.on_subscribe = lambda _client, _data, _mid, codes, _properties: answered.extend(codes)
        client.on_message = lambda _client, _data, message: heard.append(message.topic)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        try:
            wait_until(client.is_connected, "the session is connected", within_s=20)
            if not answered:
                client.subscribe("kaimen-test/#", qos=1)
            wait_until(is_so, what, within_s=20)
        finally:
            client.disconnect()
            client.loop_stop()

    turn_until(lambda: bool(answered), "the subscription is granted")
    publish.single("kaimen-test/kept", b"x", qos=1, hostname="127.0.0.1", port=broker.port)
    if broker.server is not None:
        broker.server.program.kill()
        broker.server.start_again()
    turn_until(lambda: bool(heard), "the message comes")
    assert heard == ["kaimen-test/kept"]
