"""The ladder day by day: what a household's silence, an opening and the clock do to its case."""

from __future__ import annotations

import pytest

from alerts.rules.actions import Annunciate
from alerts.rules.reasons import NextAction, Reason
from kaimen.vocabulary import CaseState, Outcome, Role, Stage, TaskKind
from tests.unit.alerts.story import CLERK, WATCHER, Story, at, technical

HELPERS = (Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN)


def test_a_first_day_is_on_the_console_at_once_and_told_at_the_next_list() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    assert story.open_case.state is CaseState.OPEN
    assert story.sent == []
    assert story.planned[0].not_before == at(hour=17)
    story.until(at(hour=17))
    assert story.steps_told() == ["warning"]
    assert story.open_case.state is CaseState.NOTIFIED
    assert story.open_tasks() == []


def test_a_first_day_that_is_over_by_the_list_goes_to_nobody() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    story.until(at(hour=16))
    story.opens_the_door()
    story.until(at(day=2))
    assert story.outcome is Outcome.RESUMED
    assert story.sent == []


def test_a_warning_never_leaves_the_house() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    assert [message.outside for message in story.planned] == [False]


def test_a_second_day_asks_the_property_desk_to_call_and_says_so_at_once() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    assert story.steps_told() == ["call"]
    assert story.open_case.deadline_at == at(hour=11)
    assert story.open_case.next_action == NextAction.CALL_DUE


def test_a_call_of_the_night_starts_at_seven() -> None:
    story = Story()
    story.until(at(hour=23))
    story.crosses(Stage.CALL)
    assert story.sent == []
    assert story.open_case.next_action == NextAction.CALL_STARTS
    story.until(at(day=1, hour=6, minute=59))
    assert story.sent == []
    story.until(at(day=1, hour=7))
    assert story.steps_told() == ["call"]
    assert story.open_case.state is CaseState.NOTIFIED
    assert story.open_case.deadline_at == at(day=1, hour=9)


def test_a_third_day_goes_to_the_first_helper_and_is_told_to_desk_and_police_even_by_night() -> None:
    story = Story(*HELPERS)
    story.until(at(hour=12))
    story.crosses(Stage.VISIT)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.NEIGHBOUR_WATCHER)]
    assert story.roles_told() == [(Role.PROPERTY_CLERK, Role.NEIGHBOUR_WATCHER, Role.POLICE_OFFICER)]
    night = Story(*HELPERS)
    night.until(at(hour=23))
    night.crosses(Stage.VISIT)
    assert night.open_tasks() == [(TaskKind.VISIT, Role.PROPERTY_CLERK)]
    assert len(night.sent) == 1


def test_police_see_no_named_case_before_the_third_day() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    story.until(at(day=1))
    story.crosses(Stage.CALL)
    story.until(at(day=1, hour=21))
    assert all(Role.POLICE_OFFICER not in roles for roles in story.roles_told())


def test_each_stage_annunciates_anew_on_the_same_case() -> None:
    story = Story(*HELPERS)
    story.crosses(Stage.WARNING)
    story.until(at(day=1))
    story.crosses(Stage.CALL)
    story.claims()
    story.until(at(day=1, hour=9, minute=10))
    story.crosses(Stage.VISIT)
    assert story.open_case.id == 1
    assert story.open_case.holder_id is None
    assert story.steps_told() == ["warning", "call", "visit"]
    assert story.reasons.count(Reason.RAISED) == 2


def test_a_fourth_threshold_is_worked_on_as_a_visit() -> None:
    story = Story()
    for thresholds in (1, 2, 3, 4):
        story.crosses(thresholds)
    assert story.open_case.stage is Stage.VISIT
    story.withdraws(4)
    story.withdraws(3)
    assert story.open_case.proposal is None
    story.opens_the_door()
    assert story.open_case.proposal is not None


def test_an_untaken_visit_falls_through_the_helpers_to_the_desk_and_then_repeats() -> None:
    story = Story(*HELPERS)
    story.crosses(Stage.VISIT)
    asked = [story.open_tasks()[-1][1]]
    for half_hours in range(1, 4):
        story.until(at(hour=9, minute=30 * half_hours))
        asked.append(story.open_tasks()[-1][1])
    assert asked == [*HELPERS, Role.PROPERTY_CLERK]
    told = len(story.sent)
    story.until(at(hour=14))
    assert len(story.sent) > told
    assert story.reasons[-1] is Reason.VISIT_OVERDUE


def test_a_household_without_helpers_is_the_desks_from_the_start() -> None:
    story = Story()
    story.crosses(Stage.VISIT)
    assert story.open_tasks() == [(TaskKind.VISIT, Role.PROPERTY_CLERK)]


@pytest.mark.parametrize("stage", [Stage.WARNING, Stage.CALL])
def test_an_opening_closes_the_first_two_days_by_itself(stage: Stage) -> None:
    story = Story()
    story.crosses(stage)
    story.until(at(hour=10))
    story.opens_the_door()
    assert story.outcome is Outcome.RESUMED
    assert story.closed[0].closed_by == "evidence"
    assert story.open_tasks() == []


def test_an_opening_heard_of_late_says_so() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.opens_the_door(late=True)
    assert story.outcome is Outcome.LATE_EVIDENCE


def test_an_absence_declared_elsewhere_closes_as_away() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.opens_the_door(kind="absence")
    assert story.outcome is Outcome.AWAY


def test_the_case_closes_only_when_no_stage_stands() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    story.crosses(Stage.CALL)
    story.withdraws(Stage.CALL)
    assert story.open_case.stage is Stage.WARNING
    assert story.reasons[-1] is Reason.LOWERED
    assert story.open_tasks() == []
    story.withdraws(Stage.WARNING)
    assert story.outcome is Outcome.RESUMED


def test_at_the_third_day_an_opening_only_proposes_and_the_holder_confirms() -> None:
    story = Story(*HELPERS)
    story.crosses(Stage.WARNING)
    story.crosses(Stage.CALL)
    story.crosses(Stage.VISIT)
    story.claims()
    story.opens_the_door()
    assert story.open_case.proposal is not None
    assert (TaskKind.CONFIRM_CLOSING, Role.PROPERTY_CLERK) in story.open_tasks()
    assert story.open_case.next_action_at == at(hour=9, minute=30)
    story.confirms()
    assert story.outcome is Outcome.RESUMED
    assert story.closed[0].closed_by == f"user:{CLERK}"


def test_a_closing_nobody_confirms_annunciates_again() -> None:
    story = Story()
    story.crosses(Stage.VISIT)
    story.opens_the_door()
    told = len(story.sent)
    story.until(at(hour=9, minute=30))
    assert story.reasons[-1] is Reason.NOT_CONFIRMED
    assert len(story.sent) == told + 1
    story.until(at(hour=12))
    assert len(story.sent) > told + 3
    assert story.case is not None


def test_a_closing_refused_goes_on_as_a_visit() -> None:
    story = Story(*HELPERS)
    story.crosses(Stage.VISIT)
    story.opens_the_door()
    story.confirms(False)
    assert story.open_case.proposal is None
    assert (TaskKind.VISIT, Role.NEIGHBOUR_WATCHER) in story.open_tasks()


def test_new_silence_spends_an_unanswered_proposal() -> None:
    story = Story(*HELPERS)
    story.crosses(Stage.VISIT)
    story.opens_the_door()
    story.until(at(day=1))
    story.crosses(Stage.WARNING)
    assert story.open_case.proposal is None
    assert story.open_case.stage is Stage.VISIT


def test_openings_while_a_helper_is_at_the_door_close_nothing() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.crosses(Stage.VISIT)
    story.begins_visit()
    story.opens_the_door()
    assert story.reasons[-1] is Reason.EVIDENCE_DURING_VISIT
    assert story.open_case.proposal is None
    story.reports(Outcome.NO_ANSWER, task=TaskKind.VISIT, user=WATCHER)
    assert story.open_case.proposal is not None


def test_a_visit_begun_on_a_check_is_not_closed_by_the_helpers_own_opening() -> None:
    story = Story(Role.NEIGHBOUR_WATCHER)
    story.check_due(3)
    story.begins_visit()
    story.opens_the_door()
    assert story.case is not None


def test_a_lease_that_ends_gives_the_case_back_and_tells_again() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.claims()
    assert story.open_case.state is CaseState.OWNED
    story.until(at(hour=9, minute=30))
    assert story.open_case.holder_id is None
    assert Reason.LEASE_EXPIRED in story.reasons
    assert story.steps_told() == ["call", "call"]


def test_a_claim_stops_neither_the_clock_nor_the_next_stage() -> None:
    story = Story()
    story.crosses(Stage.WARNING)
    story.claims()
    story.crosses(Stage.CALL)
    assert story.open_case.holder_id is None
    assert story.steps_told() == ["call"]


def test_a_call_nobody_makes_is_told_again_but_not_by_night() -> None:
    story = Story()
    story.until(at(hour=20))
    story.crosses(Stage.CALL)
    story.until(at(hour=22))
    assert story.reasons[-1] is Reason.CALL_OVERDUE
    told = len(story.sent)
    story.until(at(day=1, hour=6, minute=59))
    assert len(story.sent) == told
    story.until(at(day=1, hour=7))
    assert len(story.sent) == told + 1


def test_the_family_is_told_once_for_each_stage() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.until(at(hour=20))
    story.crosses(Stage.VISIT)
    story.until(at(hour=23))
    assert [message.step for message in story.sent if message.family] == ["call", "visit"]
    assert len(story.sent) > 4


def test_what_is_gone_by_now_opens_and_closes_and_is_told_to_nobody() -> None:
    story = Story()
    story.crosses(Stage.CALL, gone=True)
    story.opens_the_door()
    assert story.outcome is Outcome.RESUMED
    assert not any(isinstance(action, Annunciate) for action in story.actions)


def test_a_third_day_gone_by_now_still_waits_for_a_person() -> None:
    story = Story()
    story.crosses(Stage.VISIT, gone=True)
    story.opens_the_door()
    assert story.open_case.proposal is not None


def test_a_crossing_found_before_the_detector_heard_of_an_answer_opens_nothing() -> None:
    story = Story(answered_at=at(hour=8))
    assert story.crosses(Stage.CALL).reason is Reason.ALREADY_ANSWERED
    assert story.case is None


# --- checks and outages ------------------------------------------------------------------------------------------


def test_a_dead_gateway_never_sends_anyone_to_the_door() -> None:
    story = technical()
    for outage_id in range(300):
        story.goes_out(outage_id)
    assert story.open_tasks() == [(TaskKind.DEVICE_CHECK, Role.PROPERTY_CLERK)]
    assert story.open_case.stage is Stage.NORMAL
    assert len(story.sent) == 1
    story.until(at(day=5))
    assert {kind for kind, _ in story.open_tasks()} == {TaskKind.DEVICE_CHECK}


def test_an_outage_is_over_when_its_last_door_is_heard() -> None:
    story = technical()
    for outage_id in range(3):
        story.goes_out(outage_id)
    for outage_id in range(3):
        assert story.case is not None
        story.is_heard(outage_id)
    assert story.outcome is Outcome.RESTORED


def test_time_nobody_saw_climbs_by_list_call_and_visit() -> None:
    story = Story(*HELPERS)
    story.check_due(1)
    assert story.open_tasks() == []
    story.until(at(day=1))
    story.check_due(2)
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    story.until(at(day=2))
    story.check_due(3)
    assert (TaskKind.VISIT, Role.NEIGHBOUR_WATCHER) in story.open_tasks()
    assert story.open_case.stage is Stage.NORMAL
    assert all(Role.POLICE_OFFICER not in roles for roles in story.roles_told())


def test_checks_behind_an_outage_are_tasks_but_not_alarms() -> None:
    story = Story(folded=True, queue=30)
    story.check_due(1)
    story.until(at(day=1))
    story.check_due(2)
    assert story.sent == []
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    assert story.open_case.deadline_at == at(day=1, hour=16)


def test_a_check_ends_with_evidence() -> None:
    story = Story()
    for step in (1, 2, 3):
        story.check_due(step)
    story.opens_the_door()
    assert story.outcome is Outcome.RESUMED


def test_a_household_with_a_case_is_marked_not_seen_in_that_case() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    told = len(story.sent)
    story.check_due(2)
    assert story.reasons[-1] is Reason.NOT_SEEN
    assert story.open_case.check_step == 2
    assert len(story.sent) == told
    story.withdraws(Stage.CALL)
    assert story.open_tasks() == [(TaskKind.CALL, Role.PROPERTY_CLERK)]
    story.check_ends(2)
    assert story.outcome is Outcome.RESUMED


def test_a_withdrawn_consent_closes_at_once_but_at_the_third_day_a_person_decides() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.withdraws_consent()
    assert story.outcome is Outcome.CONSENT_WITHDRAWN
    third = Story()
    third.crosses(Stage.VISIT)
    third.withdraws_consent()
    assert third.open_case.proposal is not None
    third.confirms()
    assert third.outcome is Outcome.CONSENT_WITHDRAWN


def test_a_check_that_ends_leaves_the_call_of_the_stage_asked_of_somebody() -> None:
    story = Story()
    story.check_due(3)
    story.crosses(Stage.CALL)
    assert [kind for kind, _ in story.open_tasks()] == [TaskKind.VISIT]
    story.check_ends(3)
    assert [kind for kind, _ in story.open_tasks()] == [TaskKind.CALL]
    assert story.steps_told()[-1] == "call"
