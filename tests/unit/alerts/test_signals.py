"""Signals and questions enter, cases of causes with a ladder leave: who is told, how repeats fold, how each ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.duty.roster import CommunityDuty, Person
from alerts.rules.actions import (
    AskReview,
    DoubtWord,
    EndAbsence,
    Entry,
    JoinSignal,
    LeaveSignal,
    RecordVerified,
    RestoreAbsence,
)
from alerts.rules.happenings import OpenedWhileAway, Signal, SignalEnded, WellToReview
from alerts.rules.reasons import ActRefused, Reason
from alerts.rules.signals import CAUSE_OF_SIGNAL, subject_of
from kaimen.policy import CAUSE_LADDERS
from kaimen.vocabulary import (
    CaseCause,
    CaseState,
    Contacted,
    Outcome,
    Role,
    SignalKind,
    Stage,
    TaskKind,
)
from tests.unit.alerts.story import CLERK, SECOND, Story, at
from tests.unit.alerts.test_roster import days_and_nights


def signalled(story: Story, kind: SignalKind, signal_id: int = 1, *, gone: bool = False) -> Reason:
    cause = CAUSE_OF_SIGNAL[kind]
    subject = subject_of(cause, "h1", "door-1")
    fact = Signal(signal_id, cause, kind.value, subject, story.now, {"device": "door-1"}, gone)
    return story.happens(fact).reason


def is_over(story: Story, signal_id: int = 1) -> Reason:
    return story.happens(SignalEnded(signal_id, story.now, "closed")).reason


def test_a_call_for_help_is_told_at_once_by_night_with_the_shortest_lease() -> None:
    story = Story()
    story.now = at(hour=3)
    signalled(story, SignalKind.SOS)
    case = story.open_case
    assert case.cause is CaseCause.SOS and case.rank == 3 and case.state is CaseState.NOTIFIED
    assert story.sent[0].roles == (Role.PROPERTY_CLERK,) and story.sent[0].family and story.sent[0].outside
    story.claims()
    assert story.open_case.lease_expires_at == at(hour=3, minute=5)
    shortest = min(ladder.lease_ms for ladder in CAUSE_LADDERS.values())
    assert case.lease_ms == shortest


def test_a_call_for_help_that_somebody_has_is_ended_by_another_only_who_was_told_so() -> None:
    story = Story()
    signalled(story, SignalKind.SOS)
    story.claims()
    for told in (None, SECOND):
        with pytest.raises(ActRefused, match="held_by_another"):
            story.reports(Outcome.FALSE_ALARM, task=TaskKind.RESPOND, user=SECOND, instead_of=told)
    story.reports(Outcome.FALSE_ALARM, task=TaskKind.RESPOND, user=SECOND, instead_of=CLERK)
    assert story.outcome is Outcome.FALSE_ALARM
    said = [entry.words for entry in story.of_kind(Entry) if entry.user_id == SECOND]  # type: ignore[union-attr]
    assert said[0] is Reason.ANSWERED_INSTEAD

    # Whose time is over has it no more, and whoever has it is never asked.
    for user, later in ((SECOND, at(hour=9, minute=6)), (CLERK, at(hour=9, minute=1))):
        story = Story()
        signalled(story, SignalKind.SOS)
        story.claims()
        story.until(later)
        story.reports(Outcome.FALSE_ALARM, task=TaskKind.RESPOND, user=user)
        assert Reason.ANSWERED_INSTEAD not in [entry.words for entry in story.of_kind(Entry)]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("kind", "hour", "role"),
    [
        (SignalKind.SOS, 3, Role.GUARD),
        (SignalKind.SOS, 10, Role.PROPERTY_CLERK),
        (SignalKind.DOOR_FORCED, 3, Role.GUARD),
        (SignalKind.DURESS, 3, Role.PROPERTY_CLERK),
        (SignalKind.DOOR_HELD, 3, Role.PROPERTY_CLERK),
    ],
)
def test_what_cannot_wait_is_the_guards_while_nobody_is_at_the_desk(
    kind: SignalKind, hour: int, role: Role
) -> None:
    story = Story(duty=days_and_nights())
    story.now = at(hour=hour)
    signalled(story, kind)
    (task,) = story.open_case.tasks
    assert task.role == role


def test_after_ten_minutes_without_an_end_the_police_are_told_though_a_clerk_has_it() -> None:
    story = Story()
    signalled(story, SignalKind.SOS)
    story.until(at(minute=4))
    story.claims()
    story.until(at(minute=9))
    assert all(Role.POLICE_OFFICER not in roles for roles in story.roles_told())
    story.until(at(minute=10))
    assert Role.POLICE_OFFICER in story.roles_told()[-1]
    assert Reason.TOLD_FURTHER in story.reasons
    told = story.reasons.count(Reason.TOLD_FURTHER)
    story.until(at(hour=11))
    assert story.reasons.count(Reason.TOLD_FURTHER) == told, "told once as well, from then on with the others"


def test_a_second_call_for_help_is_folded_and_told_again() -> None:
    story = Story()
    signalled(story, SignalKind.SOS)
    story.now += timedelta(minutes=1)
    assert signalled(story, SignalKind.SOS, 2) is Reason.SIGNALLED_AGAIN
    assert (story.open_case.signal_count, story.open_case.signals) == (2, {1, 2})
    assert len(story.sent) == 2
    assert [action for action in story.actions if isinstance(action, JoinSignal)] == [
        JoinSignal(1),
        JoinSignal(2),
    ]


def test_duress_is_told_to_the_desk_and_the_police_and_to_nobody_at_the_door() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    signalled(story, SignalKind.DURESS)
    told = story.sent[0]
    assert told.roles == (Role.PROPERTY_CLERK, Role.POLICE_OFFICER)
    assert not told.family
    with pytest.raises(ActRefused, match="unknown_role"):
        story.hands_over(Role.NEIGHBOUR_WATCHER)
    story.hands_over(Role.POLICE_OFFICER)


def test_a_door_closing_ends_what_was_held_open_and_nothing_else() -> None:
    story = Story()
    signalled(story, SignalKind.DOOR_HELD)
    signalled(story, SignalKind.DOOR_HELD, 2)
    assert is_over(story, 1) is Reason.SIGNAL_ENDED
    assert is_over(story, 2) is Reason.CLOSED_BY_ITSELF
    assert story.outcome is Outcome.RESTORED
    assert story.of_kind(Entry)
    assert [action for action in story.actions if isinstance(action, LeaveSignal)]

    forced = Story()
    signalled(forced, SignalKind.DOOR_FORCED)
    assert is_over(forced) is Reason.SIGNAL_ENDED
    assert forced.case is not None, "somebody has to see who forced it"


def test_what_was_over_before_anybody_could_be_told_tells_nobody() -> None:
    story = Story()
    signalled(story, SignalKind.DOOR_HELD, gone=True)
    assert story.planned == [] and story.sent == []
    is_over(story)
    assert story.case is None


def test_low_causes_come_with_the_list_and_never_leave_the_house() -> None:
    story = Story()
    signalled(story, SignalKind.VACANT_OPENED)
    assert story.sent == [] and story.open_case.state is CaseState.OPEN
    story.until(at(hour=17))
    assert len(story.sent) == 1 and not story.sent[0].outside and not story.sent[0].family
    assert story.open_case.state is CaseState.NOTIFIED


def test_strangers_of_the_night_wait_for_the_day() -> None:
    story = Story()
    story.now = at(hour=2)
    signalled(story, SignalKind.STRANGER_DENIALS)
    assert story.sent == []
    story.until(at(hour=7))
    assert len(story.sent) == 1


@pytest.mark.parametrize("kind", list(SignalKind))
def test_every_signal_has_a_ladder_a_future_and_an_end(kind: SignalKind) -> None:
    story = Story()
    signalled(story, kind)
    ladder = CAUSE_LADDERS[story.open_case.cause.value]
    assert ladder.role == Role.PROPERTY_CLERK
    for _ in range(20):
        story.until(story.now + timedelta(hours=7))
        assert story.case is None or (story.case.next_action_at or story.now) > story.now
    for outcome in map(Outcome, ladder.outcomes):
        other = Story()
        signalled(other, kind)
        other.reports(
            outcome,
            task=TaskKind(ladder.task),
            contacted=Contacted.SAW,
            witness="Ms Li",
            until=at(day=3),
            note="asked at the desk",
        )
        goes_on = outcome in (Outcome.NO_ANSWER, Outcome.SENSOR_FAULT)
        assert (other.case is not None) == goes_on
    with pytest.raises(ActRefused, match="not_an_outcome"):
        story.reports(Outcome.CONSENT_WITHDRAWN, task=TaskKind(ladder.task))


def test_who_found_her_well_after_a_call_for_help_is_evidence_with_a_witness() -> None:
    story = Story()
    signalled(story, SignalKind.SOS)
    with pytest.raises(ActRefused, match="how_is_missing"):
        story.reports(Outcome.HELPED, task=TaskKind.RESPOND)
    story.reports(Outcome.HELPED, task=TaskKind.RESPOND, contacted=Contacted.SAW, witness="Ms Li")
    assert story.of_kind(RecordVerified) == [RecordVerified(at(), "saw", "Ms Li")]


# --- is she back? ------------------------------------------------------------------------------------------------


def opened_while_away(story: Story, *, certain: bool = False) -> Reason:
    evidence = {"kind": "own_credential" if certain else "opening"}
    return story.happens(OpenedWhileAway(7, "absence:7", story.now, evidence, certain)).reason


def test_a_door_that_opens_while_she_is_away_asks_a_person_and_her_family() -> None:
    story = Story()
    assert opened_while_away(story) is Reason.BACK_ASKED
    assert story.open_tasks() == [(TaskKind.CONFIRM_BACK, Role.PROPERTY_CLERK)]
    assert story.sent[0].family
    assert opened_while_away(story) is Reason.NOTHING_DUE, "one question for one absence"


def test_her_own_card_says_that_she_is_back_without_a_question() -> None:
    story = Story()
    assert opened_while_away(story, certain=True) is Reason.BACK_BY_EVIDENCE
    assert story.case is None and story.actions == [EndAbsence(7, at())]


def test_her_own_card_answers_a_question_that_is_open() -> None:
    story = Story()
    opened_while_away(story)
    story.now += timedelta(hours=1)
    opened_while_away(story, certain=True)
    assert story.outcome is Outcome.BACK


def test_it_was_the_neighbour_restores_the_absence_from_now_on() -> None:
    story = Story()
    opened_while_away(story)
    story.now = at(hour=11)
    story.reports(Outcome.NOT_BACK, task=TaskKind.CONFIRM_BACK)
    assert [action for action in story.actions if isinstance(action, RestoreAbsence)] == [
        RestoreAbsence(7, at(hour=11), f"user:{CLERK}")
    ]
    assert story.outcome is Outcome.NOT_BACK


def test_no_answer_in_twelve_hours_means_that_she_is_back() -> None:
    story = Story()
    opened_while_away(story)
    story.until(at(hour=20, minute=59))
    assert story.case is not None
    story.until(at(hour=21))
    assert story.outcome is Outcome.BACK and story.closed[-1].closed_by == "clock"
    assert EndAbsence(7, at()) in story.actions


# --- a second look -----------------------------------------------------------------------------------------------


def test_a_drawn_well_is_shown_to_another_person() -> None:
    story = Story(review_drawn=True)
    story.crosses(Stage.CALL)
    story.says_she_is_well()
    asked = [action for action in story.actions if isinstance(action, AskReview)]
    assert len(asked) == 1 and asked[0].recorded_by == CLERK

    review = Story()
    review.happens(WellToReview("case:1", CLERK, at(), {"case": 1, "how": "spoke"}))
    with pytest.raises(ActRefused, match="second_person_needed"):
        review.reports(Outcome.RIGHT, task=TaskKind.REVIEW, user=CLERK)
    review.reports(Outcome.DOUBTED, task=TaskKind.REVIEW, user=SECOND, note="the number rang unanswered")
    assert [action for action in review.actions if isinstance(action, DoubtWord)] == [
        DoubtWord(1, f"user:{SECOND}")
    ]


def test_a_second_look_is_the_grids_where_one_person_is_the_whole_desk() -> None:
    def asked_of(**others: Role) -> str:
        people = {1: Person(1, "a", Role.PROPERTY_CLERK)}
        people |= {
            number: Person(number, name, role) for number, (name, role) in enumerate(others.items(), 2)
        }
        story = Story(duty=CommunityDuty("c1", people=people))
        story.happens(WellToReview("case:1", 1, at(), {"case": 1, "how": "spoke"}))
        with pytest.raises(ActRefused, match="second_person_needed"):
            story.claims(1)
        return str(story.open_case.tasks[0].role)

    assert asked_of(grid=Role.GRID_WORKER) == Role.GRID_WORKER
    assert asked_of(grid=Role.GRID_WORKER, second=Role.PROPERTY_CLERK) == Role.PROPERTY_CLERK
    assert asked_of(watcher=Role.NEIGHBOUR_WATCHER) == Role.PROPERTY_CLERK


def test_an_outcome_that_is_none_of_the_words_needs_a_note() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    with pytest.raises(ActRefused, match="note_is_empty"):
        story.reports(Outcome.OTHER)
    story.reports(Outcome.OTHER, note="a relative said something we could not make out")
    assert story.outcome is Outcome.OTHER
    assert story.of_kind(RecordVerified) == []
