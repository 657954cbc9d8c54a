"""Rules of tickets and what stands out to an auditor: facts enter, limits, refusals and names leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from console.audit.signals import Closing, Looks, far_above_peers, quick_closings
from console.scope import LegalBasis, LookUp, PurposeClass, Viewer
from console.tickets.rules import (
    DELAY_MAX,
    Answer,
    Asking,
    Limit,
    Review,
    TicketFacts,
    TicketRefusal,
    TicketState,
    limits_of,
    may_see_ticket,
    publish,
    refuse_answer,
    refuse_asking,
    refuse_review,
    review_overdue,
    stands,
    training_refusal,
)
from kaimen.vocabulary import Role

NOW = datetime(2026, 11, 21, 8, tzinfo=UTC)
LOOK_UP = LookUp(
    PurposeClass.MISSING_PERSON, "A-2026-1", LegalBasis.CASE_FILE, "d", NOW - timedelta(hours=24), NOW
)
ASKING = Asking(LOOK_UP, "", 1, "", None, 0, 10)
FACTS = TicketFacts("c", 1, TicketState.ASKED, False, ())
WHY = "核实过案卷"


def viewer(user_id: int, role: Role = Role.POLICE_OFFICER, community: str | None = "c") -> Viewer:
    return Viewer(user_id, "x", "x", role, community)


def test_a_day_at_one_building_is_within_the_limits_and_anything_more_is_named() -> None:
    assert limits_of(ASKING) == ()
    longer = replace(LOOK_UP, from_at=NOW - timedelta(hours=24, seconds=1))
    everything = replace(
        ASKING, look_up=longer, subject="王秀英", building_count=2, delayed_until=NOW + timedelta(days=1)
    )
    assert limits_of(everything) == tuple(Limit)


@pytest.mark.parametrize(
    ("until", "refusal"),
    [
        (None, TicketRefusal.NEVER_TRAINED),
        (date(2026, 11, 20), TicketRefusal.TRAINING_OVER),
        (date(2026, 11, 21), None),
    ],
)
def test_training_counts_through_its_last_day(until: date | None, refusal: TicketRefusal | None) -> None:
    assert training_refusal(until, date(2026, 11, 21)) is refusal


def test_a_delay_ends_after_now_and_within_its_bound() -> None:
    for delay, refusal in (
        (NOW, TicketRefusal.DELAY_IN_PAST),
        (NOW + timedelta(seconds=1), None),
        (NOW + DELAY_MAX, None),
        (NOW + DELAY_MAX + timedelta(seconds=1), TicketRefusal.DELAY_TOO_LONG),
    ):
        found = refuse_asking(replace(ASKING, delayed_until=delay, reason=WHY), NOW)
        assert found.get("delay") is refusal, delay


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("limits", [(), ("named_person",)])
def test_who_agrees_is_another_officer_or_beyond_the_limits_a_supervisor(
    role: Role, limits: tuple[str, ...]
) -> None:
    facts = replace(FACTS, limits=limits)
    police = role in (Role.POLICE_OFFICER, Role.POLICE_SUPERVISOR)
    assert may_see_ticket(viewer(2, role), facts) is police
    assert not may_see_ticket(viewer(2, role, "elsewhere"), facts)
    assert not may_see_ticket(viewer(2, role, None), facts)
    if police:
        refused = refuse_answer(viewer(2, role), facts, Answer.GRANT, WHY)
        allowed = role is Role.POLICE_SUPERVISOR or not limits
        assert refused is (None if allowed else TicketRefusal.SUPERVISOR_NEEDED)
        assert refuse_answer(viewer(1, role), facts, Answer.GRANT, WHY) is TicketRefusal.OWN_TICKET


def test_a_word_is_given_once_and_a_supervisor_says_why() -> None:
    supervisor = viewer(2, Role.POLICE_SUPERVISOR)
    assert refuse_answer(supervisor, FACTS, Answer.GRANT, " ") is TicketRefusal.NO_REASON
    assert refuse_answer(viewer(2), FACTS, Answer.REFUSE, "") is TicketRefusal.NO_REASON
    assert refuse_answer(supervisor, FACTS, None, WHY) is TicketRefusal.NOT_AN_ANSWER
    for state in set(TicketState) - {TicketState.ASKED}:
        done = replace(FACTS, state=state)
        assert refuse_answer(supervisor, done, Answer.REFUSE, WHY) is TicketRefusal.DECIDED_ALREADY


def test_a_review_is_a_supervisors_and_is_overdue_after_its_instant() -> None:
    owed = replace(FACTS, emergency=True, state=TicketState.GRANTED, review_due_at=NOW)
    assert refuse_review(viewer(2, Role.POLICE_SUPERVISOR), owed, Review.JUSTIFIED, WHY) is None
    assert refuse_review(viewer(2), owed, Review.JUSTIFIED, WHY) is TicketRefusal.SUPERVISOR_NEEDED
    assert not review_overdue(owed, NOW)
    assert review_overdue(owed, NOW + timedelta(seconds=1))
    assert not review_overdue(replace(owed, reviewed_at=NOW), NOW + timedelta(days=2))


def test_a_ticket_stands_for_less_than_a_day_after_it_was_granted() -> None:
    granted = replace(FACTS, state=TicketState.GRANTED, granted_wall=NOW)
    assert stands(granted, NOW + timedelta(hours=23, minutes=59))
    assert not stands(granted, NOW + timedelta(hours=24))
    assert not stands(FACTS, NOW)


def test_nothing_below_five_is_published() -> None:
    assert [publish(count) for count in range(7)] == [None, None, None, None, None, 5, 6]


def test_who_looks_far_more_than_her_peers_stands_out_and_nobody_else() -> None:
    looks = [
        Looks("a", "a", "property_clerk", 31),
        Looks("b", "b", "property_clerk", 10),
        Looks("c", "c", "property_clerk", 10),
        Looks("d", "d", "police_officer", 9),
        Looks("e", "e", "auditor", 10),
    ]
    assert [(found.looks.actor, found.peers) for found in far_above_peers(looks)] == [("a", 10.0), ("e", 0.0)]
    assert far_above_peers([replace(looks[0], count=30), *looks[1:4]]) == ()


def test_only_what_was_ended_faster_than_anybody_can_ring_is_named() -> None:
    closing = Closing(1, "n", NOW, "x", "property_clerk", 7_200.0, 19.9)
    slow = replace(closing, since_seen_s=20.0)
    unseen = replace(closing, since_seen_s=None)
    at_once = replace(unseen, since_opened_s=3.0)
    assert quick_closings([closing, slow, unseen, at_once]) == (closing, at_once)
