"""Why a decision is as it is, why an act is refused, and what comes next, as words; pure.

Each value is also a key of the catalogues, so a new one needs its sentence in both.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a decision is as it is; the value is also the catalogue key of the case's entry."""

    # What ingest told.
    OPENED = "opened"
    RAISED = "raised"
    CROSSED_AGAIN = "crossed_again"
    NOT_SEEN = "not_seen"
    ALREADY_ANSWERED = "already_answered"
    LOWERED = "lowered"
    EVIDENCE_NOTED = "evidence_noted"
    EVIDENCE_DURING_VISIT = "evidence_during_visit"
    CLOSING_PROPOSED = "closing_proposed"
    CLOSED_BY_EVIDENCE = "closed_by_evidence"
    NOTHING_OPEN = "nothing_open"
    OUTAGE_OPENED = "outage_opened"
    NEVER_HEARD = "never_heard"
    OUTAGE_JOINED = "outage_joined"
    OUTAGE_PARTLY_OVER = "outage_partly_over"
    CLOSED_RESTORED = "closed_restored"
    CLOSED_FOLDED = "closed_folded"
    SET_ASIDE = "set_aside"
    NOTICE_RAISED = "notice_raised"
    QUARANTINE_WAITS = "quarantine_waits"
    REMOTE_ONLY = "remote_only"
    SIGNALLED = "signalled"
    SIGNALLED_AGAIN = "signalled_again"
    SIGNAL_ENDED = "signal_ended"
    CLOSED_BY_ITSELF = "closed_by_itself"
    BACK_ASKED = "back_asked"
    BACK_BY_EVIDENCE = "back_by_evidence"
    REVIEW_ASKED = "review_asked"
    # What the clock said.
    LISTED = "listed"
    STARTED = "started"
    LEASE_EXPIRED = "lease_expired"
    SHIFT_ENDED = "shift_ended"
    ON_DUTY = "on_duty"
    HOLD_ENDED = "hold_ended"
    NOT_CONFIRMED = "not_confirmed"
    CALL_OVERDUE = "call_overdue"
    VISIT_PASSED_ON = "visit_passed_on"
    VISIT_OVERDUE = "visit_overdue"
    DEVICE_CHECK_OVERDUE = "device_check_overdue"
    REOPENED = "reopened"
    NOTHING_DUE = "nothing_due"
    TASK_OVERDUE = "task_overdue"
    TOLD_FURTHER = "told_further"
    CLOSED_UNANSWERED = "closed_unanswered"
    # What a person did.
    CLAIMED = "claimed"
    RELEASED = "released"
    NOTED = "noted"
    VISIT_BEGUN = "visit_begun"
    CLOSED_BY_OUTCOME = "closed_by_outcome"
    ANSWERED_INSTEAD = "answered_instead"
    NO_ANSWER_EARLY = "no_answer_early"
    NO_ANSWER_TRY_AGAIN = "no_answer_try_again"
    NO_ANSWER_NEXT_STEP = "no_answer_next_step"
    SENSOR_FAULT_NOTED = "sensor_fault_noted"
    SECOND_PERSON_ASKED = "second_person_asked"
    DEVICE_CHECKED = "device_checked"
    CLOSING_CONFIRMED = "closing_confirmed"
    CLOSING_REJECTED = "closing_rejected"
    HELD = "held"
    HANDED_OVER = "handed_over"
    SHIFT_ACCEPTED = "shift_accepted"
    REMOTE_WELL = "remote_well"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_WITHDRAWN_PROPOSED = "consent_withdrawn_proposed"
    ABSENCE_RESTORED = "absence_restored"
    WORD_DOUBTED = "word_doubted"
    MET = "met"


class Refusal(StrEnum):
    """Why an act is not possible now."""

    UNKNOWN = "unknown"
    CASE_CLOSED = "case_closed"
    TASK_ENDED = "task_ended"
    NOT_EARLY = "not_early"
    HELD_BY_ANOTHER = "held_by_another"
    NOT_THE_HOLDER = "not_the_holder"
    WRONG_TASK = "wrong_task"
    NOT_AN_OUTCOME = "not_an_outcome"
    HOW_IS_MISSING = "how_is_missing"
    WITNESS_IS_MISSING = "witness_is_missing"
    ABSENCE_NEEDS_END = "absence_needs_end"
    ABSENCE_TOO_LONG = "absence_too_long"
    NOTHING_PROPOSED = "nothing_proposed"
    SECOND_PERSON_NEEDED = "second_person_needed"
    REASON_IS_MISSING = "reason_is_missing"
    HOLD_NEEDS_END = "hold_needs_end"
    HOLD_TOO_LONG = "hold_too_long"
    NOTE_IS_EMPTY = "note_is_empty"
    NOTE_TOO_LONG = "note_too_long"
    UNKNOWN_ROLE = "unknown_role"
    REMOTE_TOO_OFTEN = "remote_too_often"
    NOT_A_TIME = "not_a_time"
    WHO_IS_MISSING = "who_is_missing"
    NUMBER_IS_NEW = "number_is_new"
    HOLD_ON_NEW_NUMBER = "hold_on_new_number"


class ActRefused(Exception):  # noqa: N818 - a refusal is an answer, not a fault
    """The state of the case does not allow the act; ``reason`` is a :class:`Refusal`."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


class NextAction(StrEnum):
    """What happens at ``next_action_at`` unless somebody acts before."""

    LIST = "list"
    CALL_STARTS = "call_starts"
    CALL_DUE = "call_due"
    VISIT_STARTS = "visit_starts"
    VISIT_DUE = "visit_due"
    DEVICE_CHECK_DUE = "device_check_due"
    CONFIRM_DUE = "confirm_due"
    LEASE_ENDS = "lease_ends"
    HOLD_ENDS = "hold_ends"
    ANNUNCIATE_AGAIN = "annunciate_again"
    TASK_STARTS = "task_starts"
    TASK_DUE = "task_due"
    TELL_FURTHER = "tell_further"
