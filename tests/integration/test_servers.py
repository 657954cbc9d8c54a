"""The fixtures themselves: the servers that the other tests stand on."""

from __future__ import annotations

import psycopg

from tests.fix_broker import Broker
from tests.fix_database import DatabaseServer
from tests.fix_servers import postgres_server, wait_until


def test_the_server_is_what_its_name_says(database_server: DatabaseServer, empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        row = connection.execute("SHOW shared_preload_libraries").fetchone()
        assert row is not None
        assert ("timescaledb" in row[0]) == (database_server.kind == "timescale")
        assert connection.info.server_version >= 180_000


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


def test_a_broker_starts_without_the_messages_of_other_tests(broker: Broker) -> None:
    import paho.mqtt.client as mqtt
    import paho.mqtt.publish as publish

    publish.single("kaimen-test/kept", b"x", qos=1, retain=True, hostname="127.0.0.1", port=broker.port)
    if broker.server is not None:
        broker.server.program.kill()
        broker.server.start_again()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    heard: list[str] = []
    client.on_connect = lambda *_rest: client.subscribe("#", qos=1)
    client.on_message = lambda _client, _data, message: heard.append(message.topic)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        wait_until(lambda: bool(heard), "the retained message comes", within_s=20)
    finally:
        client.disconnect()
        client.loop_stop()
    assert heard == ["kaimen-test/kept"]
