"""Signals, absences, words and policies as rows enter; cases of several causes in a real PostgreSQL leave."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from alerts import acts
from alerts.bearings import load_grounds
from kaimen.database import transaction
from kaimen.vocabulary import CaseCause, Contacted, EvidenceSource, Grade, Outcome
from tests.unit.alerts.town import DAY, HOUR, MINUTE, MORNING, Town, build_town

pytestmark = [pytest.mark.slow, pytest.mark.one_store]


@pytest.fixture
def town(database_url: str) -> Iterator[Town]:
    with build_town(database_url) as town:
        yield town


def signals(
    town: Town, kind: str, *, household: str | None = None, device: str | None = None, key: str = ""
) -> int:
    """What ingest writes: a signal and its happening in one transaction."""
    with psycopg.connect(town.url) as connection:
        row = connection.execute(
            "INSERT INTO signals (key, kind, household_id, device_id, site_id, community_id, at, noticed_at, evidence)"
            " VALUES (%s, %s, %s, %s, 's1', 'c1', %s, %s, '{}') RETURNING id",
            (key or f"{kind}:{household}:{device}", kind, household, device, town.now, town.now),
        ).fetchone()
        assert row is not None
        connection.execute(
            "INSERT INTO happenings (kind, fact_id, household_id, at) VALUES ('signal', %s, %s, %s)",
            (row[0], household, town.now),
        )
        return int(row[0])


def ends(town: Town, signal_id: int, household: str | None = None) -> None:
    with psycopg.connect(town.url) as connection:
        connection.execute(
            "INSERT INTO signal_ends (signal_id, ended_at, noticed_at, reason, evidence) VALUES (%s, %s, %s, 'closed', '{}')",
            (signal_id, town.now, town.now),
        )
        connection.execute(
            "INSERT INTO happenings (kind, fact_id, household_id, at) VALUES ('signal_ended', %s, %s, %s)",
            (signal_id, household, town.now),
        )


def state(
    town: Town, household: str, *, evidence_at: datetime, kind: str = "opening", **further: Any
) -> None:
    """What ingest last had of a household."""
    town.rows("DELETE FROM household_states WHERE household_id = %s", household)
    town.rows(
        "INSERT INTO household_states (household_id, as_of, known, stage, check_step, evidence_at, evidence, base_ms,"
        " anchor_at, settled_ms, door_open_since) VALUES (%s, %s, true, 0, 0, %s, %s, 0, %s, 0, %s)",
        household, town.now, evidence_at, Jsonb({"kind": kind}), town.now, further.get("door_open_since"),
    )  # fmt: skip


def record(town: Town, user: str, outcome: Outcome, kind: str, **further: Any) -> None:
    task = town.row("SELECT id FROM tasks WHERE kind = %s AND state IN ('open', 'claimed')", kind)
    with transaction(town.pool) as connection:
        acts.record_outcome(
            connection, task_id=task["id"], user_id=town.users[user], outcome=outcome, now=town.now, **further
        )


def test_causes_of_one_household_are_cases_of_their_own_and_evidence_closes_only_inactivity(
    town: Town,
) -> None:
    town.household("h1")
    crossing = town.crosses("h1", 2)
    signals(town, "sos", household="h1", device="door-h1")
    signals(town, "door_forced", household="h1", device="door-h1")
    town.settle()
    rows = town.rows("SELECT cause, cause_key, priority, state FROM cases ORDER BY priority DESC, cause")
    assert [(row["cause"], row["cause_key"], row["priority"]) for row in rows] == [
        ("sos", "household:h1", 3),
        ("door_forced", "device:door-h1", 2),
        ("inactivity", None, 2),
    ]
    town.withdraws(crossing)
    town.settle()
    still = town.rows("SELECT cause FROM cases WHERE state <> 'closed' ORDER BY cause")
    assert [row["cause"] for row in still] == ["door_forced", "sos"]


def test_the_same_thing_again_is_one_case_and_after_its_end_a_new_one(town: Town) -> None:
    town.household("h1")
    first = signals(town, "door_held", device="door-h1", key="a")
    second = signals(town, "door_held", device="door-h1", key="b")
    town.settle()
    assert town.row("SELECT signal_count FROM cases")["signal_count"] == 2
    ends(town, first)
    town.settle()
    assert town.row("SELECT state FROM cases")["state"] != "closed"
    ends(town, second)
    town.settle()
    assert town.row("SELECT state, outcome FROM cases") == {"state": "closed", "outcome": "restored"}
    signals(town, "door_held", device="door-h1", key="c")
    town.settle()
    assert len(town.rows("SELECT 1 FROM cases")) == 2


def test_who_calls_for_help_does_not_wait_behind_a_storm(town: Town) -> None:
    for number in range(30):
        town.household(f"h{number}")
        town.crosses(f"h{number}", 1)
    signals(town, "sos", household="h7", device="door-h7")
    worker = town.worker(claim_max=5)
    worker.turn()
    assert "sos" in {row["cause"] for row in town.rows("SELECT cause FROM cases")}


def test_duress_reaches_desk_and_police_and_no_one_of_the_household(town: Town) -> None:
    town.household("h1", helpers=["neighbour_watcher"], family=["daughter"])
    signals(town, "duress", household="h1", device="door-h1")
    town.settle()
    people = {row["person"] for row in town.rows("SELECT person FROM outbox")}
    assert people == {"community:c1/property_clerk", "community:c1/police_officer"}


def test_a_ladder_of_the_policy_rules_a_cause_and_an_open_case_keeps_its_snapshot(town: Town) -> None:
    town.household("h1")
    signals(town, "sos", household="h1", device="door-h1", key="a")
    town.settle()
    town.rows(
        "INSERT INTO policies (id, version, thresholds_s, ladder, valid_from) VALUES"
        " ('mandated', 2, '{86400,172800,259200}', %s, '2025-01-01')",
        Jsonb({"causes": {"sos": {"sla_ms": 120_000, "lease_ms": 60_000}}, "call_lease_ms": 600_000}),
    )
    town.household("h2")
    worker = town.worker()
    signals(town, "sos", household="h2", device="door-h2", key="b")
    town.settle(worker)
    old, new = town.rows("SELECT policy FROM cases ORDER BY id")
    assert old["policy"]["causes"]["sos"]["sla_ms"] == 600_000 and old["policy"]["version"] == 1
    assert new["policy"]["causes"]["sos"]["sla_ms"] == 120_000 and new["policy"]["version"] == 2
    due = town.rows("SELECT due_at - created_at AS span FROM tasks ORDER BY id")
    assert [row["span"] for row in due] == [timedelta(minutes=10), timedelta(minutes=2)]


def test_a_changed_policy_is_told_to_whoever_judges_without_a_restart(town: Town) -> None:
    with psycopg.connect(town.url, autocommit=True) as listener:
        listener.execute("LISTEN kaimen_registry")
        town.rows(
            "INSERT INTO policies (id, version, thresholds_s, valid_from) VALUES ('slow', 1, '{90000}', '2025-01-01')"
        )
        assert [notice.channel for notice in listener.notifies(timeout=5, stop_after=1)] == [
            "kaimen_registry"
        ]


def test_each_kind_of_care_has_its_ladder_as_data_and_the_installation_may_store_its_own(town: Town) -> None:
    spans = {}
    town.rows(
        "INSERT INTO policies (id, version, thresholds_s, ladder, valid_from) VALUES"
        " ('blind', 1, '{86400,172800,259200}', '{\"call_sla_ms\": 900000}', '2025-01-01')"
    )
    town.rows("INSERT INTO care_categories (category, policy_id) VALUES ('blind', 'blind')")
    for category in ("living_alone", "disabled", "left_behind_child", "blind"):
        home = town.household(category.replace("_", "-"))
        town.rows(
            "INSERT INTO persons (id, household_id, relation, category) VALUES (%s, %s, 'resident', %s)",
            f"p-{home}", home, category,
        )  # fmt: skip
        town.crosses(home, 2)
        town.settle()
        task = town.row("SELECT due_at - start_at AS span FROM tasks WHERE household_id = %s", home)
        spans[category] = task["span"]
    assert spans == {
        "living_alone": 2 * HOUR, "disabled": 90 * MINUTE, "left_behind_child": HOUR, "blind": 15 * MINUTE,
    }  # fmt: skip
    with transaction(town.pool) as connection, pytest.raises(acts.ActRefused, match="remote_too_often"):
        acts.record_remote_well(connection, household_id="left-behind-child", via="key", now=town.now)


# --- is she back? ------------------------------------------------------------------------------------------------


def away(town: Town, household: str, *, days: int = 10) -> int:
    town.rows(
        "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
        " VALUES (%s, %s, %s, 'travel', 'daughter', %s)",
        household, town.now, town.now + timedelta(days=days), town.now,
    )  # fmt: skip
    return int(town.row("SELECT max(id) AS id FROM absences")["id"])


def absences(town: Town) -> list[tuple[timedelta, timedelta, int | None]]:
    rows = town.rows("SELECT from_at, to_at, restores FROM absences ORDER BY id")
    return [(row["from_at"] - MORNING, row["to_at"] - MORNING, row["restores"]) for row in rows]


def opens_while_away(town: Town, *, kind: str = "opening") -> int:
    town.household("h1", family=["daughter"])
    absence = away(town, "h1")
    town.at(MORNING + 2 * DAY)
    state(town, "h1", evidence_at=town.now - MINUTE, kind=kind)
    town.settle()
    return absence


def test_a_neighbour_watering_the_plants_restores_the_absence(town: Town) -> None:
    absence = opens_while_away(town)
    case = town.row("SELECT * FROM cases")
    assert (case["cause"], case["cause_key"]) == ("absence", f"absence:{absence}")
    assert "user:" in " ".join(row["person"] for row in town.rows("SELECT person FROM outbox"))
    town.at(MORNING + 2 * DAY + 3 * HOUR)
    record(town, "daughter", Outcome.NOT_BACK, "confirm_back")
    assert absences(town) == [
        (timedelta(0), 2 * DAY + 3 * HOUR, None),
        (2 * DAY + 3 * HOUR, 10 * DAY, absence),
    ]
    town.at(MORNING + 3 * DAY)
    town.settle()
    assert len(town.rows("SELECT 1 FROM cases")) == 1, "the same opening is not asked about again"


def test_nobody_answers_and_the_watch_resumes_from_the_opening(town: Town) -> None:
    opens_while_away(town)
    town.at(MORNING + 2 * DAY + 11 * HOUR)
    town.settle()
    assert town.row("SELECT state FROM cases")["state"] != "closed"
    town.at(MORNING + 2 * DAY + 25 * HOUR)
    town.settle()
    assert town.row("SELECT state, outcome, closed_by FROM cases") == {
        "state": "closed", "outcome": "back", "closed_by": "clock",
    }  # fmt: skip
    assert absences(town) == [(timedelta(0), 2 * DAY - MINUTE, None)]


def test_her_own_card_ends_the_absence_without_asking_anybody(town: Town) -> None:
    opens_while_away(town, kind="own_credential")
    assert town.rows("SELECT 1 FROM cases") == []
    assert absences(town) == [(timedelta(0), 2 * DAY - MINUTE, None)]


def test_a_pressed_button_during_an_absence_is_asked_about_and_a_person_at_the_door_is_not(
    town: Town,
) -> None:
    for number, (how, asked) in enumerate([("button", 1), ("saw", 0)]):
        household = f"h{number}"
        town.household(household)
        away(town, household)
        at = town.now + MINUTE
        state(town, household, evidence_at=at, kind="verified")
        town.rows(
            "INSERT INTO verified_contacts (household_id, at, how, witness, recorded_at) VALUES (%s, %s, %s, 'x', %s)",
            household, at, how, at,
        )  # fmt: skip
        town.at(at + MINUTE * 10)
        town.settle()
        count = town.row("SELECT count(*) AS n FROM cases WHERE household_id = %s", household)["n"]
        assert count == asked


def test_consent_withdrawn_ends_the_question(town: Town) -> None:
    opens_while_away(town)
    town.rows("UPDATE consents SET withdrawn_at = %s WHERE purpose = 'watch'", town.now)
    town.settle()
    assert town.row("SELECT outcome FROM cases")["outcome"] == "consent_withdrawn"


# --- words of her ------------------------------------------------------------------------------------------------


def word(town: Town, source: EvidenceSource, who: str = "Ms Zhao, kitchen") -> None:
    with transaction(town.pool) as connection:
        if source is EvidenceSource.MEAL:
            acts.record_met(connection, household_id="h1", how=source, witness=who, at=town.now, now=town.now)
        else:
            acts.record_remote_well(
                connection, household_id="h1", via=who, now=town.now, source=source, recorded_by="user:1"
            )


def test_orders_and_buttons_count_twice_in_succession_and_a_meal_handed_to_her_starts_anew(
    town: Town,
) -> None:
    town.household("h1")
    state(town, "h1", evidence_at=town.now - DAY)
    word(town, EvidenceSource.ORDER)
    town.at(town.now + HOUR)
    word(town, EvidenceSource.BUTTON)
    town.at(town.now + HOUR)
    with pytest.raises(acts.ActRefused, match="remote_too_often"):
        word(town, EvidenceSource.ORDER)
    word(town, EvidenceSource.MEAL)
    town.at(town.now + HOUR)
    word(town, EvidenceSource.BUTTON)
    rows = town.rows(
        "SELECT how, succession, is_remote, witness, recorded_by FROM verified_contacts ORDER BY id"
    )
    assert [(row["how"], row["succession"], row["is_remote"]) for row in rows] == [
        ("order", 1, True), ("button", 2, True), ("meal", 0, False), ("button", 1, True),
    ]  # fmt: skip
    assert rows[2]["witness"] == "Ms Zhao, kitchen" and rows[0]["recorded_by"] == "user:1"


def test_five_days_of_pressed_keys_are_a_visit_whatever_anyone_pressed(town: Town) -> None:
    town.household("h1")
    state(town, "h1", evidence_at=town.now)
    town.at(town.now + 4 * DAY)
    word(town, EvidenceSource.BUTTON)
    town.at(town.now + 23 * HOUR)
    town.settle()
    assert town.rows("SELECT 1 FROM cases") == []
    town.at(town.now + 2 * HOUR)
    town.settle()
    assert town.row("SELECT cause, stage FROM cases") == {"cause": "inactivity", "stage": 3}


def test_a_word_for_tomorrow_or_the_day_before_yesterday_is_refused(town: Town) -> None:
    town.household("h1")
    for at in (town.now + MINUTE, town.now - 25 * HOUR):
        with transaction(town.pool) as connection, pytest.raises(acts.ActRefused, match="not_a_time"):
            acts.record_met(
                connection, household_id="h1", how=EvidenceSource.MEAL, witness="x", at=at, now=town.now
            )
    assert town.rows("SELECT 1 FROM verified_contacts") == []


def test_a_drawn_well_is_looked_at_by_another_and_taken_back_if_it_was_none(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    record(town, "clerk", Outcome.WELL, "call", contacted=Contacted.SPOKE, witness="Ms Li", lot=0.04)
    review = town.row("SELECT * FROM cases WHERE cause = 'review'")
    assert review["household_id"] == "h1"
    with pytest.raises(acts.ActRefused, match="second_person_needed"):
        record(town, "clerk", Outcome.RIGHT, "review")
    record(town, "second", Outcome.DOUBTED, "review", note="the witness knows of no call")
    told = town.row("SELECT doubted_by FROM verified_contacts")
    assert told["doubted_by"] == f"user:{town.users['second']}"
    # Nothing has answered for her any more: what stood stands, and the case is opened again.
    town.at(town.now + 4 * HOUR + MINUTE)
    town.settle()
    assert town.row("SELECT stage FROM cases WHERE state <> 'closed' AND cause = 'inactivity'")["stage"] == 2


def test_a_well_that_was_not_drawn_asks_nobody(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    record(town, "clerk", Outcome.WELL, "call", contacted=Contacted.SPOKE, witness="Ms Li", lot=0.05)
    assert town.rows("SELECT 1 FROM cases WHERE cause = 'review'") == []


def test_another_outcome_reopens_after_four_hours_while_the_stage_stands(town: Town) -> None:
    town.household("h1")
    town.crosses("h1", 2)
    town.settle()
    record(town, "clerk", Outcome.OTHER, "call", note="a relative said something we could not make out")
    town.at(town.now + 3 * HOUR + 50 * MINUTE)
    town.settle()
    assert town.rows("SELECT 1 FROM cases WHERE state <> 'closed'") == []
    town.at(town.now + 20 * MINUTE)
    town.settle()
    again = town.row("SELECT reopened_from, stage FROM cases WHERE state <> 'closed'")
    assert again["reopened_from"] is not None and again["stage"] == 2


def test_a_death_confirmed_by_a_second_person_stops_every_message_of_the_household(town: Town) -> None:
    town.household("h1", family=["daughter"])
    town.crosses("h1", 2)
    signals(town, "vacant_opened", household="h1", device="door-h1")
    town.settle()
    record(town, "clerk", Outcome.DECEASED, "call")
    case = town.row("SELECT id FROM cases WHERE cause = 'inactivity'")
    with transaction(town.pool) as connection:
        acts.confirm_closing(
            connection, case_id=case["id"], user_id=town.users["second"], confirmed=True, now=town.now
        )
    assert town.rows("SELECT 1 FROM outbox WHERE state = 'planned'") == []
    assert town.row("SELECT withdrawn_at FROM consents WHERE purpose = 'watch'")["withdrawn_at"] == town.now


# --- grounds -----------------------------------------------------------------------------------------------------


def sees(town: Town, device: str, *, at: datetime, type_: str = "Motion", state_: str | None = None) -> None:
    town.rows(
        "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
        " clock_quality, replayed, type, state, plausible, batch)"
        " SELECT %s, %s, %s, no, 1, extract(epoch FROM %s::timestamptz)::bigint, 0, 0, 'ntp', false, %s, %s, true, 1"
        " FROM devices WHERE id = %s",
        at, at, at, at, type_, state_, device,
    )  # fmt: skip


def with_sensor(town: Town) -> None:
    town.household("h1")
    town.rows(
        "INSERT INTO devices (id, site_id, kind, place, registered_at) VALUES ('motion-1', 's1', 'motion', 'h1', '2025-01-01')"
    )


def test_a_case_carries_grade_presence_rhythm_and_the_open_door(town: Town) -> None:
    with_sensor(town)
    opened_at = town.now - DAY
    for day in range(1, 40):
        for hour in (0, 4, 9):
            at = opened_at - day * DAY + hour * HOUR
            sees(town, "door-h1", at=at, type_="DoorPhysicalState", state_="Open")
            sees(town, "motion-1", at=at + 10 * MINUTE)
    state(town, "h1", evidence_at=opened_at, door_open_since=opened_at)
    sees(town, "door-h1", at=opened_at, type_="LockPhysicalState", state_="Unlocked")
    town.rows(
        "INSERT INTO household_presence (household_id, state, ground, since_at, as_of) VALUES ('h1', 'in', %s, %s, %s)",
        Jsonb({"reason": "activity_after"}), opened_at, town.now,
    )  # fmt: skip
    town.crosses("h1", 1, evidence_at=opened_at)
    town.settle()
    case = town.row("SELECT grade, grounds FROM cases")
    assert case["grade"] == "high"
    grounds = case["grounds"]
    assert (grounds["presumed"], grounds["presumed_by"]) == ("in", "activity_after")
    assert grounds["usual_gap"]["days"] >= 35
    assert grounds["usual_gap"]["median_ms"] == 5 * 3_600_000
    assert grounds["usual_gap"]["p95_ms"] == 15 * 3_600_000
    assert datetime.fromisoformat(grounds["door_open_since"]) == opened_at
    assert datetime.fromisoformat(grounds["unlocked_since"]) == opened_at


def grade_of(town: Town, evidence_at: datetime) -> Grade:
    with transaction(town.pool) as connection:
        return load_grounds(connection, "h1", evidence_at=evidence_at, now=town.now).grade


def test_activity_near_usual_grades_low_and_an_unheard_sensor_says_nothing(town: Town) -> None:
    with_sensor(town)
    opened_at = town.now - DAY - HOUR
    assert grade_of(town, opened_at) is Grade.HIGH
    for day in range(2, 12):
        for hour in (1, 3, 5, 7):
            sees(town, "motion-1", at=town.now - day * DAY - hour * HOUR)
    sees(town, "motion-1", at=town.now - 20 * HOUR)
    assert grade_of(town, opened_at) is Grade.MIDDLE
    for hour in (2, 6):
        sees(town, "motion-1", at=town.now - hour * HOUR)
    assert grade_of(town, opened_at) is Grade.LOW
    town.rows("DELETE FROM door_events")
    town.rows(
        "INSERT INTO outages (device_id, cause, cause_id, began_at) VALUES ('motion-1', 'device', 'motion-1', %s)",
        town.now - HOUR,
    )
    assert grade_of(town, opened_at) is Grade.UNGRADED


def test_the_grounds_of_a_case_have_nothing_to_do_with_days_long_past(town: Town) -> None:
    """Planning over every day that is kept took longer than reading those that matter."""
    with_sensor(town)
    for days in (200, 3):
        at = town.now - days * DAY
        town.rows("SELECT ensure_event_partitions(%s, %s)", at, at)
        sees(town, "motion-1", at=at)
    with transaction(town.pool) as connection:
        load_grounds(connection, "h1", evidence_at=town.now - DAY, now=town.now)
        held = connection.execute(
            "SELECT count(*) AS days FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessShareLock'"
            " AND relation IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'door_events'::regclass"
            " AND inhrelid::regclass::text <> 'door_events_other')"  # what no day has is always asked
        ).fetchone()
    assert held is not None and held["days"] == 1


def test_a_call_of_the_night_graded_high_is_asked_at_once(town: Town) -> None:
    with_sensor(town)
    town.household("h2")
    town.at(MORNING + 17 * HOUR)  # 02:00 in Shanghai
    town.crosses("h1", 2, evidence_at=town.now - 2 * DAY)
    town.crosses("h2", 2, evidence_at=town.now - 2 * DAY)
    town.settle()
    starts = town.rows(
        "SELECT c.household_id, t.start_at FROM tasks t JOIN cases c ON c.id = t.case_id ORDER BY 1"
    )
    assert [row["start_at"] - town.now for row in starts] == [timedelta(0), 5 * HOUR]
    assert {row["grade"] for row in town.rows("SELECT grade FROM cases")} == {"high", "ungraded"}


def test_every_cause_has_its_own_word_in_the_database(town: Town) -> None:
    definition = town.row(
        "SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conname = 'cases_cause_check'"
    )["text"]
    assert all(f"'{cause.value}'" in definition for cause in CaseCause)
