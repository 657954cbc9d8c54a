"""What a person's act does: outcomes change the rule's input, and what is not allowed is refused by name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.rules.actions import DeclareAbsence, EndWatch, Entry, RecordVerified, ReportSensorFault
from alerts.rules.happenings import BeginVisit, RecordOutcome, RemoteOnly
from alerts.rules.reasons import ActRefused, Reason
from kaimen.vocabulary import CaseState, Contacted, Outcome, Role, Stage, TaskKind, TaskState
from tests.unit.alerts.story import CLERK, SECOND, WATCHER, Story, at, technical


def call_story() -> Story:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.CALL)
    return story


def test_she_is_well_needs_how_and_who_and_is_evidence() -> None:
    story = call_story()
    with pytest.raises(ActRefused, match="how_is_missing"):
        story.reports(Outcome.WELL, witness="Ms Li")
    with pytest.raises(ActRefused, match="witness_is_missing"):
        story.reports(Outcome.WELL, contacted=Contacted.SPOKE, witness="  ")
    story.says_she_is_well()
    assert story.outcome is Outcome.WELL
    assert story.of_kind(RecordVerified) == [RecordVerified(at(), "spoke", "Ms Li, property desk")]


def test_a_person_may_close_the_third_day() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.begins_visit()
    story.says_she_is_well(TaskKind.VISIT, WATCHER)
    assert story.outcome is Outcome.WELL


def test_away_needs_an_end_within_a_month_and_is_a_dated_absence() -> None:
    story = call_story()
    with pytest.raises(ActRefused, match="absence_needs_end"):
        story.reports(Outcome.AWAY)
    with pytest.raises(ActRefused, match="absence_needs_end"):
        story.reports(Outcome.AWAY, until=at(hour=8))
    with pytest.raises(ActRefused, match="absence_too_long"):
        story.reports(Outcome.AWAY, until=at(day=31))
    story.reports(Outcome.HOSPITAL, until=at(day=10))
    assert story.outcome is Outcome.HOSPITAL
    assert story.of_kind(DeclareAbsence) == [DeclareAbsence(at(), at(day=10), "hospital", f"user:{CLERK}")]


def test_no_answer_is_tried_three_times_and_then_somebody_goes() -> None:
    story = call_story()
    for hour in (9, 10):
        story.until(at(hour=hour))
        assert story.reports(Outcome.NO_ANSWER).reason is Reason.NO_ANSWER_TRY_AGAIN
    story.until(at(hour=11))
    assert story.reports(Outcome.NO_ANSWER).reason is Reason.NO_ANSWER_NEXT_STEP
    assert story.open_tasks() == [(TaskKind.VISIT, Role.NEIGHBOUR_WATCHER)]
    assert story.of_kind(RecordVerified) == []


def test_a_hand_over_sent_twice_asks_once_and_moves_no_clock() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.claims()
    story.hands_over(Role.GRID_WORKER, note="key at the guard")
    asked, told = story.open_case, len(story.sent)
    story.until(at(minute=2))
    story.hands_over(Role.GRID_WORKER, note="ring twice")
    assert (story.open_case.tasks, story.open_case.deadline_at) == (asked.tasks, asked.deadline_at)
    assert len(story.sent) == told
    assert [entry.note for entry in story.of_kind(Entry)][-1] == "ring twice"  # type: ignore[union-attr]
    # Somebody else is asked, as ever; and whoever stands at the door by now is not called back by the same words.
    story.hands_over(Role.GUARD)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.GUARD)]
    story.begins_visit()
    begun = story.open_case.tasks
    story.hands_over(Role.GUARD)
    assert story.open_case.tasks == begun


def test_nobody_at_the_door_asks_the_next_helper() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON)
    story.crosses(Stage.VISIT)
    story.begins_visit()
    story.reports(Outcome.NO_ANSWER, task=TaskKind.VISIT, user=WATCHER)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.STAIRWELL_LIAISON)]
    assert story.case is not None


def test_an_opening_that_was_not_hers_is_not_proposed_again() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.opens_the_door()
    story.confirms(False)
    story.begins_visit()
    story.reports(Outcome.NO_ANSWER, task=TaskKind.VISIT, user=WATCHER)
    assert story.open_case.proposal is None
    assert story.open_tasks() == [(TaskKind.VISIT, Role.PROPERTY_CLERK)]


def test_keys_alone_for_days_are_a_visit_whatever_was_pressed() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.happens(RemoteOnly(at(day=-5)))
    assert story.open_case.stage is Stage.VISIT
    story.reports(Outcome.NO_ANSWER, task=TaskKind.VISIT)
    assert story.open_case.proposal is None


def test_a_faulty_sensor_is_reported_and_the_person_stays_to_be_seen() -> None:
    story = call_story()
    story.reports(Outcome.SENSOR_FAULT)
    assert any(isinstance(action, ReportSensorFault) for action in story.actions)
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    assert story.open_case.next_action_at == at(hour=13)
    told = len(story.sent)
    story.until(at(hour=13))
    assert len(story.sent) == told + 1


def test_a_death_needs_a_second_person_and_stops_every_message() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.CALL)
    story.reports(Outcome.DECEASED)
    assert not any(message.family or message.outside for message in story.sent[1:])
    with pytest.raises(ActRefused, match="second_person_needed"):
        story.confirms(user=CLERK)
    told = len(story.planned)
    story.crosses(Stage.VISIT)
    assert len(story.planned) == told
    story.confirms(user=SECOND)
    assert story.outcome is Outcome.DECEASED
    assert any(isinstance(action, EndWatch) for action in story.actions)


def test_a_death_that_was_a_mistake_goes_on_where_it_was() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.reports(Outcome.DECEASED, task=TaskKind.VISIT)
    story.confirms(False, user=SECOND)
    assert story.open_tasks()[-1] == (TaskKind.VISIT, Role.PROPERTY_CLERK)


def test_an_opening_does_not_undo_a_reported_death() -> None:
    story = call_story()
    story.reports(Outcome.DECEASED)
    story.opens_the_door()
    assert story.open_case.is_reported_deceased


def test_a_hold_needs_a_reason_and_an_end_and_tells_again_when_it_is_over() -> None:
    story = call_story()
    with pytest.raises(ActRefused, match="reason_is_missing"):
        story.holds(" ", at(hour=10))
    with pytest.raises(ActRefused, match="hold_needs_end"):
        story.holds("her son is on the way", at(hour=9))
    with pytest.raises(ActRefused, match="hold_too_long"):
        story.holds("her son is on the way", at(day=2))
    story.holds("her son is on the way", at(hour=12))
    told = len(story.sent)
    story.until(at(hour=11, minute=59))
    assert len(story.sent) == told
    story.until(at(hour=12))
    assert len(story.sent) == told + 1
    assert story.open_case.held_until is None


def test_a_new_stage_breaks_a_hold() -> None:
    story = call_story()
    story.holds("her son is on the way", at(hour=20))
    story.crosses(Stage.VISIT)
    assert story.open_case.held_until is None
    assert story.steps_told()[-1] == "visit"


def test_a_note_moves_no_timer() -> None:
    story = call_story()
    before = story.open_case.next_action_at
    story.until(at(hour=10))
    story.notes("called the son")
    assert story.open_case.next_action_at == before
    with pytest.raises(ActRefused, match="note_is_empty"):
        story.notes(" ")


def test_a_case_is_one_persons_at_a_time() -> None:
    story = call_story()
    story.claims(CLERK)
    with pytest.raises(ActRefused, match="held_by_another"):
        story.claims(SECOND)
    with pytest.raises(ActRefused, match="not_the_holder"):
        story.releases(SECOND)
    story.releases(CLERK)
    story.claims(SECOND)
    assert story.open_case.holder_id == SECOND


def test_a_helper_stays_asked_while_the_desk_has_the_case() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.claims(CLERK)
    assert [task.state for task in story.open_case.open_tasks] == [TaskState.OPEN]
    story.begins_visit(WATCHER)
    assert story.open_case.holder_id == WATCHER


def test_claiming_again_renews_the_lease() -> None:
    story = call_story()
    story.claims()
    story.until(at(hour=9, minute=20))
    story.claims()
    assert story.open_case.lease_expires_at == at(hour=9, minute=50)


def test_a_case_given_back_is_told_again() -> None:
    story = call_story()
    story.claims()
    story.releases()
    assert story.steps_told() == ["call", "call"]
    assert story.open_case.state is CaseState.NOTIFIED


def test_handing_over_asks_and_tells_the_other_role() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.hands_over(Role.POLICE_OFFICER)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.POLICE_OFFICER)]
    assert Role.POLICE_OFFICER in story.sent[-1].roles
    with pytest.raises(ActRefused, match="unknown_role"):
        story.hands_over(Role.FAMILY)


def test_a_key_press_is_evidence_twice_and_then_no_more() -> None:
    story = call_story()
    story.presses_the_key()
    story.presses_the_key()
    with pytest.raises(ActRefused, match="remote_too_often"):
        story.presses_the_key()
    assert len(story.of_kind(RecordVerified)) == 2


def test_only_an_open_task_takes_an_outcome() -> None:
    story = call_story()
    task_id = story.task_id(TaskKind.CALL)
    story.reports(Outcome.NO_ANSWER)
    with pytest.raises(ActRefused, match="task_ended"):
        story.happens(RecordOutcome(CLERK, task_id, Outcome.NO_ANSWER))
    with pytest.raises(ActRefused, match="unknown"):
        story.happens(RecordOutcome(CLERK, 99, Outcome.NO_ANSWER))
    with pytest.raises(ActRefused, match="not_an_outcome"):
        story.reports(Outcome.RESUMED)


def test_a_device_found_in_order_but_not_heard_is_looked_at_again() -> None:
    story = technical()
    story.goes_out(1)
    story.reports(Outcome.RESTORED, task=TaskKind.DEVICE_CHECK)
    assert story.case is not None
    assert story.open_case.next_action_at == at() + timedelta(hours=8)
    story.is_heard(1)
    assert story.outcome is Outcome.RESTORED


def test_only_visits_are_begun() -> None:
    story = call_story()
    with pytest.raises(ActRefused, match="wrong_task"):
        story.happens(BeginVisit(WATCHER, story.task_id(TaskKind.CALL)))
