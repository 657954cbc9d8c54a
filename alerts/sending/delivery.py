"""What becomes of a message: an attempt's end, bounds and the recipient's clock enter, instants and states leave; pure.

Only a person's confirmation stops a chain. What a provider accepted is waited for a while, then the recipient's next
channel is used; a refusal brings that forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts.channels import AfterDoubt, DeliveryError, Lane, Limit, Traits

ATTEMPTS_MAX = 10
DETAIL_LENGTH_MAX = 200
_BACK_OFF_FIRST_S = 5
_BACK_OFF_MAX_S = 1_800
#: A message whose next try lies further away than this does not hold up the recipient's next channel.
_WORTH_WAITING = timedelta(seconds=60)

#: Steps that are no emergency; every other one, also one this file has never heard of, is.
_ROUTINE_STEPS = frozenset(
    {
        "normal", "warning", "not_seen_1", "technical",
        "door_held", "stranger", "credential", "dwelling", "device_fault", "battery", "absence",
        "review",
    }
)  # fmt: skip
_DIGEST_STEPS = frozenset({"digest", "test", "proof"})
#: Emergencies that wait for the morning of whoever sleeps: the call of the second day.
_SLEEPABLE_STEPS = frozenset({"call", "not_seen_2", "confirm"})

#: How long an accepted message may stay unanswered before the recipient's next channel is used.
_ANSWER_WITHIN = {
    Lane.LIFE: timedelta(minutes=5),
    Lane.ROUTINE: timedelta(hours=1),
    Lane.DIGEST: timedelta(days=36_500),
}

#: Beside a provider's own bounds: nobody's phone is to ring all day for what is no emergency.
ROUTINE_PERSON_LIMITS = (Limit(6, 3_600), Limit(20, 86_400))


def lane_of(step: str) -> Lane:
    """Return the lane of an annunciation's step; a step nobody told this function of goes first."""
    if step in _DIGEST_STEPS:
        return Lane.DIGEST
    return Lane.ROUTINE if step in _ROUTINE_STEPS else Lane.LIFE


def breaks_quiet(step: str) -> bool:
    """Say whether a message is sent into the recipient's night: a visit or a call for help is."""
    return lane_of(step) is Lane.LIFE and step not in _SLEEPABLE_STEPS


def answer_within(lane: Lane) -> timedelta:
    """Return how long a recipient's channel is waited for before her next one is used."""
    return _ANSWER_WITHIN[lane]


def after_quiet(at: datetime, *, quiet_from: time | None, quiet_until: time | None, zone: str) -> datetime:
    """Return ``at``, or the end of the recipient's quiet hours where it lies within them (aware, in UTC).

    Hours over midnight are meant where they begin later than they end; equal ends mean none.
    """
    if quiet_from is None or quiet_until is None or quiet_from == quiet_until:
        return at
    local = at.astimezone(ZoneInfo(zone))
    clock = local.time()
    over_midnight = quiet_from > quiet_until
    is_quiet = (
        clock >= quiet_from or clock < quiet_until if over_midnight else quiet_from <= clock < quiet_until
    )
    if not is_quiet:
        return at
    day = local.date() + timedelta(days=1 if over_midnight and clock >= quiet_from else 0)
    return datetime.combine(day, quiet_until, tzinfo=ZoneInfo(zone)).astimezone(at.tzinfo)


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended: the state of the message, and when (wall time) another attempt is due.

    ``pause_s``: the provider takes nothing from us for so long; ``is_final``: nothing more is tried.
    """

    state: str
    result: str
    detail: str
    provider_id: str | None = None
    retry_at: datetime | None = None
    pause_s: int = 0

    @property
    def is_final(self) -> bool:
        return self.state == "failed_permanent" or (self.state == "uncertain" and self.retry_at is None)

    def frees_next(self, wall: datetime) -> bool:
        """Say whether the recipient's next channel should be used now instead of when its time comes."""
        return self.is_final or (self.retry_at is not None and self.retry_at - wall > _WORTH_WAITING)


def back_off(attempts: int, traits: Traits | None = None) -> timedelta:
    """Return how long to wait after so many attempts: the provider's own pauses, or 5 s doubling to half an hour."""
    if traits is not None and traits.retry_after_s:
        pauses = traits.retry_after_s
        return timedelta(seconds=pauses[min(attempts, len(pauses)) - 1])
    return timedelta(seconds=min(_BACK_OFF_FIRST_S * 2 ** (attempts - 1), _BACK_OFF_MAX_S))


def judge_failure(
    error: DeliveryError,
    *,
    attempts: int,
    wall: datetime,
    traits: Traits | None = None,
    lane: Lane = Lane.LIFE,
    has_next: bool = False,
) -> Result:
    """Say what becomes of a message after a failed attempt.

    In doubt: again where the provider knows the key again or can be asked for it. Otherwise a copy could frighten
    somebody twice, so the message stays marked and the recipient's next channel is used; where there is no next one
    and a life is at stake, the copy is the lesser evil.
    """
    traits = traits or Traits(after_doubt=AfterDoubt.RESEND)
    detail = str(error)[:DETAIL_LENGTH_MAX]
    pause_s = (error.retry_after_s or 0) if error.throttled else 0
    pause = max(back_off(attempts, traits), timedelta(seconds=error.retry_after_s or 0))
    retry_at = None if attempts >= ATTEMPTS_MAX else wall + pause
    if error.uncertain:
        again = traits.after_doubt is not AfterDoubt.TELL or (lane is Lane.LIFE and not has_next)
        return Result("uncertain", "uncertain", detail, retry_at=retry_at if again else None)
    if error.permanent:
        return Result("failed_permanent", "failed_permanent", detail)
    if retry_at is None:
        return Result("failed_permanent", "failed_temporary", detail, pause_s=pause_s)
    return Result("planned", "failed_temporary", detail, retry_at=retry_at, pause_s=pause_s)


def permitted(limit: Limit, *, lane: Lane, shared: bool) -> int:
    """Return how many attempts of a window a lane may use.

    Of a provider's budget a quarter is kept for the life lane, which may use all of it; a person's own bound is the
    provider's and holds for all lanes alike.
    """
    if lane is Lane.LIFE or not shared or limit.count == 1:
        return limit.count
    return limit.count - max(1, limit.count // 4)


def person_limits(traits: Traits, lane: Lane) -> Sequence[Limit]:
    """Return the bounds of attempts to one address."""
    return traits.person_limits if lane is Lane.LIFE else (*traits.person_limits, *ROUTINE_PERSON_LIMITS)
