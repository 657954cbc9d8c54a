"""Consents on a page: recorded with who gave them, withdrawn at once, kept in the history, and refused to strangers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kaimen.clock import ManualClock
from tests.integration.console_world import World, build_world

pytestmark = [pytest.mark.slow, pytest.mark.integration, pytest.mark.one_store]
PATH = "/households/h-wang/consents"


@pytest.fixture
def world(database_url: str, manual_clock: ManualClock) -> Iterator[World]:
    built = build_world(database_url, manual_clock)
    yield built
    built.close()


def standing(world: World, purpose: str) -> list[dict[str, object]]:
    return world.rows(
        "SELECT given_by FROM consents WHERE household_id = 'h-wang' AND purpose = %s AND withdrawn_at IS NULL",
        purpose,
    )


def test_a_consent_is_recorded_once_with_who_gave_it_and_leaves_a_trace(world: World) -> None:
    clerk = world.browser("clerk")
    missing = world.post(clerk, f"{PATH}/early_watch/give", given_by="  ")
    assert missing.status_code == 422 and "error-given_by" in missing.text
    assert world.post(clerk, f"{PATH}/early_watch/give", given_by="本人，书面").status_code == 303
    assert world.post(clerk, f"{PATH}/early_watch/give", given_by="另一人").status_code == 303
    assert standing(world, "early_watch") == [{"given_by": "本人，书面"}]
    traces = world.rows("SELECT detail FROM audit_entries WHERE action = 'consent_given'")
    assert len(traces) == 1
    page = clerk.get(PATH)
    assert page.status_code == 200 and "本人，书面" in page.text


def test_the_begin_of_a_watch_ends_an_absence_that_lasts_and_says_so(world: World) -> None:
    """``watched_from`` is evidence, and evidence ends an absence: the pages must not say "away" where the rule counts."""
    for first, last in ((-2, 5), (3, 4), (-9, -8)):
        world.write(
            "INSERT INTO absences (household_id, from_at, to_at, reason, declared_by, declared_at)"
            " VALUES ('h-wang', %s, %s, 'travel', '本人', %s)",
            world.now + timedelta(days=first), world.now + timedelta(days=last), world.now,
        )  # fmt: skip
    before = world.rows("SELECT to_at FROM absences WHERE household_id = 'h-wang' ORDER BY from_at")
    clerk = world.browser("clerk")
    world.post(clerk, f"{PATH}/watch/withdraw")
    assert world.rows("SELECT to_at FROM absences WHERE household_id = 'h-wang' ORDER BY from_at") == before
    told = world.post(clerk, f"{PATH}/watch/give", given_by="本人")
    assert told.cookies["kaimen_notice"] == "notice.watched_absence_over"
    over = world.rows("SELECT to_at FROM absences WHERE household_id = 'h-wang' ORDER BY from_at")
    begun = world.rows("SELECT watched_from FROM households WHERE id = 'h-wang'")[0]["watched_from"]
    assert [row["to_at"] for row in over] == [before[0]["to_at"], begun, before[2]["to_at"]]


def test_withdrawing_takes_effect_at_once_and_the_history_stays(world: World) -> None:
    clerk = world.browser("clerk")
    if not standing(world, "watch"):
        world.post(clerk, f"{PATH}/watch/give", given_by="本人")
    assert "现在没有人留意这扇门" not in clerk.get(PATH).text
    assert "从现在起没有人留意这扇门" in clerk.get(PATH).text, "what it means stands before the button"
    assert world.post(clerk, f"{PATH}/watch/withdraw").status_code == 303
    assert "现在没有人留意这扇门" in clerk.get(PATH).text
    assert standing(world, "watch") == []
    assert world.post(clerk, f"{PATH}/watch/withdraw").status_code == 303  # twice is once
    assert len(world.rows("SELECT 1 FROM audit_entries WHERE action = 'consent_withdrawn'")) == 1
    before = world.rows("SELECT watched_from FROM households WHERE id = 'h-wang'")
    world.post(clerk, f"{PATH}/watch/give", given_by="本人")
    after = world.rows("SELECT watched_from FROM households WHERE id = 'h-wang'")
    assert after[0]["watched_from"] > before[0]["watched_from"], "nothing is dated before she agreed again"
    assert len(world.rows("SELECT 1 FROM consents WHERE household_id = 'h-wang' AND purpose = 'watch'")) >= 2


@pytest.mark.parametrize("who", ["family", "police", "grid", "watcher", "admin"])
def test_nobody_but_the_desk_reads_or_changes_consents(world: World, who: str) -> None:
    client = world.browser(who)
    assert client.get(PATH).status_code in (403, 404)
    assert world.post(client, f"{PATH}/watch/withdraw").status_code in (403, 404)
    assert standing(world, "watch")


def test_an_unknown_purpose_is_not_there(world: World) -> None:
    clerk = world.browser("clerk")
    assert world.post(clerk, f"{PATH}/selling_data/give", given_by="本人").status_code == 404
    assert clerk.get("/households/nobody/consents").status_code == 404


def test_early_watch_is_shown_without_telling_that_a_home_is_empty(world: World) -> None:
    clerk = world.browser("clerk")

    def shown() -> str:
        text = clerk.get(PATH).text
        return text.split('id="purpose-early_watch"')[1].split("</section>")[0].split("<form")[0]

    assert "没有登记这户" not in clerk.get(PATH).text, "nobody agreed to it yet"
    world.post(clerk, f"{PATH}/early_watch/give", given_by="本人")
    assert "没有登记这户的室内传感器" in shown(), "an agreed watch that hears nothing is not silently fine"
    world.write(
        "INSERT INTO devices (id, site_id, kind, place, registered_at)"
        " SELECT 'm-wang', site_id, 'motion', label, %s FROM households WHERE id = 'h-wang'", world.now,
    )  # fmt: skip
    assert "下一个一刻钟" in shown()
    usual, alert = set(), set()
    for reason in ("below_line", "presumed_out", "absent", "over_line", "over_cap", "over_door_clock"):
        world.write(
            "INSERT INTO early_states VALUES ('h-wang', 'hazard', %s, 1, 2, NULL, 12, %s)"
            " ON CONFLICT (household_id) DO UPDATE SET reason = excluded.reason",
            reason, world.now,
        )  # fmt: skip
        (alert if reason.startswith("over") else usual).add(shown())
    assert len(usual) == len(alert) == 1
    assert "没有异常" in usual.pop(), "an empty home reads like any other"
    told = alert.pop()
    assert "异常安静" in told and "截至" in told, (
        "somebody is asked to look: nothing here says that all is usual"
    )


def test_how_a_home_is_rung_is_written_at_the_desk_and_taken_back_by_herself(world: World) -> None:
    clerk, resident = world.browser("clerk"), world.browser("resident")
    base = "/households/h-wang/phone"
    path = f"{base}/p-h-wang"
    for name in ("clerk-b", "family", "watcher", "police", "auditor", "director", "admin"):
        who = world.browser(name)
        assert who.get(base).status_code in (403, 404), name
        assert world.post(who, f"{path}/agree", agreed_by="x", shown_number="0571 8888").status_code in (
            403,
            404,
        )
    assert world.post(clerk, f"{base}/p-h-other/withdraw").status_code == 404, "nobody of this home"
    wrong = world.post(clerk, f"{path}/agree", agreed_by=" ", shown_number="call me")
    assert wrong.status_code == 422 and "error-agreed_by" in wrong.text and "error-shown_number" in wrong.text
    assert world.post(clerk, f"{path}/agree", agreed_by="李女士", shown_number="0571-8888").status_code == 303
    page = clerk.get(base).text
    assert "李女士" in page and "138****1234" in page and "13812341234" not in page
    # On the second day the machine rings her now; a planned call goes to nobody once she takes it back.
    world.write(
        "INSERT INTO outbox (idempotency_key, case_id, step, person, channel, template, state, created_at, not_before)"
        " VALUES ('k', %s, 'call', 'person:p-h-wang', 'voice', 'call', 'planned', %s, %s)",
        world.case_ids["wang"], world.now, world.now,
    )  # fmt: skip
    assert "0571-8888" in resident.get("/resident/consents").text
    assert world.post(world.browser("resident-b"), "/resident/phone/p-h-wang/withdraw").status_code == 404
    assert world.post(resident, "/resident/phone/p-son/withdraw").status_code == 404, "not hers to take back"
    assert world.post(resident, "/resident/phone/p-h-wang/withdraw").status_code == 303
    assert world.rows("SELECT state FROM outbox WHERE idempotency_key = 'k'") == [{"state": "superseded"}]
    assert world.rows("SELECT automatic_from FROM call_profiles") == [{"automatic_from": None}]
    # Who cannot telephone, or hears badly, is visited; it holds where the ladder reads it.
    assert world.post(clerk, f"{path}/profile", has_phone="maybe").status_code == 422
    assert world.post(clerk, f"{path}/profile", has_phone="no", hearing="yes").status_code == 303
    row = world.rows(
        "SELECT f.has_phone, p.hard_of_hearing FROM persons p JOIN call_profiles f ON f.person_id = p.id"
    )
    assert row == [{"has_phone": False, "hard_of_hearing": True}]
    assert "听力不好" in clerk.get(base).text
    trace = world.rows("SELECT action FROM audit_entries WHERE action LIKE 'phone%%' ORDER BY id")
    acts = [row["action"] for row in trace if row["action"] != "phone_profiles_read"]
    assert acts == ["phone_agreed", "phone_withdrawn", "phone_profile"]
