"""People who sign in are looked after by `kaimen user`: the first administrator of a new installation too."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, cast

import pytest
from click.testing import CliRunner, Result

from console.audit.chain import verify
from console.cli import main
from console.identity import people, tokens
from console.identity import sessions as identity
from console.identity.attempts import FAILURES_FREE
from console.identity.second_factor import FactorRule
from console.identity.sessions import Asker, Refused, SignInRefusal
from console.scope import Viewer
from kaimen.clock import SystemClock, as_datetime
from kaimen.database import connect, open_pool, transaction
from kaimen.vocabulary import Role

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

KEY = b"a key of a test"
PASSWORD = "correct horse battery"


@pytest.fixture
def url(database_url: str) -> str:
    with connect(database_url, service="test") as connection:
        connection.execute("INSERT INTO communities (id, name) VALUES ('garden', '花园'), ('river', '滨河')")
        connection.execute("INSERT INTO sites VALUES ('s', 'garden', '花园'), ('r', 'river', '滨河')")
        connection.execute(
            "INSERT INTO households (id, site_id, label, building, unit, floor, room) VALUES"
            " ('h-1', 's', '1', '1', '1', 1, '1'), ('h-2', 's', '2', '1', '1', 1, '2'),"
            " ('h-r', 'r', '1', '1', '1', 1, '1')"
        )
    return database_url


@pytest.fixture
def run(url: str, tmp_path: Path) -> Callable[..., Result]:
    """Run `kaimen user …` on the test's own database."""
    key_file = tmp_path / "console.key"
    key_file.write_bytes(KEY + b"\n")

    def run(*words: str, **more: Any) -> Result:
        options = ["--database-url", url, "--audit-key-file", str(key_file)]
        result = CliRunner().invoke(main, ["user", words[0], *options, *words[1:]], **more)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert PASSWORD not in result.output
        return result

    return run


def read(url: str, statement: str, *values: object) -> list[dict[str, Any]]:
    with connect(url, service="test") as connection:
        return connection.execute(cast(LiteralString, statement), values).fetchall()


NO_RULE = FactorRule(frozenset(), timedelta(0))


def sign_in(url: str, name: str, password: str) -> Viewer | SignInRefusal:
    pool = open_pool(url, service="test", size_max=2)
    try:
        result = identity.sign_in(
            partial(transaction, pool), name=name, password=password, asker=Asker("192.0.2.1", "test"), rule=NO_RULE,
            now=as_datetime(SystemClock().now_ms()),
        )  # fmt: skip
    finally:
        pool.close()
    return result.why if isinstance(result, Refused) else result.viewer


def test_the_first_administrator_is_made_with_a_password_said_once(
    url: str, run: Callable[..., Result]
) -> None:
    result = run("add", "root", "--role", "admin", "--display-name", "管理员", "--generate")
    assert result.exit_code == 0, result.output
    password = result.stdout.split("said only now:")[1].strip()
    viewer = sign_in(url, "root", password)
    assert isinstance(viewer, Viewer)
    assert (viewer.role, viewer.community_id, viewer.display_name) == (Role.ADMIN, None, "管理员")
    assert password not in str(read(url, "SELECT * FROM audit_entries, users"))


def test_a_password_comes_from_a_prompt_twice_or_from_a_file(
    url: str, run: Callable[..., Result], tmp_path: Path
) -> None:
    words = ("--role", "property_clerk", "--community", "garden")
    assert run("add", "one", *words, input=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    assert run("add", "two", *words, "--password-file", "-", input=f"{PASSWORD}\n").exit_code == 0
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\r\nanother line\n")
    assert run("add", "three", *words, "--password-file", str(file)).exit_code == 0
    assert all(isinstance(sign_in(url, name, PASSWORD), Viewer) for name in ("one", "two", "three"))
    assert run("add", "four", *words, input=f"{PASSWORD}\nanother\n").exit_code == 1
    assert run("add", "five", *words, "--generate", "--password-file", str(file)).exit_code == 2


def test_relatives_and_helpers_are_tied_to_their_households(url: str, run: Callable[..., Result]) -> None:
    added = run("add", "son", "--role", "family", "--household", "h-1=母亲", "--household", "h-2", "--generate",
                "--language", "en")  # fmt: skip
    assert added.exit_code == 0, added.output
    words = ("--community", "garden", "--household", "h-2", "--generate")
    assert run("add", "watcher", "--role", "neighbour_watcher", *words).exit_code == 0
    rows = read(url, "SELECT u.name, u.community_id, u.language, h.household_id, h.relation_words FROM users u"
                     " JOIN user_households h ON h.user_id = u.id ORDER BY u.name, h.household_id")  # fmt: skip
    assert [tuple(row.values()) for row in rows] == [
        ("son", "garden", "en", "h-1", "母亲"), ("son", "garden", "en", "h-2", ""),
        ("watcher", "garden", "zh", "h-2", ""),
    ]  # fmt: skip


def test_a_token_opens_the_api_and_is_said_once(url: str, run: Callable[..., Result]) -> None:
    result = run(
        "add", "machine", "--role", "property_clerk", "--community", "garden", "--generate", "--token"
    )
    token = result.stdout.split("token, said only now:")[1].strip()
    with connect(url, service="test") as connection:
        found = tokens.find_token(connection, token, now=as_datetime(SystemClock().now_ms()))
        assert found is not None
        viewer = found.viewer
    assert viewer is not None and viewer.name == "machine"
    assert run("disable", "machine").exit_code == 0
    with connect(url, service="test") as connection:
        assert tokens.find_token(connection, token, now=as_datetime(SystemClock().now_ms())) is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("x y", "--role", "admin"), "no spaces"),
        (("x", "--role", "property_clerk"), "--community"),
        (("x", "--role", "grid_worker"), "--community"),
        (("x", "--role", "family"), "--household"),
        (("x", "--role", "family", "--household", "h-9"), "h-9"),
        (("x", "--role", "admin", "--household", "h-1"), "--household"),
        (("x", "--role", "police_officer", "--community", "meadow"), "no such community"),
        (("x", "--role", "grid_worker", "--community", "river", "--household", "h-1"), "another community"),
        (("x", "--role", "admin", "--display-name", "a\nb"), "display name"),
    ],
)
def test_somebody_who_would_see_nothing_or_too_much_is_not_added(
    url: str, run: Callable[..., Result], words: tuple[str, ...], told: str
) -> None:
    result = run("add", *words, "--generate")
    assert result.exit_code == 1 and told in result.stderr
    assert read(url, "SELECT 1 FROM users UNION ALL SELECT 1 FROM audit_entries") == []


def test_a_name_taken_and_a_short_password_are_refused(url: str, run: Callable[..., Result]) -> None:
    assert run("add", "root", "--role", "admin", "--generate").exit_code == 0
    assert "already" in run("add", "root", "--role", "admin", "--generate").stderr
    short = run("add", "other", "--role", "admin", "--password-file", "-", input="short\n")
    assert short.exit_code == 1 and "characters" in short.stderr
    assert "characters" in run("password", "root", "--password-file", "-", input="\n").stderr
    assert len(read(url, "SELECT 1 FROM users")) == 1


@pytest.mark.slow
def test_a_new_password_ends_every_session_and_the_waiting(url: str, run: Callable[..., Result]) -> None:
    old = run("add", "root", "--role", "admin", "--generate").stdout.split(":")[-1].strip()
    assert isinstance(sign_in(url, "root", old), Viewer)
    for _ in range(FAILURES_FREE):
        sign_in(url, "root", "a wrong password")
    assert sign_in(url, "root", old) is SignInRefusal.WAIT
    assert run("password", "root", "--password-file", "-", input=f"{PASSWORD}\n").exit_code == 0
    assert read(url, "SELECT 1 FROM sessions") == []
    assert isinstance(sign_in(url, "root", PASSWORD), Viewer)
    assert sign_in(url, "root", old) is SignInRefusal.WRONG
    generated = run("password", "root", "--generate").stdout.split("said only now:")[1].strip()
    assert isinstance(sign_in(url, "root", generated), Viewer)


def test_disabling_ends_sessions_and_enabling_lets_in_again(url: str, run: Callable[..., Result]) -> None:
    run("add", "root", "--role", "admin", "--password-file", "-", input=f"{PASSWORD}\n")
    assert isinstance(sign_in(url, "root", PASSWORD), Viewer)
    assert run("disable", "root").stdout == "root is disabled\n"
    assert read(url, "SELECT 1 FROM sessions") == []
    assert sign_in(url, "root", PASSWORD) is SignInRefusal.WRONG
    assert run("disable", "root").stdout == "root is disabled already\n"
    listed = json.loads(run("list", "--json").stdout)["users"]
    assert [(user["name"], user["role"], user["disabled"]) for user in listed] == [("root", "admin", True)]
    assert run("enable", "root").exit_code == 0
    assert isinstance(sign_in(url, "root", PASSWORD), Viewer)
    assert "root" in run("list").stdout and "seen " in run("list").stdout


@pytest.mark.parametrize("act", ["disable", "enable", "password"])
def test_nobody_is_nobody(run: Callable[..., Result], act: str) -> None:
    more = ("--generate",) if act == "password" else ()
    result = run(act, "nobody", *more)
    assert result.exit_code == 1 and "nobody signs in by this name" in result.stderr


def test_every_act_is_in_the_audit_chain_without_the_person(url: str, run: Callable[..., Result]) -> None:
    run("add", "root", "--role", "admin", "--display-name", "王秀英", "--generate")
    for act in (("disable",), ("disable",), ("enable",), ("password", "--generate")):
        assert run(act[0], "root", *act[1:]).exit_code == 0
    rows = read(
        url, "SELECT actor, role, action, object_kind, object_id, detail FROM audit_entries ORDER BY id"
    )
    assert [row["action"] for row in rows] == [
        "user_added", "user_disabled", "user_enabled", "user_password_changed",
    ]  # fmt: skip
    (user,) = read(url, "SELECT id FROM users")
    assert {(row["actor"], row["role"], row["object_kind"], row["object_id"]) for row in rows} == {
        ("command-line", "system", "user", str(user["id"]))
    }
    assert "王" not in str(rows)
    with connect(url, service="test") as connection:
        assert verify(connection, key=KEY).sound


def test_the_installation_has_to_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAIMEN_DATABASE_URL", raising=False)
    assert CliRunner().invoke(main, ["user", "list"]).exit_code == 2
    result = CliRunner().invoke(main, ["user", "list", "--dir", str(tmp_path)])
    assert result.exit_code == 1 and "nothing runs" in result.stderr
    assert list(tmp_path.iterdir()) == [], "a directory that is none stays as it is"


def test_a_running_directory_is_enough_to_find_database_and_key(url: str, tmp_path: Path) -> None:
    from urllib.parse import urlsplit

    from console.books.place import find_place

    (tmp_path / "postgres").mkdir()
    port = urlsplit(url).port
    (tmp_path / "postgres" / "postmaster.pid").write_text(
        f"1\n{tmp_path}/postgres\n0\n{port}\n/tmp\n127.0.0.1\n"
    )
    (tmp_path / "secrets.json").write_text('{"database": "a b"}')
    (tmp_path / "console.key").write_text("key\n")
    place = find_place("postgresql://elsewhere/x", tmp_path, None)
    assert place.url == f"postgresql://kaimen:a%20b@127.0.0.1:{port}/kaimen" and place.audit_key == b"key"


def test_training_is_recorded_for_officers_alone(url: str, run: Callable[..., Result]) -> None:
    for name, role in (("officer", "police_officer"), ("desk", "property_clerk")):
        assert run("add", name, "--role", role, "--community", "garden", "--generate").exit_code == 0
    assert run("train", "officer", "--until", "2027-03-01").exit_code == 0
    assert (
        str(read(url, "SELECT trained_until FROM users WHERE name = 'officer'")[0]["trained_until"])
        == "2027-03-01"
    )
    assert read(url, "SELECT action FROM audit_entries ORDER BY id DESC LIMIT 1") == [
        {"action": "user_trained"}
    ]
    assert run("train", "desk", "--until", "2027-03-01").exit_code == 1
    assert run("train", "nobody", "--until", "2027-03-01").exit_code == 1
    assert run("train", "officer", "--until", "soon").exit_code == 2


def test_a_director_is_given_communities_and_a_resident_her_own_home(
    url: str, run: Callable[..., Result]
) -> None:
    assert run("add", "boss", "--role", "property_director", "--generate").exit_code == 0
    for _ in range(2):
        assert run("place", "boss", "garden").exit_code == 0
    assert run("place", "boss", "river").exit_code == 0
    assert run("place", "boss", "nowhere").exit_code == 1
    assert run("place", "boss", "river", "--remove").exit_code == 0
    assert read(url, "SELECT community_id FROM user_communities") == [{"community_id": "garden"}]
    for homes in ((), ("--household", "h-1", "--household", "h-2")):
        assert run("add", "mei", "--role", "resident", *homes, "--generate").exit_code == 1
    assert run("add", "mei", "--role", "resident", "--household", "h-1", "--generate").exit_code == 0
    assert run("place", "mei", "river").exit_code == 1, "a resident has one home"
    assert run("place", "nobody", "river").exit_code == 1
    assert read(url, "SELECT community_id FROM users WHERE name = 'mei'") == [{"community_id": "garden"}]
    assert run("add", "office", "--role", "community_committee", "--generate").exit_code == 1


def test_the_operator_is_the_second_person_where_there_is_one_administrator(
    url: str, run: Callable[..., Result]
) -> None:
    run("add", "root", "--role", "admin", "--generate")
    run("add", "desk", "--role", "property_clerk", "--community", "garden", "--generate")
    assert run("requests").stdout == "nothing waits\n"
    ids = {row["name"]: row["id"] for row in read(url, "SELECT id, name FROM users")}
    asked = people.Asked(people.Kind.CHANGE_ROLE, ids["desk"], Role.POLICE_OFFICER, "garden")
    with connect(url, service="test") as connection:
        assert people.ask(connection, asked, by=ids["root"], now=as_datetime(SystemClock().now_ms())).waits
    listed = run("requests").stdout
    assert "change_role" in listed and "police_officer" in listed
    number = listed.split()[0]
    assert run("agree", "999").exit_code == 1
    assert run("agree", number).exit_code == 0 and run("agree", number).exit_code == 1
    assert read(url, "SELECT role FROM users WHERE name = 'desk'") == [{"role": "police_officer"}]
    assert run("reset-factor", "nobody").exit_code == 1
    assert run("reset-factor", "desk").exit_code == 0
