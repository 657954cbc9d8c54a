"""Messages in columns and their households enter; every crossing and check of the whole set leaves.

The coverage rule of the wire protocol once more, this time over arrays: sorting, neighbours, running sums.
It is a judge like `wire_oracle`, shares no line with it nor with the detector, and imports nothing of the
product; the two judges are held against each other in `test_columns_oracle.py`. There is no scalar path:
tampering, reused boot ids and contradicting contents go the same way as everything else.

A span ``(left, right]`` of an owner (a device, later a household) is kept as two *keys*, ``owner << 44 |
instant - origin``, so that one sort and one search serve all owners at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.oracle.columns_shape import (
    CLOSED,
    DAY,
    EVENT,
    FAULT,
    FORCED,
    GRANTED,
    GUARD,
    HEARTBEAT,
    HOUR,
    MINUTE,
    NTP,
    OPEN,
    RTC,
    SECOND,
    STAFF,
    TAKEN,
    TAMPER,
    VISITOR,
    Bools,
    Columns,
    Households,
    Ints,
)

BIG = 1 << 61
INSTANT_BITS = 44  # five hundred years of milliseconds
NEVER = -1  # a check that has not ended


@dataclass(frozen=True)
class History:
    """What the whole set shows at `until`: rows (household, stage, at) and (household, step, at, ended_at).

    Both sorted by (at, household, number); ended_at is NEVER where the check still stands.
    """

    crossings: Ints
    checks: Ints


@dataclass(frozen=True)
class Spans:
    """Disjoint, apart, sorted by (owner, left); as keys."""

    left: Ints
    right: Ints


@dataclass(frozen=True)
class Keys:
    """Pairs (owner, instant) as one integer each."""

    origin: int

    def of(self, owner: Ints, instant: Ints) -> Ints:
        since = np.clip(instant - self.origin, 0, (1 << INSTANT_BITS) - 1)
        return (owner.astype(np.int64) << INSTANT_BITS) | since

    @staticmethod
    def owner(key: Ints) -> Ints:
        return key >> INSTANT_BITS

    def instant(self, key: Ints) -> Ints:
        return (key & ((1 << INSTANT_BITS) - 1)) + self.origin


def judge_columns(columns: Columns, households: Households, until_ms: int) -> History:
    """Every crossing and check up to `until_ms`, as the set of all rows shows them."""
    rows, boot, first_of_boot = sort_by_boot(columns)
    base, cloned = bases(rows, first_of_boot)
    instant = instants(rows, base[boot])
    admitted = (rows.received - 45 * DAY <= instant) & (instant <= rows.received + 5 * MINUTE)
    rows, boot, instant = rows.take(admitted), boot[admitted], instant[admitted]
    keys = Keys(origin_of(instant, households))
    left, right, proved = coverage(rows, boot, instant, base, cloned, keys)
    blocked = blocked_by_tamper(rows, instant, keys)
    heard_by_event = latest_event(rows, instant, cloned[boot], len(households.supervision_ms))
    watched = with_tails(left, right, blocked, heard_by_event, households.supervision_ms, until_ms, keys)
    together = at_all_doors(watched, households)
    seen = evidence_seen(rows, instant, proved, households, keys)
    return count_thresholds(together, seen, households, until_ms, keys)


# --------------------------------------------------------------------------------------------------
# Boots and instants
# --------------------------------------------------------------------------------------------------


def sort_by_boot(columns: Columns) -> tuple[Columns, Ints, Ints]:
    """Rows in the order of points, the number of each row's boot, and the first row of each boot.

    A boot is one (device, boot id). Inside it: position, events before heartbeats, `up`, `ts`.
    """
    small = columns.device.astype(np.uint16) if columns.device.max(initial=0) < 1 << 16 else columns.device
    by_device = np.argsort(small, kind="stable")
    device, boot_id = columns.device[by_device], columns.boot[by_device]
    heads = np.flatnonzero(starts_run(device, boot_id))
    by_id = np.lexsort((boot_id[heads], device[heads]))
    number = np.empty(len(heads), np.int64)
    number[by_id] = np.cumsum(starts_run(device[heads][by_id], boot_id[heads][by_id])) - 1
    boot = np.repeat(number, np.diff(np.append(heads, len(device))))
    position = columns.seq[by_device] * 2 + (columns.kind[by_device] == HEARTBEAT)
    order = np.lexsort((columns.ts[by_device], columns.up[by_device], position, boot))
    boot = boot[order]
    return columns.take(by_device[order]), boot, np.flatnonzero(starts_run(boot))


def starts_run(*columns: Ints) -> Bools:
    """Where a row differs from the one before it in any of the columns; the first row does."""
    starts = np.ones(len(columns[0]), np.bool_)
    if len(starts):
        starts[1:] = False
        for column in columns:
            starts[1:] |= column[1:] != column[:-1]
    return starts


def bases(rows: Columns, first_of_boot: Ints) -> tuple[Ints, Bools]:
    """`B` of each boot, and whether its clock contradicts itself by more than an hour."""
    if not len(first_of_boot):
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    sizes = np.diff(np.append(first_of_boot, len(rows)))

    def least(values: Ints) -> Ints:
        return np.minimum.reduceat(values, first_of_boot)

    synced, offset = rows.clk == NTP, rows.ts - rows.up
    lowest_up = least(np.where(synced, rows.up, BIG))
    is_lowest = synced & (rows.up == np.repeat(lowest_up, sizes))
    by_ntp = least(np.where(is_lowest, rows.ts, BIG)) - lowest_up
    by_rtc = least(np.where(rows.clk == RTC, offset, BIG))
    by_receipt = least(rows.received - rows.up)
    base = np.where(lowest_up < BIG, by_ntp, np.minimum(by_rtc, by_receipt))
    widest = -least(np.where(synced, -offset, BIG)) - least(np.where(synced, offset, BIG))
    return base, widest > HOUR


def instants(rows: Columns, base: Ints) -> Ints:
    away = np.abs(rows.ts - rows.up - base)
    told = (rows.clk == NTP) & (away * 5_000 <= 120 * SECOND * 5_000 + rows.up)
    return np.where(told, rows.ts, base + rows.up)


def origin_of(instant: Ints, households: Households) -> int:
    """Before everything that can matter: coverage is only measured from evidence, evidence from watched_from."""
    known = (instant, households.watched_from, households.absence_from)
    return int(min(values.min(initial=BIG) for values in known)) - 1


# --------------------------------------------------------------------------------------------------
# Spans of many owners
# --------------------------------------------------------------------------------------------------


def where_at_least(need: Ints | int, left: Ints, right: Ints, weight: Ints | int = 1) -> Spans:
    """Where the weights of the spans that hold an instant sum up to at least `need` (of the owner, or one).

    `need` is positive; spans may overlap, be empty or be turned round (then they hold nothing).
    """
    kept = left < right
    weight = np.broadcast_to(weight, left.shape)[kept]
    key = np.concatenate([left[kept], right[kept]])
    order = np.argsort(key, kind="stable")
    key = key[order]
    level = np.cumsum(np.concatenate([weight, -weight])[order])
    last = np.append(key[1:] != key[:-1], True) if len(key) else np.empty(0, np.bool_)
    key, level = key[last], level[last]
    wanted = need if isinstance(need, int) else need[Keys.owner(key)]
    held = level >= wanted
    edge = np.diff(np.concatenate([[0], held.astype(np.int8)])) if len(held) else np.empty(0, np.int8)
    return Spans(key[edge == 1], key[edge == -1])


def without(left: Ints, right: Ints, holes: Spans) -> Spans:
    """The union of the spans less the holes."""
    union = where_at_least(1, left, right)
    if not len(holes.left):
        return union
    weight = np.concatenate([np.ones(len(union.left), np.int64), np.full(len(holes.left), -1)])
    return where_at_least(
        1,
        np.concatenate([union.left, holes.left]),
        np.concatenate([union.right, holes.right]),
        weight,
    )


# --------------------------------------------------------------------------------------------------
# One device
# --------------------------------------------------------------------------------------------------


def coverage(
    rows: Columns, boot: Ints, instant: Ints, base: Ints, cloned: Bools, keys: Keys
) -> tuple[Ints, Ints, Ints]:
    """Keys of the left and right ends of watched spans (not yet united), and of proved openings."""
    is_event = rows.kind == EVENT
    again = ~starts_run(boot, rows.seq * 2 + ~is_event) & is_event  # a second copy or content of one seq
    points = np.flatnonzero(~again & ~cloned[boot])
    device, boot, at = rows.device[points].astype(np.int64), boot[points], instant[points]
    position, opens, is_event = rows.seq[points], rows.opens[points], is_event[points]
    is_open = is_event & (rows.type[points] == OPEN)
    first = starts_run(boot)

    def before(values: Ints, start: Ints | int) -> Ints:
        shifted = np.empty_like(values)
        shifted[1:] = values[:-1]
        shifted[first] = start
        return shifted

    left_at, left_opens = before(at, base[boot[first]]), before(opens, -1)
    missing = position - before(position, 0) - is_event
    risen = opens - left_opens - is_open
    counted = (opens >= 0) & (left_opens >= 0)
    watched = np.where(counted, risen == 0, missing == 0)
    proved = counted & (risen >= 1) & (risen <= np.maximum(missing, 1))
    # Neighbouring watched spans that follow one another are one span.
    watched &= left_at <= at
    follows = np.zeros(len(at), np.bool_)
    follows[1:] = watched[1:] & watched[:-1] & ~first[1:]
    begins = watched & ~follows
    ends = watched & ~np.append(follows[1:], False)
    left, right = keys.of(device[begins], left_at[begins]), keys.of(device[ends], at[ends])
    return left, right, keys.of(device[proved], left_at[proved])


def blocked_by_tamper(rows: Columns, instant: Ints, keys: Keys) -> Spans:
    """From a tamper or fault event until the next event of the door's state, or for ever."""
    happening = rows.kind == EVENT
    state = happening & ((rows.type == OPEN) | (rows.type == CLOSED))
    tampered = happening & ((rows.type == TAMPER) | (rows.type == FAULT))
    device = rows.device[tampered].astype(np.int64)
    left = keys.of(device, instant[tampered])
    states = np.sort(keys.of(rows.device[state], instant[state]))
    forever = (device << INSTANT_BITS) | ((1 << INSTANT_BITS) - 1)
    following = np.append(states, BIG)[np.searchsorted(states, left, "right")]
    following = np.minimum(following, forever)
    return where_at_least(1, left, following)


def latest_event(rows: Columns, instant: Ints, cloned: Bools, devices: int) -> Ints:
    """The latest event instant of each device's uncontradicted boots; -BIG where there is none."""
    heard = np.full(devices, -BIG)
    events = (rows.kind == EVENT) & ~cloned
    np.maximum.at(heard, rows.device[events], instant[events])
    return heard


def with_tails(
    left: Ints,
    right: Ints,
    blocked: Spans,
    heard_by_event: Ints,
    supervision_ms: Ints,
    until_ms: int,
    keys: Keys,
) -> Spans:
    """`C(d)` of every device at `until_ms`: its watched spans, and (H, until] where it still counts as watching."""
    seen = without(left, right, blocked)
    heard = heard_by_event.copy()
    np.maximum.at(heard, Keys.owner(seen.right), keys.instant(seen.right))
    device = np.flatnonzero((until_ms - heard <= supervision_ms) & (heard < until_ms))
    tail_left = keys.of(device, heard[device])
    tail_right = keys.of(device, np.full(len(device), until_ms))
    return without(np.concatenate([left, tail_left]), np.concatenate([right, tail_right]), blocked)


# --------------------------------------------------------------------------------------------------
# One household
# --------------------------------------------------------------------------------------------------


def spread(device: Ints, households: Households) -> tuple[Ints, Ints]:
    """For things of devices: which of them (index) belongs to which household, once for each of its households."""
    doors_per_household = np.diff(households.door_begin)
    household_of_door = np.repeat(np.arange(len(households)), doors_per_household)
    order = np.argsort(households.doors, kind="stable")
    sorted_doors = households.doors[order]
    begin = np.searchsorted(sorted_doors, device, "left")
    count = np.searchsorted(sorted_doors, device, "right") - begin
    index = np.repeat(np.arange(len(device)), count)
    rank = np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)
    return index, household_of_door[order][begin[index] + rank]


def at_all_doors(watched: Spans, households: Households) -> Spans:
    """`C` of every household: where all its doors are watched."""
    index, household = spread(Keys.owner(watched.left), households)
    part = (1 << INSTANT_BITS) - 1
    left = (household << INSTANT_BITS) | (watched.left[index] & part)
    right = (household << INSTANT_BITS) | (watched.right[index] & part)
    return where_at_least(np.diff(households.door_begin), left, right)


def evidence_seen(
    rows: Columns, instant: Ints, proved: Ints, households: Households, keys: Keys
) -> tuple[Ints, Ints]:
    """(household, instant) of all evidence but for the ends of absences."""
    happening = rows.kind == EVENT
    not_hers = (rows.cls == STAFF) | (rows.cls == GUARD) | (rows.cls == VISITOR) | rows.remote

    def chosen(mask: Bools) -> Ints:
        return keys.of(rows.device[mask], instant[mask])

    taken = chosen(happening & (rows.type == TAKEN) & ~not_hers)
    opened = chosen(happening & (rows.type == OPEN))
    let_in = chosen(happening & ((rows.type == TAKEN) | (rows.type == GRANTED)) & not_hers)
    forced = chosen(happening & (rows.type == FORCED))
    others = any_within(opened, let_in, 30 * SECOND, 0) | any_within(opened, forced, 10 * SECOND, 10 * SECOND)
    key = np.concatenate([taken, opened[~others], proved])
    index, household = spread(Keys.owner(key), households)
    at = keys.instant(key)[index]
    kept = at >= households.watched_from[household]
    return (
        np.concatenate([household[kept], np.arange(len(households))]),
        np.concatenate([at[kept], households.watched_from]),
    )


def any_within(key: Ints, others: Ints, before_ms: int, after_ms: int) -> Bools:
    """Whether one of `others` lies at most `before_ms` before or `after_ms` after, of the same owner."""
    others = np.sort(others)
    owner = key & ~((1 << INSTANT_BITS) - 1)
    least = np.maximum(key - before_ms, owner)
    most = np.minimum(key + after_ms, owner | ((1 << INSTANT_BITS) - 1))
    return np.searchsorted(others, least, "left") < np.searchsorted(others, most, "right")


@dataclass(frozen=True)
class Absences:
    """Declared absences, cut short by evidence; starts and ends as keys, each sorted by itself."""

    starts: Ints
    ends: Ints
    all_ends: Ints  # also of those that evidence ended where they began

    def hold(self, key: Ints) -> Bools:
        begun = np.searchsorted(self.starts, key, "right")
        ended = np.searchsorted(self.ends, key, "right")
        return begun > ended


def absences_of(households: Households, seen: Ints, keys: Keys) -> Absences:
    a, b = households.absence_from, households.absence_to
    allowed = (a < b) & (b <= a + 90 * DAY)
    household = households.absence_household[allowed].astype(np.int64)
    start, end = keys.of(household, a[allowed]), keys.of(household, b[allowed])
    returned = np.append(seen, BIG)[np.searchsorted(seen, start, "left")]
    end = np.minimum(end, returned)
    lasting = start < end
    dated = keys.instant(end) >= households.watched_from[household]
    return Absences(np.sort(start[lasting]), np.sort(end[lasting]), end[dated])


@dataclass(frozen=True)
class Measure:
    """How much of the spans lies before a key, over all owners; differences are only taken inside one owner."""

    spans: Spans
    total: Ints  # up to and with each span

    def before(self, key: Ints) -> Ints:
        index = np.searchsorted(self.spans.right, key, "left")
        whole = np.append(0, self.total)[index]
        part = key - np.append(self.spans.left, BIG)[index]
        return whole + np.maximum(part, 0)

    def reached(self, owner: Ints, amount: Ints) -> Ints:
        """The first key at which the measure is `amount`; BIG where the owner's spans end before."""
        if not len(self.total):
            return np.full(len(amount), BIG)
        index = np.searchsorted(self.total, amount, "left")
        found = np.minimum(index, len(self.total) - 1)
        key = self.spans.right[found] - (self.total[found] - amount)
        return np.where((index < len(self.total)) & (Keys.owner(self.spans.right[found]) == owner), key, BIG)


def count_thresholds(
    together: Spans, seen: tuple[Ints, Ints], households: Households, until_ms: int, keys: Keys
) -> History:
    """Crossings and checks between each piece of evidence and the next."""
    seen_keys = np.unique(keys.of(*seen))
    absences = absences_of(households, seen_keys, keys)
    evidence = np.unique(np.concatenate([seen_keys, absences.all_ends]))
    following = np.append(evidence[1:], BIG)
    # Nothing is due before the least threshold: leave out the many short times between two openings.
    quiet = following - evidence > households.thresholds.min(initial=BIG)
    evidence, following = evidence[quiet], following[quiet]
    household = Keys.owner(evidence)
    until = keys.of(household, np.full(len(household), until_ms))
    measure = Measure(together, np.cumsum(together.right - together.left))
    measured = measure.before(evidence)
    crossings, checks = [], []
    for column in range(households.thresholds.shape[1]):
        threshold = households.thresholds[household, column]

        def belongs(key: Ints) -> Bools:
            return (key < following) & (key <= until) & ~absences.hold(key)

        crossing = measure.reached(household, measured + threshold)
        crosses = belongs(crossing)
        due = evidence + threshold
        falls_due = belongs(due) & (measure.before(due) - measured < threshold)
        crossings.append(_table(keys, column + 1, household[crosses], crossing[crosses]))
        next_start = np.append(absences.starts, BIG)[np.searchsorted(absences.starts, due, "right")]
        ended = np.minimum(following, next_start)
        ended_at = np.where(ended <= until, keys.instant(ended), NEVER)
        checks.append(_table(keys, column + 1, household[falls_due], due[falls_due], ended_at[falls_due]))
    return History(_in_order(crossings), _in_order(checks))


def _table(keys: Keys, number: int, household: Ints, key: Ints, *more: Ints) -> Ints:
    return np.column_stack([household, np.full(len(household), number), keys.instant(key), *more])


def _in_order(tables: list[Ints]) -> Ints:
    table = np.concatenate(tables)
    return table[np.lexsort((table[:, 1], table[:, 0], table[:, 2]))]
