"""Rosters on a real PostgreSQL: who is told, what is refused, shifts that end, people who leave, and dry runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import pytest
from click.testing import CliRunner

from alerts import acts
from alerts.acts import ActRefused
from alerts.duty import shifts as shift_rows
from alerts.duty.dry_run import DryRunError, Question, answer
from alerts.duty.readiness import Need
from alerts.duty.roster import Deputy, Ground, Override, Rule, Swap, on_duty
from alerts.duty.store import (
    Change,
    RosterRefusedError,
    RosterWordsError,
    add_deputy,
    add_override,
    answer_swap,
    ask_swap,
    load_duty,
    load_gaps,
    save_rules,
)
from console.cli import main
from console.identity.leaving import NotHereError, leave
from kaimen.database import queries, transaction
from kaimen.vocabulary import Role
from tests.unit.alerts.town import DAY, HOUR, MINUTE, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]

DAYS, NIGHTS, ALWAYS = (time(8), time(18)), (time(18), time(8)), (time(0), time(0))
CLERK = Role.PROPERTY_CLERK


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        for name in ("gate", "gate2"):
            row = town.row(
                "INSERT INTO users (name, display_name, password_hash, role, community_id, created_at)"
                " VALUES (%s, %s, '', 'guard', 'c1', '2025-01-01') RETURNING id",
                name, name.title(),
            )  # fmt: skip
            town.users[name] = row["id"]
        yield town


def save(town: Town, role: Role, *rules: Rule, community: str = "c1") -> None:
    with transaction(town.pool) as connection:
        save_rules(Change(connection, community, "test", town.now), role, rules)


def days_and_nights(town: Town) -> None:
    """The clerk at the desk by day, the guard at the gate by night; the guard first, so that no night is bare."""
    save(town, Role.GUARD, Rule("every", *NIGHTS, (town.users["gate"],)))
    save(town, CLERK, Rule("every", *DAYS, (town.users["clerk"],)))


# --- what may be saved -------------------------------------------------------------------------------------------


def test_a_roster_that_leaves_the_night_bare_is_refused_with_its_first_minute(town: Town) -> None:
    town.rows("UPDATE users SET disabled_at = '2025-01-02' WHERE role = 'guard'")
    with pytest.raises(RosterRefusedError) as refused:
        save(town, CLERK, Rule("every", *DAYS, (town.users["clerk"],)))
    first = refused.value.gaps[0]
    assert first.from_at == MORNING + 9 * HOUR
    assert first.to_at == MORNING + 23 * HOUR
    assert town.rows("SELECT 1 FROM duty_rosters") == []


def test_days_and_nights_may_be_saved_and_a_minute_less_may_not(town: Town) -> None:
    days_and_nights(town)
    with pytest.raises(RosterRefusedError) as refused:
        save(town, CLERK, Rule("every", time(8), time(17, 59), (town.users["clerk"],)))
    assert refused.value.gaps[0].to_at - refused.value.gaps[0].from_at == MINUTE
    kept = town.row("SELECT until_time FROM duty_rules WHERE role = 'property_clerk' AND ended_at IS NULL")
    assert kept == {"until_time": time(18)}


def test_every_change_is_judged_by_what_it_leaves(town: Town) -> None:
    days_and_nights(town)
    gate, gate2 = town.users["gate"], town.users["gate2"]
    night = MORNING + 9 * HOUR
    with transaction(town.pool) as connection:
        change = Change(connection, "c1", "test", town.now)
        add_override(change, Role.GUARD, Override(night, night + 14 * HOUR, (gate2,)), reason="ill")
        add_deputy(change, Deputy(night + DAY, night + 2 * DAY, gate, gate2), reason="")
    town.rows("UPDATE users SET disabled_at = '2025-01-02' WHERE name = 'gate'")
    with transaction(town.pool) as connection:
        known = load_gaps(connection, "c1", now=town.now)
        assert known[0].from_at > night + DAY
        # With gaps there already, mending one of them is no worse.
        from_at = known[0].from_at
        add_override(
            Change(connection, "c1", "test", town.now),
            Role.GUARD, Override(from_at, from_at + 8 * HOUR, (gate2,)), reason="",
        )  # fmt: skip


def test_people_of_another_role_or_community_stand_in_no_roster(town: Town) -> None:
    for person in (town.users["officer"], 999_999):
        with pytest.raises(RosterWordsError):
            save(town, CLERK, Rule("every", *ALWAYS, (person,)))
    with pytest.raises(RosterWordsError, match="unknown_person"):
        save(town, CLERK, Rule("every", *ALWAYS, (town.users["clerk"],)), community="c2")


def test_somebody_without_an_address_is_not_reachable_where_a_channel_needs_one(town: Town) -> None:
    town.rows("INSERT INTO channel_states (channel, opened_at, personal) VALUES ('ntfy', now(), true)")
    address = (
        "INSERT INTO contact_channels (user_id, channel, address, address_hash, added_at, added_by)"
        " VALUES (%s, 'ntfy', 'x', %s, now(), 'test')"
    )
    town.rows(address, town.users["clerk"], b"1")
    with pytest.raises(RosterRefusedError) as refused:
        save(town, CLERK, Rule("every", *ALWAYS, (town.users["second"],)))
    assert refused.value.gaps[0].reason == "not_reachable"
    save(town, CLERK, Rule("every", *ALWAYS, (town.users["second"], town.users["clerk"])))


def test_a_swap_counts_once_the_other_has_accepted_by_name_and_nobody_else_can(town: Town) -> None:
    save(town, CLERK, Rule("every", *ALWAYS, (town.users["clerk"],)))
    clerk, second = town.users["clerk"], town.users["second"]
    span = (MORNING + DAY, MORNING + DAY + 8 * HOUR)

    def people() -> tuple[int, ...]:
        with transaction(town.pool) as connection:
            duty = load_duty(connection, "c1")
            assert duty is not None
            return on_duty(duty, CLERK, span[0]).people

    with transaction(town.pool) as connection:
        change = Change(connection, "c1", "test", town.now)
        swap_id = ask_swap(change, CLERK, Swap(*span, clerk, second), None, note="")
    assert people() == (clerk,)
    for user_id, expected in ((clerk, False), (town.users["gate"], False), (second, True), (second, False)):
        with transaction(town.pool) as connection:
            change = Change(connection, "c1", "test", town.now)
            assert answer_swap(change, swap_id, user_id=user_id, state="accepted") is expected
    assert people() == (second,)


def test_what_was_read_before_is_not_kept_when_rows_change_or_a_change_is_rolled_back(town: Town) -> None:
    save(town, CLERK, Rule("every", *ALWAYS, (town.users["clerk"],)))
    with pytest.raises(ZeroDivisionError), transaction(town.pool) as connection:
        change = Change(connection, "c1", "test", town.now)
        save_rules(change, CLERK, [Rule("every", *ALWAYS, (town.users["second"],))])
        raise ZeroDivisionError
    with transaction(town.pool) as connection:
        duty = load_duty(connection, "c1")
        assert duty is not None and on_duty(duty, CLERK, town.now).people == (town.users["clerk"],)
    save(town, CLERK, Rule("every", *ALWAYS, (town.users["second"],)))
    with transaction(town.pool) as connection:
        duty = load_duty(connection, "c1")
        assert duty is not None and on_duty(duty, CLERK, town.now).people == (town.users["second"],)


# --- who is told -------------------------------------------------------------------------------------------------


def test_a_visit_of_the_night_is_the_guards_is_told_at_once_and_the_timeline_says_why(town: Town) -> None:
    days_and_nights(town)
    town.household("h1", helpers=["neighbour_watcher"])
    town.at(MORNING + 14 * HOUR)  # 23:00
    town.crosses("h1", 3)
    town.settle()
    assert town.row("SELECT kind, role FROM tasks") == {"kind": "visit", "role": "guard"}
    told = {row["person"] for row in town.rows("SELECT person FROM outbox WHERE not_before <= %s", town.now)}
    assert "community:c1/guard" in told
    entries = town.rows("SELECT args FROM case_entries WHERE words = 'on_duty' ORDER BY id")
    assert {"role": "guard", "people": "Gate", "ground": "rule"} in [row["args"] for row in entries]
    assert {"role": "property_clerk", "people": "", "ground": "nobody"} in [row["args"] for row in entries]


def test_a_helper_is_asked_in_her_hours_and_for_her_time(town: Town) -> None:
    town.household("h1", helpers=["neighbour_watcher", "safety_guardian"])
    town.rows(
        "UPDATE household_contacts SET available_from = '18:00', available_until = '08:00'"
        " WHERE role = 'neighbour_watcher'"
    )
    town.rows("UPDATE household_contacts SET answer_within_s = 600 WHERE role = 'safety_guardian'")
    town.crosses("h1", 3)
    town.settle()
    task = town.row("SELECT role, due_at FROM tasks")
    assert task == {"role": "safety_guardian", "due_at": MORNING + 10 * MINUTE}


def test_without_a_roster_nothing_is_said_of_duty(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    assert town.rows("SELECT 1 FROM case_entries WHERE words = 'on_duty'") == []


# --- shifts that end ---------------------------------------------------------------------------------------------


def held_case(town: Town, at: datetime) -> int:
    """A case of the third day that the clerk holds shortly before 18:00."""
    days_and_nights(town)
    town.household("h1")
    town.at(at)
    town.crosses("h1", 3)
    town.settle()
    case_id = int(town.row("SELECT id FROM cases")["id"])
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["clerk"], now=town.now)
    return case_id


def test_a_case_held_at_the_end_of_a_shift_is_nobodys_and_annunciated_again(town: Town) -> None:
    held_case(town, MORNING + 8 * HOUR + 50 * MINUTE)
    town.at(MORNING + 9 * HOUR + 6 * MINUTE)
    town.settle()
    assert town.row("SELECT holder_id, state FROM cases") == {"holder_id": None, "state": "notified"}
    assert town.rows("SELECT 1 FROM case_entries WHERE words = 'shift_ended'")
    assert town.rows("SELECT 1 FROM outbox WHERE channel = 'console' AND repetition = 1")
    town.settle()
    assert len(town.rows("SELECT 1 FROM case_entries WHERE words = 'shift_ended'")) == 1


def test_whoever_renews_her_claim_after_the_shift_keeps_it(town: Town) -> None:
    case_id = held_case(town, MORNING + 8 * HOUR + 50 * MINUTE)
    town.at(MORNING + 9 * HOUR + MINUTE)
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=town.users["clerk"], now=town.now)
    town.at(MORNING + 9 * HOUR + 6 * MINUTE)
    town.settle()
    assert town.row("SELECT holder_id FROM cases") == {"holder_id": town.users["clerk"]}


def test_a_case_accepted_by_name_is_the_next_ones_and_nobody_is_told_again(town: Town) -> None:
    save(town, Role.GUARD, Rule("every", *NIGHTS, (town.users["gate"],)))
    save(
        town,
        CLERK,
        Rule("every", *DAYS, (town.users["clerk"],)),
        Rule("every", *NIGHTS, (town.users["second"],)),
    )
    town.household("h1")
    town.at(MORNING + 8 * HOUR + 50 * MINUTE)
    town.crosses("h1", 3)
    town.settle()
    case_id = int(town.row("SELECT id FROM cases")["id"])
    clerk, second = town.users["clerk"], town.users["second"]
    with transaction(town.pool) as connection:
        acts.claim(connection, case_id=case_id, user_id=clerk, now=town.now)
        shift_rows.offer_case(
            connection, case_id=case_id, user_id=clerk, to_user_id=second, note="rang twice", now=town.now
        )
    offer = int(town.row("SELECT id FROM duty_handovers WHERE ended_at IS NULL")["id"])
    with pytest.raises(ActRefused), transaction(town.pool) as connection:
        shift_rows.accept_case(connection, handover_id=offer, user_id=town.users["gate"], now=town.now)
    with transaction(town.pool) as connection:
        shift_rows.accept_case(connection, handover_id=offer, user_id=second, now=town.now)
    told = len(town.rows("SELECT 1 FROM outbox"))
    town.at(MORNING + 9 * HOUR + 6 * MINUTE)
    town.settle()
    assert town.row("SELECT holder_id FROM cases") == {"holder_id": second}
    assert len(town.rows("SELECT 1 FROM outbox")) == told
    with pytest.raises(ActRefused), transaction(town.pool) as connection:
        shift_rows.accept_case(connection, handover_id=offer, user_id=second, now=town.now)


def test_only_the_holder_offers_and_only_to_somebody_of_her_role(town: Town) -> None:
    case_id = held_case(town, MORNING + HOUR)
    for user_id, to_user_id in (
        (town.users["second"], town.users["clerk"]),
        (town.users["clerk"], town.users["gate"]),
        (town.users["clerk"], town.users["clerk"]),
    ):
        with pytest.raises(ActRefused), transaction(town.pool) as connection:
            shift_rows.offer_case(
                connection, case_id=case_id, user_id=user_id, to_user_id=to_user_id, note="", now=town.now
            )


# --- people who leave --------------------------------------------------------------------------------------------


def test_leaving_ends_every_way_in_gives_back_cases_and_names_the_gaps(town: Town) -> None:
    case_id = held_case(town, MORNING + HOUR)
    clerk = town.users["clerk"]
    town.rows("INSERT INTO sessions VALUES ('s', %s, now(), now(), now() + interval '1 day')", clerk)
    town.rows("INSERT INTO api_tokens VALUES ('t', %s, 'x', now())", clerk)
    town.rows("INSERT INTO duty_feeds (user_id, token_hash, made_at) VALUES (%s, 'f', now())", clerk)
    with transaction(town.pool) as connection:
        left = leave(connection, name="clerk", community_id="c1", by="test", now=town.now, wall_now=town.now)
    assert (left.sessions, left.tokens, left.feeds, len(left.given_back), left.rules) == (1, 1, 1, 1, 1)
    # By day nobody is left at the desk: the first minute is now.
    assert left.gaps[0].from_at == town.now and left.gaps[0].need in Need
    assert town.rows("SELECT 1 FROM users WHERE name = 'clerk' AND disabled_at IS NULL") == []
    assert town.row("SELECT holder_id FROM cases WHERE id = %s", case_id) == {"holder_id": None}
    for table in ("sessions", "api_tokens"):
        assert town.rows(f"SELECT 1 FROM {table}") == []


def test_nobody_lets_go_somebody_of_another_community_or_a_relative(town: Town) -> None:
    for name, community in (("clerk", "c2"), ("daughter", "c1"), ("nobody", None)):
        with pytest.raises(NotHereError), transaction(town.pool) as connection:
            leave(connection, name=name, community_id=community, by="t", now=town.now, wall_now=town.now)


# --- dry runs ----------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_the_engine_then_does(town: Town) -> None:
    days_and_nights(town)
    town.household("h1", helpers=["neighbour_watcher"], family=["daughter"])
    silent_from = MORNING + 14 * HOUR  # 23:00
    with transaction(town.pool) as connection:
        found = answer(connection, Question(silent_from, household_id="h1", hours_after_visit=6))
        assert connection.execute("SELECT count(*) AS n FROM cases").fetchone() == {"n": 0}
    for stage in (1, 2, 3):
        town.at(silent_from + stage * DAY)
        town.crosses("h1", stage)
        town.settle()
        while True:
            due = town.row("SELECT next_action_at FROM cases")["next_action_at"]
            if due > (silent_from + (stage + 1) * DAY if stage < 3 else found.until):
                break
            town.at(due)
            town.settle()
    tasks = [(line.at, line.act, line.role) for line in found.lines if line.kind == "task"]
    done = town.rows(
        "SELECT start_at, kind, role FROM tasks WHERE start_at <= %s ORDER BY start_at, id", found.until
    )
    assert tasks == [(row["start_at"], row["kind"], row["role"]) for row in done]
    expected = town.rows(
        "SELECT not_before, step, person, channel FROM outbox"
        " WHERE not_before <= %s AND not_before >= created_at"
        " AND (state <> 'superseded' OR channel = 'console')",
        found.until,
    )
    told = {(line.at, line.step, line.who, line.channel) for line in found.lines if line.kind == "message"}
    assert told <= {(row["not_before"], row["step"], row["person"], row["channel"]) for row in expected}
    assert (silent_from + 3 * DAY, "visit", "community:c1/guard", "console") in told
    visit = next(line for line in found.lines if line.who == "community:c1/guard" and line.step == "visit")
    assert visit.people == (town.users["gate"],) and visit.ground is Ground.RULE


def test_a_dry_run_of_a_policy_needs_no_household_and_of_nothing_is_refused(town: Town) -> None:
    with transaction(town.pool) as connection:
        found = answer(connection, Question(MORNING, community_id="c1"))
        assert [line.step for line in found.lines if line.kind == "stage"] == ["warning", "call", "visit"]
        for question in (
            Question(MORNING, community_id="nowhere"),
            Question(MORNING, household_id="nobody"),
            Question(MORNING, community_id="c1", policy_id="none"),
            Question(MORNING, community_id="c1", hours_after_visit=100_000),
        ):
            with pytest.raises(DryRunError):
                answer(connection, question)


def test_the_command_answers_as_json_without_names_and_with_them_leaves_a_trace(town: Town) -> None:
    days_and_nights(town)
    town.household("h1")
    words = [
        "policy",
        "dry-run",
        "--database-url",
        town.url,
        "--household",
        "h1",
        "--from",
        "2025-11-21 18:00",
    ]
    plain = CliRunner().invoke(main, [*words, "--json"])
    assert plain.exit_code == 0, plain.output
    report = json.loads(plain.output)
    assert report["silent_from"] == "2025-11-21T10:00:00+00:00"
    assert {line["kind"] for line in report["lines"]} == {"stage", "task", "message"}
    assert "Gate" not in plain.output and town.rows("SELECT 1 FROM audit_entries") == []
    named = CliRunner().invoke(main, [*words, "--names"])
    assert named.exit_code == 0 and "Gate" in named.output
    assert town.row("SELECT action FROM audit_entries") == {"action": "policy_dry_run"}


# --- monthly tests -----------------------------------------------------------------------------------------------


def test_everybody_at_work_is_to_be_rung_once_a_month(town: Town) -> None:
    days_and_nights(town)
    town.settle()
    first = town.rows("SELECT user_id FROM live_tests")
    assert {row["user_id"] for row in first} == {
        town.users[name] for name in ("clerk", "second", "gate", "gate2")
    }
    town.at(MORNING + timedelta(days=2))
    town.settle()
    assert len(town.rows("SELECT 1 FROM live_tests")) == len(first)
    town.at(MORNING + timedelta(days=20))
    town.settle()
    assert len(town.rows("SELECT 1 FROM live_tests")) == 2 * len(first)


# --- who holds more than one position ----------------------------------------------------------------------------


def test_a_roster_a_shift_and_a_message_follow_every_position_somebody_holds(town: Town) -> None:
    officer = town.users["officer"]
    with pytest.raises(RosterWordsError):
        save(town, CLERK, Rule("every", *ALWAYS, (officer,)))
    town.rows(
        "INSERT INTO user_positions (user_id, role, community_id, given_by, given_at)"
        " VALUES (%s, 'property_clerk', 'c1', 'test', '2025-01-01') RETURNING id",
        officer,
    )
    town.rows(
        "INSERT INTO contact_channels (user_id, channel, address, address_hash, added_by, added_at)"
        " VALUES (%s, 'email', '\\x0078', '\\x78', 'import', '2025-01-01') RETURNING id",
        officer,
    )
    save(town, CLERK, Rule("every", *ALWAYS, (officer,)))
    with transaction(town.pool) as connection:
        duty = load_duty(connection, "c1")
        assert duty is not None
        assert set(duty.people[officer].roles) == {Role.POLICE_OFFICER, Role.PROPERTY_CLERK}
        rows = connection.execute(
            queries("alerts.sending", "outbox.sql")["staff_addresses"],
            {"channels": ["email"], "community_id": "c1", "household_id": "h1"},
        ).fetchall()
    assert {row["role"] for row in rows} == {"police_officer", "property_clerk"}
    town.rows("UPDATE users SET disabled_at = '2025-01-02' WHERE id = %s RETURNING id", officer)
    with transaction(town.pool) as connection:
        gone = load_duty(connection, "c1")
        assert gone is not None
        assert officer not in gone.people
