"""Laws of the ladder: whatever happens in whatever order, no open case is without a future and no elder is lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.rules.actions import Annunciate, ConfirmMessages, RecordVerified
from alerts.rules.happenings import RecordOutcome
from alerts.rules.reasons import ActRefused
from kaimen.vocabulary import CaseState, Contacted, Outcome, Role, Stage, TaskKind
from tests.unit.alerts.story import CLERK, OFFICER, SECOND, WATCHER, Story, technical

Step = Callable[[Story], object]

_USERS = st.sampled_from([CLERK, SECOND, WATCHER, OFFICER])
_STAGES = st.sampled_from([Stage.WARNING, Stage.CALL, Stage.VISIT])
_SPANS = st.integers(min_value=0, max_value=72 * 60).map(lambda minutes: timedelta(minutes=minutes))


def _wait(span: timedelta) -> Step:
    return lambda story: story.until(story.now + span)


def _some_task(story: Story, number: int) -> int:
    tasks = [] if story.case is None else [task.id for task in story.case.tasks]
    return tasks[number % len(tasks)] or 0 if tasks else 0


def _report(outcome: Outcome, number: int, user: int, days: int) -> Step:
    def report(story: Story) -> object:
        return story.happens(
            RecordOutcome(
                user,
                _some_task(story, number),
                outcome,
                Contacted.SPOKE,
                "Ms Li",
                "",
                story.now + timedelta(days=days),
            )
        )

    return report


def _do(story: Story, step: Step) -> None:
    try:
        step(story)
    except (ActRefused, AssertionError) as refused:
        # The story refuses to name a task that is not there; the ladder refuses by name. Both change nothing.
        if isinstance(refused, AssertionError) and "no open" not in str(refused):
            raise


_HAPPENINGS = st.one_of(
    _STAGES.map(lambda stage: lambda story: story.crosses(stage)),
    _STAGES.map(lambda stage: lambda story: story.crosses(stage, gone=True)),
    _STAGES.map(lambda stage: lambda story: story.withdraws(stage)),
    st.integers(1, 3).map(lambda step: lambda story: story.check_due(step)),
    st.integers(1, 3).map(lambda step: lambda story: story.check_ends(step)),
    st.just(lambda story: story.opens_the_door()),
    st.just(lambda story: story.withdraws_consent()),
)
_ACTS = st.one_of(
    _USERS.map(lambda user: lambda story: story.claims(user)),
    _USERS.map(lambda user: lambda story: story.releases(user)),
    st.just(lambda story: story.notes("asked at the desk")),
    _USERS.map(lambda user: lambda story: story.begins_visit(user)),
    st.builds(_report, st.sampled_from(Outcome), st.integers(0, 9), _USERS, st.integers(-1, 40)),
    st.tuples(st.booleans(), _USERS).map(lambda both: lambda story: story.confirms(*both)),
    _SPANS.map(lambda span: lambda story: story.holds("her son is on the way", story.now + span)),
    st.sampled_from(Role).map(lambda role: lambda story: story.hands_over(role)),
    st.just(lambda story: story.presses_the_key()),
)


def _plot(*steps: Step) -> Step:
    def play(story: Story) -> None:
        for step in steps:
            _do(story, step)

    return play


#: Beginnings that chance alone finds too seldom.
_PLOTS = st.sampled_from(
    [
        _plot(lambda story: story.check_due(3), lambda story: story.begins_visit()),
        _plot(lambda story: story.crosses(Stage.VISIT), lambda story: story.begins_visit()),
        _plot(lambda story: story.crosses(Stage.VISIT), lambda story: story.opens_the_door()),
        _plot(lambda story: story.crosses(Stage.CALL), lambda story: story.reports(Outcome.DECEASED)),
        _plot(lambda story: story.crosses(Stage.CALL), lambda story: story.claims()),
    ]
)
_STEPS = st.lists(st.one_of(_HAPPENINGS, _ACTS, _PLOTS, _SPANS.map(_wait)), max_size=25)
_ROSTERS = st.lists(
    st.sampled_from([Role.NEIGHBOUR_WATCHER, Role.STAIRWELL_LIAISON, Role.SAFETY_GUARDIAN, Role.GRID_WORKER]),
    unique=True,
)


def _check_laws(story: Story, before_closed: int) -> None:
    case = story.case
    if case is not None:
        assert case.next_action_at is not None and case.next_action_at > story.now, "no future"
        assert case.next_action
        assert (case.holder_id is None) == (case.lease_expires_at is None), "owned without a lease"
        assert case.state is not CaseState.OWNED or case.holder_id is not None
        held = case.held_until is not None
        assert case.lease_expires_at is None or case.is_owned(story.now) or held, "a dead lease is left"
        if case.proposal is not None:
            assert any(task.kind is TaskKind.CONFIRM_CLOSING for task in case.open_tasks)
    for closed in story.closed[before_closed:]:
        assert closed.outcome is not None and closed.closed_at is not None
        assert closed.open_tasks == ()
        assert closed.next_action_at is None
        by_person = str(closed.closed_by).startswith("user:")
        assert by_person or closed.stage is not Stage.VISIT, "closed at VISIT without a person"
        assert by_person or closed.visit_begun_at is None, "closed while somebody was at the door"
        assert story.planned == [] or by_person is None, "a message is left of a closed case"


@settings(max_examples=400, deadline=None)
@given(_STEPS, _ROSTERS)
def test_no_sequence_of_happenings_and_acts_loses_a_household(steps: list[Step], helpers: list[Role]) -> None:
    story = Story(*helpers)
    for step in steps:
        closed = len(story.closed)
        _do(story, step)
        _check_laws(story, closed)


@settings(max_examples=200, deadline=None)
@given(_STEPS, _ROSTERS)
def test_only_a_named_word_becomes_evidence(steps: list[Step], helpers: list[Role]) -> None:
    story = Story(*helpers)
    for step in steps:
        _do(story, step)
    for action in story.of_kind(RecordVerified):
        assert isinstance(action, RecordVerified)
        assert action.witness
    remote = 0
    for action in story.actions:
        if isinstance(action, RecordVerified):
            remote = remote + 1 if action.how == "remote" else 0
            assert remote <= story.policy.remote_well_max or len(story.closed) > 0


@settings(max_examples=200, deadline=None)
@given(_STEPS, _ROSTERS)
def test_an_owed_act_is_asked_of_somebody(steps: list[Step], helpers: list[Role]) -> None:
    story = Story(*helpers)
    for step in steps:
        gone = story.case is None
        _do(story, step)
        case = story.case
        if case is None or gone or not any(isinstance(action, Annunciate) for action in story.actions):
            continue
        if case.rank >= 2 and case.state is CaseState.NOTIFIED and (case.standing or case.checks):
            assert case.open_tasks or _only_gone(story), "an act is owed and nobody is asked"


def _only_gone(story: Story) -> bool:
    # What was withdrawn before we handled it asks for nothing; its withdrawal is on the way.
    return all(task.kind is TaskKind.CONFIRM_CLOSING for task in story.open_case.tasks)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5), _SPANS), max_size=20))
def test_a_technical_case_stands_as_long_as_one_outage_does(
    turns: list[tuple[bool, int, timedelta]],
) -> None:
    story = technical()
    out: set[int] = set()
    for begins, outage_id, span in turns:
        if begins and outage_id not in out:
            story.goes_out(outage_id)
            out.add(outage_id)
        elif not begins and outage_id in out:
            story.is_heard(outage_id)
            out.discard(outage_id)
        story.until(story.now + span)
        assert (story.case is not None) == bool(out)
        _check_laws(story, len(story.closed))


def test_the_laws_see_confirmations() -> None:
    story = Story()
    story.crosses(Stage.CALL)
    story.claims()
    assert any(isinstance(action, ConfirmMessages) for action in story.actions)
