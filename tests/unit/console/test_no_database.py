"""A command whose database does not answer says so in a line, with how to mend it, and never shows the password."""

from __future__ import annotations

import socket

import pytest
from click.testing import CliRunner

from console.cli import main

ASKING = (
    ("db", "migrate"),
    ("user", "list"),
    ("channels", "status"),
    ("retention",),
    ("audit", "verify"),
    ("duty", "check", "--community", "c1"),
    ("backtest",),
)


@pytest.fixture(scope="module")
def shut_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


@pytest.mark.parametrize("words", ASKING, ids=" ".join)
def test_a_database_that_does_not_answer_is_told_and_not_thrown(
    words: tuple[str, ...], shut_port: int
) -> None:
    url = f"postgresql://kaimen:very-secret@127.0.0.1:{shut_port}/kaimen"
    result = CliRunner().invoke(main, [*words, "--database-url", url])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "the database does not answer" in result.output and "--database-url" in result.output
    assert "very-secret" not in result.output


@pytest.mark.parametrize("address", ["kaimen", "postgresql://a@/b?c=1", "colour=red"])
def test_what_is_no_address_of_a_database_is_told_with_the_right_form(address: str) -> None:
    result = CliRunner().invoke(main, ["db", "migrate", "--database-url", address])
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit)
    assert "postgresql://USER@HOST:PORT/NAME" in result.output
