"""What needs a look at the doors, the rental board, who is at home, and news of coming home: who sees what."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb

from console.words import load_catalogue
from kaimen.clock import ManualClock
from tests.integration.console_world import ROLES, World, add_events, build_world

pytestmark = pytest.mark.slow

pytest.importorskip("fastapi")


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def word(name: str) -> str:
    return load_catalogue("zh")[name][0]


def signal(world: World, kind: str, *, device: str | None = "d-h-wang", household: str | None = "h-wang",
           community: str = "wenchang", hours: float = 1, ended: str | None = None, **evidence: object) -> None:  # fmt: skip
    at = world.now - timedelta(hours=hours)
    world.write(
        "INSERT INTO signals (key, kind, household_id, device_id, site_id, community_id, at, noticed_at, evidence)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        f"{kind}:{household}:{hours}", kind, household, device, f"site-{community}", community, at, at,
        json.dumps(evidence),
    )  # fmt: skip
    if ended:
        world.write(
            "INSERT INTO signal_ends SELECT id, %s, %s, %s, '{}' FROM signals WHERE kind = %s",
            at,
            at,
            ended,
            kind,
        )


def refuse(world: World, device: str, count: int) -> None:
    (row,) = world.rows("SELECT no FROM devices WHERE id = %s", device)
    for number in range(count):
        at = world.now - timedelta(minutes=number)
        world.write(
            "INSERT INTO door_events (occurred_at, received_at, recorded_at, device_no, boot, seq, ts_ms, up_ms,"
            " clock_quality, replayed, type, credential, plausible, batch)"
            " VALUES (%s, %s, %s, %s, 9, %s, 0, 0, 'ntp', false, 'Denied', 'x-1', true, 1)",
            at, at, at, row["no"], number + 1,
        )  # fmt: skip


def test_the_clerk_sees_what_needs_a_look_and_the_reading_leaves_a_trace(world: World) -> None:
    signal(world, "sos", count=3)
    signal(world, "stranger_denials", household=None, hours=2, count=4)
    signal(world, "door_held", hours=100)
    signal(world, "door_forced", hours=3, ended="door_closed")
    signal(world, "vacant_opened", hours=1)
    refuse(world, "d-h-wang", 4)
    text = world.browser("clerk").get("/signals?days=7").text
    for words in (
        word("signal.sos"),
        word("signal.stranger_denials"),
        word("signal.door_held"),
        word("signal.end.door_closed"),
        "3-1-1201",
    ):
        assert words in text
    assert word("signal.vacant_opened") not in text, "dwellings stand on their own board"
    assert "王秀英" not in text
    assert 'href="/access-log?door=d-h-wang&amp;type=Denied"' in text
    (entry,) = world.rows("SELECT * FROM audit_entries WHERE action = 'signals_listed'")
    assert entry["detail"]["households"] == ["h-wang"]


def test_an_old_fact_that_stands_is_shown_today_and_one_that_ended_is_not(world: World) -> None:
    signal(world, "door_held", hours=100)
    signal(world, "door_forced", hours=90, ended="door_closed")
    text = world.browser("clerk").get("/signals").text
    assert word("signal.door_held") in text
    assert word("signal.door_forced") not in text.split("<tbody>")[1]


def test_police_see_doors_and_strangers_and_neither_homes_nor_calls_for_help(world: World) -> None:
    signal(world, "sos")
    signal(world, "cancelled_card", hours=2)
    signal(world, "stranger_denials", household=None, hours=3)
    text = world.browser("police").get("/signals?days=7").text
    assert word("signal.cancelled_card") in text
    assert word("signal.sos") not in text.split("<tbody>")[1].split("</tbody>")[0]
    assert "涉及" not in text
    assert "/access-log" not in text, "the log needs a ticket"


def test_another_community_sees_nothing_of_it(world: World) -> None:
    signal(world, "sos")
    refuse(world, "d-h-wang", 3)
    for name in ("clerk-b", "police-b"):
        text = world.browser(name).get("/signals?days=7").text
        assert "3-1-1201" not in text
        assert "今天没有需要查看的" in text


def let(world: World, household: str, lease: str, *, ends_in_days: float | None, occupants: int = 1) -> None:
    to_at = None if ends_in_days is None else world.now + timedelta(days=ends_in_days)
    world.write("UPDATE households SET tenure = 'rented' WHERE id = %s", household)
    world.write(
        "INSERT INTO leases (id, household_id, from_at, to_at, occupants, recorded_at) VALUES (%s, %s, %s, %s, %s, %s)",
        lease, household, world.now - timedelta(days=300), to_at, occupants, world.now,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["clerk", "police"])
def test_the_rental_board_counts_and_lists_with_masked_names(world: World, name: str) -> None:
    let(world, "h-wang", "l-1", ends_in_days=10)
    let(world, "h-sun", "l-2", ends_in_days=-5)
    world.write("UPDATE households SET tenure = 'vacant' WHERE id = 'h-li'")
    signal(world, "lease_ended_credential", household="h-sun", device=None, credentials=1)
    text = world.browser(name).get("/rentals").text
    assert word("rental.why.lease_ended_credential") in text
    assert word("rental.why.ending") in text
    assert "王*英" in text
    assert "王秀英" not in text
    assert "5-4-0201" not in text, "an empty home is a count"
    (entry,) = world.rows("SELECT * FROM audit_entries WHERE action = 'rentals_listed'")
    assert entry["detail"]["households"] == ["h-sun", "h-wang"]
    assert "h-wang" not in world.browser(f"{name}-b").get("/rentals").text
    assert word("rental.do.lease_ended_credential") in text
    assert word("rental.why.no_lease") not in text, "the lease that ended is said once"


@pytest.mark.one_store
def test_the_rental_board_leads_the_clerk_to_the_case_and_police_to_none(world: World) -> None:
    let(world, "h-sun", "l-2", ends_in_days=-5)
    signal(world, "lease_ended_credential", household="h-sun", device=None, credentials=1)
    case = world.case_ids["sun"]
    world.write("INSERT INTO case_signals (signal_id, case_id) SELECT id, %s FROM signals", case)
    clerk, police = (world.browser(name).get("/rentals").text for name in ("clerk", "police"))
    assert f'href="/cases/{case}"' in clerk
    assert 'href="/households/h-sun"' in clerk
    assert f"/cases/{case}" not in police
    assert "/households/" not in police


def test_a_dwelling_of_a_person_under_community_correction_is_not_on_the_board(world: World) -> None:
    let(world, "h-wang", "l-1", ends_in_days=10)
    world.write("UPDATE persons SET category = 'community_correction' WHERE id = 'p-h-wang'")
    text = world.browser("police").get("/rentals").text
    assert "3-1-1201" not in text
    assert "没有需要核对的房屋" in text


# --- Who is at home ---------------------------------------------------------------------------------------------


def out(world: World, household: str) -> None:
    world.write(
        "INSERT INTO household_presence VALUES (%s, 'out', '{\"reason\": \"direction\"}', %s, %s)",
        household, world.now - timedelta(hours=3), world.now,
    )  # fmt: skip


def test_that_a_home_is_empty_is_told_only_after_a_reveal_that_was_written_down(world: World) -> None:
    world.write("DELETE FROM tasks; DELETE FROM case_entries")
    world.write("DELETE FROM cases WHERE household_id = 'h-sun'")
    out(world, "h-sun")
    clerk = world.browser("clerk")
    assert "门的进出方向" not in clerk.get("/households/h-sun").text
    refused = world.post(clerk, "/households/h-sun/presence", purpose="curiosity")
    assert refused.status_code == 422
    assert "门的进出方向" not in refused.text
    assert not world.rows("SELECT 1 FROM audit_entries WHERE action = 'presence_revealed'")
    shown = world.post(clerk, "/households/h-sun/presence", purpose="visit")
    assert shown.status_code == 200
    assert "门的进出方向" in shown.text
    (entry,) = world.rows("SELECT * FROM audit_entries WHERE action = 'presence_revealed'")
    assert (entry["purpose"], entry["object_id"]) == ("visit", "h-sun")
    assert "data-stream" not in shown.text, "shown once"


@pytest.mark.one_store
def test_a_case_that_is_over_no_longer_tells_where_somebody_is(world: World) -> None:
    out(world, "h-wang")
    case = world.case_ids["wang"]
    clerk = world.browser("clerk")
    pages = (f"/cases/{case}", f"/alarms?tab=closed&case={case}")
    assert word("presumed.out") in clerk.get(pages[0]).text, "an open case is the reason to know"
    world.write(
        "UPDATE cases SET state = 'closed', closed_at = %s, outcome = 'away', next_action = '', next_action_at = NULL,"
        " deadline_at = NULL WHERE id = %s",
        world.now, case,
    )  # fmt: skip
    for page in pages:
        text = clerk.get(page).text
        assert word("presumed.out") not in text
        assert word("case.closed") in text
    rows = clerk.get("/alarms?tab=closed").text.split("data-rows")[1].split('class="aside')[0]
    assert word("outcome.away") not in rows, "no list says who is away"
    later = world.case_ids["sun"]
    world.write(
        "UPDATE cases SET state = 'closed', closed_at = %s, outcome = 'well', next_action = '', next_action_at = NULL,"
        " deadline_at = NULL WHERE id = %s",
        world.now + timedelta(minutes=1), later,
    )  # fmt: skip
    order = re.findall(r'data-row="case-(\d+)"', clerk.get("/alarms?tab=closed").text)
    assert order == [str(later), str(case)], "what was closed last is what somebody looks for"


def test_nobody_else_reveals_who_is_at_home(world: World) -> None:
    out(world, "h-wang")
    for name in ROLES:
        if name == "clerk":
            continue
        answer = world.post(world.browser(name), "/households/h-wang/presence", purpose="visit")
        assert answer.status_code == (404 if name == "clerk-b" else 403), name
    assert not world.rows("SELECT 1 FROM audit_entries WHERE action = 'presence_revealed'")


def test_a_reveal_needs_the_token_of_the_form(world: World) -> None:
    answer = world.browser("clerk").post("/households/h-wang/presence", data={"purpose": "visit"})
    assert answer.status_code == 403


# --- News of coming home ----------------------------------------------------------------------------------------


def comes_home(world: World, reason: str = "own_credential") -> None:
    at = world.now - timedelta(hours=2)
    world.write(
        "INSERT INTO homecomings (key, household_id, at, noticed_at, ground) VALUES ('k', 'h-wang', %s, %s, %s)",
        at,
        at,
        Jsonb({"reason": reason}),
    )


def test_news_of_home_is_off_until_chosen_and_tells_minutes_only_with_consent(world: World) -> None:
    comes_home(world)
    family = world.browser("family")
    assert "有人回家。" not in family.get("/family").text
    assert world.post(family, "/family/h-wang/notices", came_home="yes").status_code == 303
    (row,) = world.rows("SELECT * FROM home_notices")
    assert (row["came_home"], row["not_home"]) == (True, False)
    text = family.get("/family").text
    at = (world.now - timedelta(hours=2)).astimezone().strftime("%M")
    assert "有人回家。" in text
    told = text.split("有人回家。")[0][-20:]
    assert ":" not in told, (told, at)
    world.write(
        "INSERT INTO consents (household_id, purpose, given_by, given_at) VALUES ('h-wang', 'exact_times', '本人', %s)",
        world.now,
    )
    assert ":" in family.get("/family").text.split("有人回家。")[0][-20:]
    world.write("DELETE FROM homecomings")
    comes_home(world, "opening_after_out")
    text = family.get("/family").text
    assert "看样子" in text and "有人回家。" not in text, "nobody's card was read"
    (entry,) = world.rows("SELECT * FROM audit_entries WHERE action = 'home_notices_chosen'")
    assert entry["object_id"] == "h-wang"


@pytest.mark.one_store
def test_who_was_missed_is_said_as_surely_as_it_was_known_and_so_is_the_end_of_it(world: World) -> None:
    family = world.browser("family")
    assert world.post(family, "/family/h-wang/notices", not_home="yes", by_time="17:30").status_code == 303
    by_at = world.now - timedelta(hours=3)
    world.write(
        "INSERT INTO home_late (household_id, day, by_at, noticed_at, known, reason)"
        " VALUES ('h-wang', %s, %s, %s, true, 'direction')",
        by_at.date(), by_at, by_at,
    )  # fmt: skip
    assert "还没有回家。" in family.get("/family").text
    for reason, said in (("opened_since", "说不准"), ("door_not_known", "可能已在家")):
        world.write("UPDATE home_late SET known = false, reason = %s", reason)
        text = family.get("/family").text
        assert said in text
        assert "还没有回家。" not in text
    assert "有人回家。" not in text
    comes_home(world)
    assert "有人回家。" in family.get("/family").text, "though she chose only the hour"


def test_an_expected_hour_is_kept_and_taken_away_with_the_choice(world: World) -> None:
    family = world.browser("family")
    refused = world.post(family, "/family/h-wang/notices", not_home="yes", by_time="late")
    assert refused.status_code == 422
    # What she ticked is still ticked: the hour alone is wrong.
    assert re.search(r'name="not_home" value="yes" checked', refused.text)
    assert (
        load_catalogue("zh")["error.hour_is_missing"][0]
        in world.post(family, "/family/h-wang/notices", not_home="yes").text
    )
    assert not world.rows("SELECT 1 FROM home_notices")
    assert world.post(family, "/family/h-wang/notices", not_home="yes", by_time="17:30").status_code == 303
    (row,) = world.rows("SELECT * FROM home_expectations")
    assert f"{row['by_time']:%H:%M}" == "17:30"
    assert 'value="17:30"' in family.get("/family").text
    assert world.post(family, "/family/h-wang/notices").status_code == 303
    assert not world.rows("SELECT 1 FROM home_expectations")


def test_nobody_chooses_for_a_home_that_is_not_hers_or_that_did_not_agree(world: World) -> None:
    for name in ROLES:
        if name != "family":
            answer = world.post(world.browser(name), "/family/h-wang/notices", came_home="yes")
            assert answer.status_code == (404 if name == "family-b" else 403), name
    assert (
        world.post(world.browser("family-b"), "/family/h-other/notices", came_home="yes").status_code == 404
    )
    world.write("UPDATE consents SET withdrawn_at = given_at WHERE purpose = 'notify_family'")
    assert world.post(world.browser("family"), "/family/h-wang/notices", came_home="yes").status_code == 404
    assert not world.rows("SELECT 1 FROM home_notices")


@pytest.mark.one_store
def test_a_home_is_told_whose_cards_alone_open_its_door(world: World) -> None:
    world.write("INSERT INTO credentials (token, class, household_id) VALUES ('card-li', 'resident', 'h-li')")
    world.write(
        "UPDATE household_doors SET from_at = %s WHERE device_id = 'd-h-wang'", world.now - timedelta(days=9)
    )
    add_events(world, "d-h-wang", 1, credential="card-li")
    clerk = world.browser("clerk")
    assert "装反" not in clerk.get("/households/h-wang").text, "a neighbour may have been let in once"
    world.write(
        "UPDATE door_events SET occurred_at = occurred_at - interval '1 day' WHERE credential = 'card-li'"
    )
    add_events(world, "d-h-wang", 1, credential="card-li")
    assert "装反" in clerk.get("/households/h-wang").text
