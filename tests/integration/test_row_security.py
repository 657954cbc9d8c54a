"""The logins of the services at the database: a filled database enters; what each may and may not do is tried."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from console.identity import sessions as identity
from console.opening import console_key
from kaimen.clock import ManualClock, as_datetime
from kaimen.database import transaction
from kaimen.rights import ROLES
from tests.integration.console_world import World, add_events, as_console, build_world

ROOT = Path(__file__).parents[2]
#: KAIMEN_TEST_READS=10000 for the whole experiment; KAIMEN_TEST_READS_SEED repeats one.
READS = int(os.environ.get("KAIMEN_TEST_READS", "400"))
#: Tables without people in them, looked through one by one; whoever adds one says here why nobody is in it.
WITHOUT_PEOPLE = {
    "applied_rights", "buildings", "call_back_failures", "care_categories", "channel_states", "duty_versions", "holiday_years",
    "detector_recalls", "ingest_leases", "ingest_workers", "installation", "outbox_holds", "registry_changes", "retention_rules", "retention_runs", "schema_fence", "schema_migrations", "sendings", "service_progress",
    "watchdog_beats", "watchdog_findings",
}  # fmt: skip
#: Of Wenchang, and of nobody in Binhe.
CANARIES = re.compile(
    r"h-wang|h-zhao|h-sun|h-li|site-wenchang|王秀英|赵建国|孙兰|李四妹|王小明|p-son|clerk display"
)
Hostile = psycopg.Connection[Any]


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    for device in ("d-h-wang", "d-h-li", "d-h-other"):
        add_events(built, device, 3)
    yield built
    built.close()


@pytest.fixture
def hostile(world: World) -> Iterator[Hostile]:
    """Somebody at the database with the console's login, and nothing else."""
    with psycopg.connect(as_console(world.url), autocommit=True, row_factory=dict_row) as connection:
        yield connection


def ask(connection: Hostile, text: str, *values: object) -> list[dict[str, Any]]:
    return connection.execute(cast(LiteralString, text), values or None).fetchall()


def look(url: str, text: str, *values: object) -> list[dict[str, Any]]:
    """What the owner sees; a database without a population is enough for what stands in its catalogue."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(cast(LiteralString, text), values or None).fetchall()


def test_every_table_is_under_forced_row_security_or_known_to_hold_nobody(database_url: str) -> None:
    rows = look(
        database_url,
        "SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced, c.relispartition AS part"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e'"
        "                 AND d.classid = 'pg_class'::regclass)",
    )
    bare = {row["name"] for row in rows if not row["forced"] and not row["part"]}
    # Row-level security does not reach chunks and partitions: nobody of the console has a right on events at all.
    assert bare - {"door_events"} == WITHOUT_PEOPLE, (
        "a table without row-level security: give it a line in kaimen/rights.sql (CONTRIBUTING, 'A table')"
    )
    listed = set(
        re.findall(r"^\('(\w+)', '", files("kaimen").joinpath("rights.sql").read_text(), re.MULTILINE)
    )
    assert {row["name"] for row in rows if not row["part"]} <= listed


@pytest.mark.one_store
def test_the_logins_own_nothing_and_pass_nothing(database_url: str) -> None:
    rows = look(
        database_url,
        "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolinherit AS power,"
        " EXISTS (SELECT 1 FROM pg_class WHERE relowner = r.oid) OR EXISTS (SELECT 1 FROM pg_proc WHERE proowner = r.oid)"
        " OR EXISTS (SELECT 1 FROM pg_auth_members WHERE member = r.oid) AS owns"
        " FROM pg_roles r WHERE rolname LIKE 'kaimen\\_%%' AND rolname = ANY (%s)", list(ROLES),
    )  # fmt: skip
    assert len(rows) == len(ROLES)
    assert not any(row["power"] or row["owns"] for row in rows)


@pytest.mark.one_store
def test_every_function_of_ours_is_pinned_and_nobodys_by_default(database_url: str) -> None:
    rows = look(
        database_url,
        "SELECT p.proname AS name, p.prosecdef AS definer, coalesce(array_to_string(p.proconfig, ' '), '') AS config,"
        " has_function_privilege('public', p.oid, 'EXECUTE') AS open FROM pg_proc p"
        " WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (SELECT 1 FROM pg_depend d"
        " WHERE d.objid = p.oid AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass)",
    )
    assert rows
    assert [row["name"] for row in rows if row["open"]] == []
    assert [row["name"] for row in rows if row["definer"] and "search_path" not in row["config"]] == []


#: What the command line asks as the owner, and what only the console asks of the statements that stand beside alerts'.
ASKED_ELSEWHERE = {
    "user_household_add", "user_by_name", "user_place_add", "register_own_edge",
    "save_home_voice", "drop_kept_voice", "keep_home_voice", "end_home_voice",
}  # fmt: skip


#: Whose statements stand where, and which of them it never asks.
STATEMENTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kaimen_ingest", "ingest", ()),
    ("kaimen_alerts", "alerts", ("watchdog/",)),
    ("kaimen_watchdog", "alerts/watchdog", ()),
    ("kaimen_console", "console", ("doctor.sql", "books/", "backups/", "benches/", "stack/", "rights/")),
    ("kaimen_rights", "console/rights", ()),
    ("kaimen_rights", "alerts/retention.sql", ()),
)


@pytest.mark.one_store
def test_a_login_may_do_what_its_statements_do(database_url: str) -> None:
    refused = []
    with psycopg.connect(database_url, autocommit=True) as connection:
        for role, place, left_out in STATEMENTS:
            connection.execute(SQL("SET ROLE {}").format(Identifier(role)))
            paths = sorted((ROOT / place).rglob("*.sql")) or [ROOT / place]
            for path in paths:
                if path.relative_to(ROOT / place.partition("/")[0]).as_posix().startswith(left_out):
                    continue
                for key, statement in _statements(path.read_text()):
                    try:
                        connection.execute(_explained(statement))
                    except psycopg.errors.InsufficientPrivilege as error:
                        if key not in ASKED_ELSEWHERE:
                            refused.append(f"{role}: {path.name}: {key}: {error.diag.message_primary}")
                    except psycopg.Error:
                        continue  # of a kind that has no plan, or types that only its values tell
            connection.execute("RESET ROLE")
    assert refused == []


def _statements(text: str) -> list[tuple[str, str]]:
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def _explained(statement: str) -> LiteralString:
    numbers: dict[str, int] = {}
    text = re.sub(r"--[^\n]*", "", statement)
    text = re.sub(r"%\((\w+)\)s", lambda m: f"${numbers.setdefault(m[1], len(numbers) + 1)}", text)
    return cast(LiteralString, "EXPLAIN (GENERIC_PLAN) " + text.replace("%%", "%").strip())


def test_partitions_and_chunks_are_refused(world: World, hostile: Hostile) -> None:
    later = world.now + timedelta(days=40)
    world.write("SELECT ensure_event_partitions(%s, %s)", later, later)
    parts = world.rows(
        "SELECT c.oid::regclass::text AS name FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid"
        " WHERE c.relkind = 'r'"
    )
    assert parts
    for name in ("door_events", *(row["name"] for row in parts)):
        for text in (f"SELECT * FROM {name}", f"SELECT count(*) FROM {name}", f"COPY {name} TO STDOUT"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                hostile.execute(cast(LiteralString, text))


def test_a_scope_cannot_be_written_guessed_or_carried_over(world: World, hostile: Hostile) -> None:
    everything = '{"kind": "console", "role": "console", "all": true, "sites": "{site-wenchang}", "places": "{wenchang}"}'
    for said in (everything, "0" * 64 + everything, "x"):
        with hostile.transaction():
            ask(hostile, "SELECT set_config('kaimen.scope', %s, true)", said)
            assert ask(hostile, "SELECT * FROM households") == []
    with hostile.transaction():
        assert ask(hostile, "SELECT open_scope(%s, now()) AS yes", b"guess")[0]["yes"] is False
        assert ask(hostile, "SELECT open_console(%s) AS yes", b"guess")[0]["yes"] is False
        assert ask(hostile, "SELECT * FROM households") == []
    with hostile.transaction():
        assert ask(hostile, "SELECT open_scope(%s, %s) AS yes", *_session(world, "clerk"))[0]["yes"] is True
        assert len(ask(hostile, "SELECT * FROM households")) == 4
        carried = ask(hostile, "SELECT current_setting('kaimen.scope') AS said")[0]["said"]
    assert ask(hostile, "SELECT * FROM households") == []
    with hostile.transaction():
        ask(hostile, "SELECT set_config('kaimen.scope', %s, true)", carried)
        assert ask(hostile, "SELECT * FROM households") == []


def _session(world: World, name: str) -> tuple[bytes, Any]:
    with transaction(world.pool) as connection:
        user = connection.execute("SELECT * FROM users WHERE name = %s", (name,)).fetchone()
        assert user is not None
        now = as_datetime(world.wall.now_ms())
        token = identity.open_session(
            connection, viewer=identity.viewer_of(connection, user), agent="test", now=now
        )
    return identity.hash_token(token), now


def test_sessions_are_opened_by_the_console_alone(world: World, hostile: Hostile) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(hostile, "SELECT start_session('x', %s, now(), now(), '')", world.user_ids["clerk"])
    assert ask(hostile, "SELECT * FROM sign_in_user('clerk')") == []
    with hostile.transaction():
        assert ask(hostile, "SELECT open_console(%s) AS yes", console_key(b""))[0]["yes"] is True
        assert len(ask(hostile, "SELECT * FROM sign_in_user('clerk')")) == 1
    for text in (
        "SELECT * FROM sessions", "SELECT * FROM scope_keys", "SELECT password_hash FROM users",
        "SELECT set_scope('{}')", "SELECT seal_scope('{}')",
        "ALTER TABLE households DISABLE ROW LEVEL SECURITY", "CREATE TABLE mine ()", "SET ROLE postgres",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(hostile, text)
    hostile.execute("SET row_security = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(hostile, "SELECT name FROM users")


def test_events_without_a_scope_are_not_read_and_the_try_is_written_down(
    world: World, hostile: Hostile
) -> None:
    log = (
        "SELECT * FROM read_log('wenchang', now(), '-infinity', 'infinity', '', '', '', '', '', '', '',"
        " NULL, NULL, NULL, NULL, NULL, 100)"
    )
    assert ask(hostile, log) == []
    tried = world.rows("SELECT reader, purpose, result FROM event_reads")
    assert tried == [{"reader": "database:kaimen_console", "purpose": "access_log", "result": "no_scope"}]
    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "clerk"))
        assert len(ask(hostile, log)) == 6
    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "clerk-b"))
        assert ask(hostile, log) == []


def test_a_whole_place_is_told_to_its_own_viewers_alone(world: World, hostile: Hostile) -> None:
    asked = (
        "SELECT count_watched('wenchang') AS found",
        "SELECT count(*) AS found FROM watched_homes('wenchang', '')",
        "SELECT count(*) AS found FROM building_counts('wenchang')",
        "SELECT count(*) AS found FROM stairwell_gateways('wenchang', NULL)",
    )

    def found(name: str | None) -> list[int]:
        with hostile.transaction():
            if name is not None:
                ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, name))
            return [ask(hostile, cast(LiteralString, text))[0]["found"] for text in asked]

    own = world.rows("SELECT count_watched('wenchang') AS found")[0]["found"]
    assert own > 0 and found("clerk")[:2] == [own, own] and found("clerk")[2] > 0
    for name in (None, "clerk-b", "family", "resident"):
        assert found(name) == [0, 0, 0, 0], name


@pytest.mark.one_store
def test_people_and_devices_are_seen_through_what_links_them_and_in_no_scope_through_nothing(
    world: World, hostile: Hostile
) -> None:
    """The functions that policies ask say of everybody what the tables they stand for show in the same scope."""
    everybody = [row["id"] for row in world.rows("SELECT id FROM users")]
    devices = [row["id"] for row in world.rows("SELECT id FROM devices")]
    linked: dict[str | None, tuple[set[int], set[str]]] = {}
    for name in (None, *world.user_ids):
        with hostile.transaction():
            if name is not None:
                ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, name))

            def ids(text: str, *values: object) -> set[Any]:
                return {row["id"] for row in ask(hostile, cast(LiteralString, text), *values)}

            people = ids(
                "SELECT user_id AS id FROM user_communities UNION SELECT user_id FROM user_positions"
                " UNION SELECT user_id FROM user_households"
            )
            doors = ids(
                "SELECT device_id AS id FROM household_doors UNION SELECT device_id FROM household_sensors"
            )
            assert ids("SELECT id FROM unnest(%s::bigint[]) id WHERE is_linked_user(id)", everybody) == people
            assert ids("SELECT id FROM unnest(%s::text[]) id WHERE is_linked_device(id)", devices) == doors
            assert people <= ids("SELECT id FROM users") and doors <= ids("SELECT id FROM devices"), name
            linked[name] = people, doors
    assert linked[None] == (set(), set()) and linked["family"][1] and linked["clerk"][0]
    assert linked["clerk"] != linked["clerk-b"] and len({frozenset(seen[1]) for seen in linked.values()}) > 2


def test_nobody_reads_under_anothers_ticket(world: World, hostile: Hostile) -> None:
    world.write(
        "INSERT INTO look_up_tickets (community_id, asked_by, asked_at, purpose, document_number, basis, door, from_at,"
        " to_at, state, granted_wall, decided_by, decided_role) VALUES ('wenchang', %s, %s, 'rescue', 'A-2025-1', 'case_file',"
        " 'd-h-wang', %s, 'infinity', 'granted', %s, %s, 'police_supervisor')",
        world.user_ids["police"], world.now, "2020-01-01", as_datetime(world.wall.now_ms()), world.user_ids["supervisor"],
    )  # fmt: skip
    ticket = world.rows("SELECT id FROM look_up_tickets")[0]["id"]
    text = "SELECT * FROM look_up_events(%s, %s, %s, %s, NULL, NULL, NULL, NULL, NULL, 10)"
    values = (ticket, world.user_ids["police"], world.now, as_datetime(world.wall.now_ms()))
    assert ask(hostile, text, *values) == []
    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "clerk"))
        assert ask(hostile, text, *values) == []
    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "police"))
        assert len(ask(hostile, text, *values)) == 3
    results = [row["result"] for row in world.rows("SELECT result FROM look_up_reads ORDER BY id")]
    assert results == ["not_the_asker", "not_the_asker", "read"]


def test_nothing_is_written_outside_the_scope(world: World, hostile: Hostile) -> None:
    def add_absence(household_id: str) -> None:
        ask(
            hostile,
            "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
            " VALUES (%s, now(), now() + interval '1 day', 'other', 'x', now()) RETURNING id", household_id,
        )  # fmt: skip

    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "clerk-b"))
        add_absence("h-other")
        for other in ("h-wang", "nobody-at-all"):  # who is there and who is not are refused in the same words
            with pytest.raises(psycopg.errors.InsufficientPrivilege), hostile.transaction():
                add_absence(other)
        assert hostile.execute("UPDATE cases SET priority = 0 WHERE community_id = 'wenchang'").rowcount == 0
        assert hostile.execute("UPDATE users SET disabled_at = now() WHERE name <> 'clerk-b'").rowcount == 0


@pytest.mark.one_store
def test_nobody_raises_herself_or_makes_a_way_in_for_another(world: World, hostile: Hostile) -> None:
    clerk, other = world.user_ids["clerk"], world.user_ids["admin"]
    with hostile.transaction():
        ask(hostile, "SELECT open_scope(%s, %s)", *_session(world, "clerk"))
        for text, values in (
            ("UPDATE users SET role = 'admin' WHERE id = %s RETURNING id", (clerk,)),
            ("UPDATE users SET trained_until = '2099-01-01' WHERE id = %s RETURNING id", (clerk,)),
            ("SELECT make_api_token('x', %s, 'x', now(), NULL, '{}')", (other,)),
            ("INSERT INTO user_positions (user_id, role, given_by, given_at) VALUES (%s, 'admin', 'x', now()) RETURNING id", (clerk,)),
            ("INSERT INTO second_factors (user_id, secret_sealed, made_at) VALUES (%s, 'x', now()) RETURNING user_id", (other,)),
            ("INSERT INTO outer_identities VALUES ('x', 'x', %s, 'x', now()) RETURNING user_id", (other,)),
            ("INSERT INTO sign_in_steps VALUES ('x', %s, now(), 'infinity') RETURNING user_id", (other,)),
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege), hostile.transaction():
                ask(hostile, text, *values)
        for text in (
            "SELECT change_role(%s, 'admin', NULL)", "SELECT enable_user(%s)", "SELECT disable_user(%s, now())",
            "SELECT end_sessions_of(%s)", "SELECT forget_failures_of(%s)",
        ):  # fmt: skip
            assert ask(hostile, text, clerk) == [] and ask(hostile, text, other) == []
        assert ask(hostile, "SELECT * FROM own_standing(%s)", other) == []
        assert ask(hostile, "UPDATE users SET password_hash = '' WHERE id = %s RETURNING id", other) == []


@pytest.mark.one_store
def test_a_position_beside_the_first_opens_its_own_place_and_no_other(world: World, hostile: Hostile) -> None:
    token_hash, now = _session(world, "clerk")
    world.write(
        "INSERT INTO user_positions (user_id, role, community_id, given_by, given_at) VALUES (%s, 'grid_worker', 'binhe', 'x', now())",
        world.user_ids["clerk"],
    )  # fmt: skip
    held = world.rows("SELECT id FROM user_positions")[0]["id"]
    scopes = []
    for position in (None, held):
        ask(hostile, "SELECT position_session(%s, %s, NULL, 'infinity')", token_hash, position)
        with hostile.transaction():
            ask(hostile, "SELECT open_scope(%s, %s)", token_hash, now)
            scopes += ask(hostile, "SELECT scope_word('role') AS role, scope_list('places') AS places")
    assert scopes == [
        {"role": "property_clerk", "places": ["wenchang"]},
        {"role": "grid_worker", "places": ["binhe"]},
    ]
    ask(hostile, "SELECT position_session(%s, %s, NULL, 'infinity')", _session(world, "clerk-b")[0], held)
    assert world.rows("SELECT count(*) AS count FROM sessions WHERE position_id IS NOT NULL")[0]["count"] == 1


def test_random_reads_outside_the_scope_return_nothing(world: World, hostile: Hostile) -> None:
    seed = int(os.environ.get("KAIMEN_TEST_READS_SEED", random.SystemRandom().randrange(2**32)))
    print(f"KAIMEN_TEST_READS_SEED={seed}")
    maker = Maker(random.Random(seed), world)
    sessions = {name: _session(world, name) for name in ("clerk-b", "family-b", "police-b")}
    answered = 0
    for number in range(READS):
        text = maker.make()
        name = (None, "clerk-b", "family-b", "police-b")[number % 4]
        rows: list[dict[str, Any]] = []
        try:
            with hostile.transaction(force_rollback=True):
                if name is not None:
                    ask(hostile, "SELECT open_scope(%s, %s)", *sessions[name])
                rows = ask(hostile, text)
                answered += 1
        except psycopg.Error as error:
            assert not CANARIES.search(str(error.diag.message_detail or "")), (seed, text)
        said = repr(rows)
        assert not CANARIES.search(said), (seed, name, text, said[:500])
        if name is None:
            values = [value for row in rows for value in row.values()]
            assert not any(value not in (None, 0, False, [], "") for value in values), (
                seed,
                text,
                said[:500],
            )
    assert answered > READS // 5, "hardly anything was asked that could be answered"


class Maker:
    """Reads nobody thought of: one to three tables, views or functions, some columns, predicates, aggregates."""

    def __init__(self, chance: random.Random, world: World) -> None:
        self.chance = chance
        rows = world.rows(
            "SELECT c.relname AS name, a.attname AS part FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0"
            " AND NOT a.attisdropped AND c.relname <> ALL (%s) ORDER BY 1, a.attnum",
            [*WITHOUT_PEOPLE, "door_events_other"],
        )
        self.parts: dict[str, list[str]] = {}
        for row in rows:
            self.parts.setdefault(row["name"], []).append(row["part"])
        self.functions = world.rows(
            "SELECT p.proname AS name, p.proargtypes::regtype[]::text[] AS types FROM pg_proc p"
            " WHERE has_function_privilege('kaimen_console', p.oid, 'EXECUTE') AND p.pronamespace = 'public'::regnamespace"
            " AND p.prorettype <> 'void'::regtype AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid"
            " AND d.deptype = 'e' AND d.classid = 'pg_proc'::regclass) ORDER BY 1"
        )
        nos = [row["no"] for row in world.rows("SELECT no FROM devices ORDER BY no")]
        self.values = {
            "text": [
                "'wenchang'",
                "'h-wang'",
                "'clerk'",
                "'d-h-wang'",
                "''",
                "'places'",
                "'homes'",
                "'kind'",
            ],
            "bigint": ["1", "2", str(world.user_ids["police"]), "0"],
            "integer": ["1", "100", *map(str, nos)],
            "timestamp with time zone": ["now()", "'-infinity'", "'infinity'", "'2025-11-21'"],
            "bytea": ["'\\x00'", "'\\xdeadbeef'"],
            "integer[]": [f"ARRAY{nos}"],
            "bigint[]": ["ARRAY[7,7,7]::bigint[]"],
            "text[]": ["ARRAY['h-wang','wenchang']"],
            "timestamp with time zone[]": ["ARRAY['2025-11-21 07:59+00'::timestamptz]"],
        }

    def make(self) -> str:
        if self.chance.random() < 0.2:
            return self._call()
        names = [self.chance.choice(list(self.parts)) for _ in range(self.chance.choice((1, 1, 1, 2, 3)))]
        # Nothing may be told by what stands beside the rows either: the first one is read whole, others joined to it.
        source = f"{names[0]} t0"
        for number, name in enumerate(names[1:], 1):
            how = self.chance.choice(("JOIN", "LEFT JOIN", "CROSS JOIN"))
            on = (
                ""
                if how == "CROSS JOIN"
                else f" ON {self._test(names[0], 't0')} OR {self._test(name, f't{number}')}"
            )
            source += f" {how} {name} t{number}{on}"
        where = " AND ".join(
            self._test(name, f"t{number}") for number, name in enumerate(names) if self.chance.random() < 0.5
        )
        return (
            f"SELECT {self._wanted(names)} FROM {source}" + (f" WHERE {where}" if where else "") + " LIMIT 50"
        )

    def _wanted(self, names: list[str]) -> str:
        column = self._column(names[0], "t0")
        return self.chance.choice(
            (
                "t0.*", "*", column, f"count({column})", "count(*)", f"max({column}::text)", f"min({column}::text)",
                f"string_agg({column}::text, ',')", f"array_agg({column}::text)", f"length({column}::text)",
                f"(SELECT {column})", "row_to_json(t0)", f"EXISTS (SELECT 1 FROM {names[0]})",
            )
        )  # fmt: skip

    def _column(self, name: str, alias: str) -> str:
        return f'{alias}."{self.chance.choice(self.parts[name])}"'

    def _test(self, name: str, alias: str) -> str:
        column = self._column(name, alias)
        return self.chance.choice(
            (
                f"{column} IS NOT NULL", f"{column}::text ~ '.'", f"{column}::text LIKE '%h-%'", f"{column}::text > ''",
                "true", f"1 / length({column}::text) >= 0", f"{column}::text::int > 0",
                f"{column}::text = (SELECT max(id) FROM households)",
            )
        )  # fmt: skip

    def _call(self) -> str:
        found = self.chance.choice(self.functions)
        values = (self.chance.choice(self.values.get(kind, ["NULL"])) for kind in found["types"])
        return f"SELECT * FROM {found['name']}({', '.join(values)}) AS f"
