"""What a log says where the database refuses: its own words, not the name of an error."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from kaimen.database import connect, why_away

pytestmark = [pytest.mark.integration, pytest.mark.one_store]


def test_a_server_without_room_for_another_connection_is_quoted_and_no_address_is(database_url: str) -> None:
    parts = urlsplit(database_url)
    role = f"{parts.path.strip('/')}_full"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{role}" LOGIN CONNECTION LIMIT 0')  # type: ignore[arg-type]
        try:
            url = urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))
            with pytest.raises(psycopg.OperationalError) as refused:
                connect(url, service="test")
        finally:
            connection.execute(f'DROP ROLE "{role}"')  # type: ignore[arg-type]
    assert why_away(refused.value) == f'too many connections for role "{role}"'
    with pytest.raises(psycopg.OperationalError) as nobody:
        psycopg.connect("postgresql://127.0.0.1:1/none")
    assert why_away(nobody.value) == "OperationalError", "nobody answered: nothing was said"
