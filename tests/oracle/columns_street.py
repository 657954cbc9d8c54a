"""A seed enters; the households of a street and every message their doors send in some days leave, in columns.

The field's trouble is in it, in shares a property manager would recognise: residents who fall, travel with and
without saying so or are ill; power cuts, reboots, gateways down for days with events delivered afterwards; lost
heartbeats, lost events, doors without a counter and counters that lie; duplicates and permuted receipt; clocks
that are wrong, jump, or say 1970; staff, guards, visitors, forced doors, tampering; boot ids used twice.

Left out on purpose, because the text leaves them open: two messages of one position and one `up` with different
content (`up` is even, in a reused boot odd), a message at `up` 0, lines received after the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.oracle.columns_shape import (
    CLOSED,
    DAY,
    EVENT,
    FAMILY,
    FAULT,
    FORCED,
    GRANTED,
    GUARD,
    HEARTBEAT,
    HOUR,
    MINUTE,
    NO_COUNTER,
    NOBODY,
    NOT_TAKEN,
    NTP,
    OPEN,
    OTHER,
    RESIDENT,
    RTC,
    SECOND,
    STAFF,
    TAKEN,
    TAMPER,
    UNSYNCED,
    VISITOR,
    Bools,
    Columns,
    Households,
    Ints,
    columns_of,
)

START_MS = 1_772_323_200_000
HEARTBEAT_MS = 4 * HOUR
IN_2099_MS = 4_070_908_800_000
BUILDING, GATEWAY = 40, 60  # devices that lose power, or their way to us, together
OWNER_BITS = 44

# What a happening is beside an event: it moves the counter, nobody is told.
UNSEEN_OPENING, COUNTER_FAULT = 100, 101

Random = np.random.Generator


@dataclass(frozen=True)
class Street:
    columns: Columns
    households: Households
    start_ms: int
    until_ms: int


@dataclass(frozen=True)
class Happenings:
    """What really happens at doors."""

    device: Ints
    at: Ints
    type: Ints
    cls: Ints
    remote: Bools

    def take(self, rows: Ints | Bools) -> Happenings:
        return Happenings(
            self.device[rows], self.at[rows], self.type[rows], self.cls[rows], self.remote[rows]
        )


@dataclass(frozen=True)
class Boots:
    """Sorted by (device, since); the device runs from since until `to` and its clock has these faults."""

    device: Ints
    since: Ints
    to: Ints
    id: np.ndarray  # uint64
    reused: Bools
    seq_before: Ints  # events before the street begins
    slow_ppm: Ints
    clk: Ints
    synced_after: Ints  # ms since the start; before that the clock is not ntp
    clock_error: Ints
    jump_after: Ints
    jump: Ints


def make_street(
    seed: int, *, households: int, days: int, heartbeat_ms: int = HEARTBEAT_MS, trouble: float = 1.0
) -> Street:
    """The messages of so many households in so many days, in order of receipt.

    `trouble` multiplies how often devices, lines and clocks fail; residents are as they are.
    """
    rng = np.random.default_rng(seed)
    until = START_MS + days * DAY
    homes = make_homes(rng, households, until, heartbeat_ms)
    devices = len(homes.supervision_ms)
    happenings, homes = live(rng, homes, until, trouble)
    boots = make_boots(rng, devices, until, trouble)
    events, beats = send(rng, happenings, boots, devices, until, heartbeat_ms)
    columns = receive(rng, events, beats, boots, devices, until, trouble)
    return Street(columns, homes, START_MS, until)


def key_of(owner: Ints, at: Ints) -> Ints:
    return (owner.astype(np.int64) << OWNER_BITS) | (at - (START_MS - 100 * DAY))


def chance(rng: Random, share: float, count: int) -> Bools:
    return rng.random(count, np.float32) < share


def whole(values: np.ndarray) -> Ints:
    return np.asarray(values).astype(np.int64)


def some_of(rng: Random, count: int, per_owner: float) -> Ints:
    """Owners 0 .. count - 1, each on the average `per_owner` times, sorted."""
    return np.repeat(np.arange(count), rng.poisson(per_owner, count))


# --------------------------------------------------------------------------------------------------
# Homes and lives
# --------------------------------------------------------------------------------------------------


def make_homes(rng: Random, count: int, until: int, heartbeat_ms: int) -> Households:
    doors = 1 + chance(rng, 0.15, count)
    begin = np.concatenate([[0], np.cumsum(doors)])
    devices = int(begin[-1])
    policies = np.array([[24, 48, 72], [12, 24, 36], [36, 72, 96]]) * HOUR
    joined_later = chance(rng, 0.2, count)
    joined = START_MS + whole(rng.random(count) * (until - START_MS) * 0.5)
    nothing = np.empty(0, np.int64)
    return Households(
        door_begin=whole(begin),
        doors=np.arange(devices, dtype=np.int32),
        supervision_ms=heartbeat_ms * rng.choice([2, 3, 6], devices, p=[0.1, 0.8, 0.1]),
        watched_from=np.where(joined_later, joined, START_MS),
        thresholds=policies[rng.choice(3, count, p=[0.9, 0.05, 0.05])],
        absence_household=nothing.astype(np.int32),
        absence_from=nothing,
        absence_to=nothing,
    )


def live(rng: Random, homes: Households, until: int, trouble: float) -> tuple[Happenings, Households]:
    """Everything that happens at the doors, sorted by device and instant; and the absences declared."""
    count, devices = len(homes), len(homes.supervision_ms)
    days = (until - START_MS) // DAY
    quiet_from, quiet_to, homes = be_quiet(rng, homes, until)
    per_day = np.clip(rng.gamma(4.0, 0.65, count), 0.5, 7.0)
    openings = rng.poisson(per_day[:, None], (count, days)).ravel()
    cell = np.repeat(np.arange(count * days), openings)
    household = cell // days
    hour = np.where(
        chance(rng, 0.5, len(cell)),
        rng.normal(9.0, 2.0, len(cell)),
        rng.normal(17.0, 2.5, len(cell)),
    )
    at = START_MS + (cell % days) * DAY + whole(np.clip(hour, 4.5, 23.0) * HOUR)
    at += rng.integers(0, 30 * MINUTE, len(at))
    quiet = np.zeros(len(at), np.bool_)
    for column in range(quiet_from.shape[1]):
        quiet |= (quiet_from[household, column] <= at) & (at < quiet_to[household, column])
    household, at = household[~quiet], at[~quiet]
    doors = np.diff(homes.door_begin)[household]
    device = homes.doors[homes.door_begin[household] + ((doors > 1) & chance(rng, 0.35, len(at)))]
    told = [
        residents_open(rng, device.astype(np.int64), at),
        others_open(rng, devices, days),
        doors_are_forced(rng, devices, days),
        sundry(rng, devices, days, trouble),
    ]
    happened = Happenings(
        *(
            np.concatenate([getattr(one, name) for one in told])
            for name in ("device", "at", "type", "cls", "remote")
        )
    )
    happened = happened.take((happened.at >= START_MS) & (happened.at < until))
    return happened.take(np.argsort(key_of(happened.device, happened.at), kind="stable")), homes


def be_quiet(rng: Random, homes: Households, until: int) -> tuple[Ints, Ints, Households]:
    """Falls, holidays, illness as spans (household, kind); and which of the holidays were declared, how well."""
    count = len(homes)
    lengths = np.column_stack(
        [
            whole(rng.uniform(2.0, 30.0, count) * DAY),  # a fall, until somebody comes
            whole(rng.uniform(1.0, 10.0, count) * DAY),  # a holiday
            whole(rng.uniform(0.9, 1.6, count) * DAY),  # ill in bed
        ]
    )
    begins = START_MS + whole(rng.random((count, 3)) * (until - START_MS))
    happens = rng.random((count, 3)) < np.array([0.04, 0.15, 0.25])
    quiet_from = np.where(happens, begins, until)
    quiet_to = np.where(happens, begins + lengths, until)
    declared = np.flatnonzero((happens[:, 1] & chance(rng, 0.55, count)) | chance(rng, 0.02, count))
    a = begins[declared, 1] + whole(rng.normal(0, 3 * HOUR, len(declared)))
    b = begins[declared, 1] + lengths[declared, 1] + whole(rng.normal(0, 12 * HOUR, len(declared)))
    again = chance(rng, 0.1, len(declared))  # somebody extends the holiday
    household = np.concatenate([declared, declared[again]])
    since = np.concatenate([a, b[again] + HOUR])
    to = np.maximum(np.concatenate([b, b[again] + 2 * DAY]), since + HOUR)
    homes = Households(
        door_begin=homes.door_begin,
        doors=homes.doors,
        supervision_ms=homes.supervision_ms,
        watched_from=homes.watched_from,
        thresholds=homes.thresholds,
        absence_household=household.astype(np.int32),
        absence_from=since,
        absence_to=to,
    )
    return quiet_from, quiet_to, homes


def happenings_of(device: Ints, at: Ints, type_: Ints | int, cls: Ints | int = NOBODY) -> Happenings:
    return Happenings(
        device,
        at,
        np.broadcast_to(type_, device.shape).astype(np.int64),
        np.broadcast_to(cls, device.shape).astype(np.int64),
        np.zeros(len(device), np.bool_),
    )


def joined(*parts: Happenings) -> Happenings:
    names = ("device", "at", "type", "cls", "remote")
    return Happenings(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def residents_open(rng: Random, device: Ints, at: Ints) -> Happenings:
    count = len(device)
    with_card, only_card = chance(rng, 0.35, count), chance(rng, 0.01, count)
    card = np.flatnonzero(with_card | only_card)
    cls = rng.choice([RESIDENT, FAMILY, NOBODY], len(card), p=[0.85, 0.1, 0.05])
    type_ = np.where(chance(rng, 0.8, len(card)), TAKEN, GRANTED)
    moved = np.flatnonzero(~only_card)
    closed = at[moved] + 1_500 + whole(rng.exponential(15 * SECOND, len(moved)))
    left_open = chance(rng, 0.01, len(moved))
    refused = np.flatnonzero(chance(rng, 0.02, count))
    return joined(
        happenings_of(device[card], at[card] - rng.integers(500, 4_000, len(card)), type_, cls),
        happenings_of(device[moved], at[moved], OPEN),
        happenings_of(device[moved][~left_open], closed[~left_open], CLOSED),
        happenings_of(device[refused], at[refused] - 20 * SECOND, GRANTED, RESIDENT),
        happenings_of(device[refused], at[refused] - 10 * SECOND, NOT_TAKEN, RESIDENT),
    )


def any_time(rng: Random, count: int, days: int) -> Ints:
    return START_MS + rng.integers(0, days * DAY, count)


def others_open(rng: Random, devices: int, days: int) -> Happenings:
    device = some_of(rng, devices, 0.04 * days)
    count = len(device)
    at = any_time(rng, count, days)
    let_in = Happenings(
        device,
        at,
        np.where(chance(rng, 0.5, count), TAKEN, GRANTED),
        rng.choice([STAFF, GUARD, VISITOR, NOBODY], count),
        chance(rng, 0.25, count),
    )
    opened_at = at + rng.integers(-2 * SECOND, 40 * SECOND, count)  # some readers tell after the door
    return joined(
        let_in,
        happenings_of(device, opened_at, OPEN),
        happenings_of(device, opened_at + rng.integers(2_000, 3 * MINUTE, count), CLOSED),
    )


def doors_are_forced(rng: Random, devices: int, days: int) -> Happenings:
    device = some_of(rng, devices, 0.002 * days)
    at = any_time(rng, len(device), days)
    opened_at = at + rng.integers(-15 * SECOND, 15 * SECOND, len(device))
    return joined(
        happenings_of(device, at, FORCED),
        happenings_of(device, opened_at, OPEN),
        happenings_of(device, opened_at + 5 * MINUTE, CLOSED),
    )


def sundry(rng: Random, devices: int, days: int, trouble: float) -> Happenings:
    """Tampering, faults, motion; openings that only the counter saw, and counters that count nonsense."""
    rates = [
        (TAMPER, 0.003 * trouble),
        (FAULT, 0.003 * trouble),
        (OTHER, 0.1),
        (CLOSED, 0.01 * trouble),  # a door that has lost its opening
        (UNSEEN_OPENING, 0.004 * trouble),
        (COUNTER_FAULT, 0.001 * trouble),
    ]
    parts = []
    for type_, per_day in rates:
        device = some_of(rng, devices, per_day * days)
        parts.append(happenings_of(device, any_time(rng, len(device), days), type_))
    return joined(*parts)


# --------------------------------------------------------------------------------------------------
# Devices: power, boots, clocks
# --------------------------------------------------------------------------------------------------


def merged(owner: Ints, since: Ints, to: Ints) -> tuple[Ints, Ints, Ints]:
    """Overlapping spans of one owner made one; sorted."""
    order = np.argsort(key_of(owner, since), kind="stable")
    left, right = key_of(owner, since)[order], key_of(owner, to)[order]
    reach = np.maximum.accumulate(right)
    first = np.append(True, left[1:] > reach[:-1]) if len(left) else np.empty(0, np.bool_)
    last = np.append(first[1:], True) if len(left) else first
    origin, part = START_MS - 100 * DAY, (1 << OWNER_BITS) - 1
    return left[first] >> OWNER_BITS, (left[first] & part) + origin, (reach[last] & part) + origin


def make_boots(rng: Random, devices: int, until: int, trouble: float) -> Boots:
    months = (until - START_MS) / (30 * DAY) * trouble
    cut = some_of(rng, -(-devices // BUILDING), 0.6 * months)
    cut_at = START_MS + whole(rng.random(len(cut)) * (until - START_MS))
    cut_ms = whole(np.clip(rng.lognormal(np.log(40 * MINUTE), 1.3, len(cut)), 5 * SECOND, 2 * DAY))
    hit = (cut[:, None] * BUILDING + np.arange(BUILDING)).ravel()
    alone = some_of(rng, devices, 1.2 * months)
    alone_at = START_MS + whole(rng.random(len(alone)) * (until - START_MS))
    short = rng.integers(2 * SECOND, 90 * SECOND, len(alone))
    battery = whole(rng.uniform(0.2, 6.0, len(alone)) * DAY)
    owner = np.concatenate([hit, alone])
    off_at = np.concatenate([np.repeat(cut_at, BUILDING), alone_at])
    off_ms = np.concatenate(
        [np.repeat(cut_ms, BUILDING), np.where(chance(rng, 0.06, len(alone)), battery, short)]
    )
    there = owner < devices
    owner, off_at, on_at = merged(owner[there], off_at[there], (off_at + off_ms)[there])
    first_at = START_MS - whole(rng.uniform(0.01, 20.0, devices) * DAY)
    on_at = on_at + rng.integers(0, 5 * SECOND, len(on_at))  # not all at the same millisecond
    device = np.concatenate([np.arange(devices), owner])
    since = np.concatenate([first_at, on_at])
    order = np.argsort(key_of(device, since), kind="stable")
    device, since = device[order], since[order]
    ends = np.concatenate([off_at, np.full(devices, until + DAY)])
    ends = ends[np.argsort(key_of(np.concatenate([owner, np.arange(devices)]), ends), kind="stable")]
    return with_clocks(rng, device, since, ends, trouble)


def with_clocks(rng: Random, device: Ints, since: Ints, to: Ints, trouble: float) -> Boots:
    count = len(device)
    ids = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    is_later = np.append(False, device[1:] == device[:-1])
    reused = np.zeros(count, np.bool_)
    for number in np.flatnonzero(is_later & chance(rng, 0.01 * trouble, count)):
        if not reused[number - 1]:
            ids[number], reused[number] = ids[number - 1], True
    for number in np.flatnonzero(~reused & chance(rng, 0.002 * trouble, count)):
        other = rng.integers(count)  # a clone of another device
        if device[other] != device[number]:
            ids[number] = ids[other]
    ntp_share = max(0.0, 1 - 0.06 * trouble)
    rest = (1 - ntp_share) / 2
    clk = rng.choice([NTP, RTC, UNSYNCED], count, p=[ntp_share, rest, rest])
    late_sync = chance(rng, 0.15 * trouble, count)
    wrong = chance(rng, 0.02 * trouble, count)
    jumps = chance(rng, 0.02 * trouble, count)
    jump = MINUTE * rng.choice([-180, -90, -50, -10, -1, 1, 10, 50, 90, 180], count)
    rtc_error = whole(rng.normal(0, 4 * MINUTE, count))
    rtc_error = np.where(chance(rng, 0.05, count), -IN_2099_MS // 3, rtc_error)
    return Boots(
        device=device,
        since=since,
        to=to,
        id=ids,
        reused=reused,
        seq_before=np.where(since < START_MS, rng.integers(0, 500, count), 0),
        slow_ppm=rng.integers(-50, 51, count),
        clk=clk,
        synced_after=np.where(late_sync, whole(rng.exponential(20 * MINUTE, count)), 0),
        clock_error=np.where(
            clk == RTC, rtc_error, np.where(wrong, rng.integers(-90 * SECOND, 90 * SECOND, count), 0)
        ),
        jump_after=whole(rng.exponential(4 * DAY, count)),
        jump=np.where(jumps & (clk == NTP), jump, 0),
    )


# --------------------------------------------------------------------------------------------------
# Messages as the devices mean them
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sent:
    boot: Ints  # index into Boots
    at: Ints
    seq: Ints
    opens: Ints
    type: Ints
    cls: Ints
    remote: Bools
    kind: int

    def take(self, rows: Ints | Bools) -> Sent:
        return Sent(
            self.boot[rows],
            self.at[rows],
            self.seq[rows],
            self.opens[rows],
            self.type[rows],
            self.cls[rows],
            self.remote[rows],
            self.kind,
        )


def send(
    rng: Random, happenings: Happenings, boots: Boots, devices: int, until: int, heartbeat_ms: int
) -> tuple[Sent, Sent]:
    """Events and heartbeats of devices that have power, numbered and counted."""
    boot_keys = key_of(boots.device, boots.since)
    keys = key_of(happenings.device, happenings.at)
    boot = np.searchsorted(boot_keys, keys, "right") - 1
    alive = happenings.at < boots.to[boot]
    happened, boot, keys = happenings.take(alive), boot[alive], keys[alive]

    is_event = happened.type < UNSEEN_OPENING
    numbered = np.cumsum(is_event)
    first_of_boot = np.searchsorted(keys, boot_keys, "left")
    before_boot = np.append(0, numbered)[first_of_boot] - boots.seq_before

    rise = whole((happened.type == OPEN) | (happened.type == UNSEEN_OPENING))
    rise[happened.type == COUNTER_FAULT] = rng.choice([-3, 40], int((happened.type == COUNTER_FAULT).sum()))
    counted = np.cumsum(rise)
    first_of_device = np.searchsorted(keys, key_of(np.arange(devices), np.full(devices, START_MS)), "left")
    before_device = np.append(0, counted)[first_of_device] - rng.integers(2_000, 9_000, devices)
    has_counter = chance(rng, 0.6, devices)

    def opens_at(counts: Ints, device: Ints) -> Ints:
        return np.where(has_counter[device], counts - before_device[device], NO_COUNTER)

    events = Sent(
        boot,
        happened.at,
        numbered - before_boot[boot],
        opens_at(counted, happened.device),
        happened.type,
        happened.cls,
        happened.remote,
        EVENT,
    ).take(is_event)

    beat_boot, beat_at = heartbeats(rng, boots, until, heartbeat_ms)
    beat_device = boots.device[beat_boot]
    before = np.searchsorted(keys, key_of(beat_device, beat_at), "right")
    size = len(beat_at)
    beats = Sent(
        beat_boot,
        beat_at,
        np.append(0, numbered)[before] - before_boot[beat_boot],
        opens_at(np.append(0, counted)[before], beat_device),
        np.full(size, OTHER),
        np.full(size, NOBODY),
        np.zeros(size, np.bool_),
        HEARTBEAT,
    )
    return events, beats


def heartbeats(rng: Random, boots: Boots, until: int, heartbeat_ms: int) -> tuple[Ints, Ints]:
    """(boot, instant): one soon after each start, then one every period."""
    skipped = np.maximum(-(-(START_MS - boots.since) // heartbeat_ms), 0)
    last = (np.minimum(boots.to, until) - boots.since) // heartbeat_ms
    count = np.maximum(last - skipped + 1, 0)
    boot = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(boot)) - np.repeat(np.cumsum(count) - count, count) + skipped[boot]
    at = boots.since[boot] + number * heartbeat_ms + rng.integers(1_000, 20_000, len(boot))
    kept = (at >= START_MS) & (at < np.minimum(boots.to[boot], until))
    return boot[kept], at[kept]


# --------------------------------------------------------------------------------------------------
# The way to us
# --------------------------------------------------------------------------------------------------


def receive(
    rng: Random, events: Sent, beats: Sent, boots: Boots, devices: int, until: int, trouble: float
) -> Columns:
    gone = gateway_outages(rng, devices, until, trouble)
    dead = chance(rng, 0.003 * trouble, devices)
    lossy = chance(rng, 0.03 * trouble, devices)
    deaf = chance(rng, 0.05 * trouble, devices)
    forgetful = chance(rng, 0.1 * trouble, devices)

    device = boots.device[beats.boot]
    cut_off = back_at(gone, device, beats.at) > 0
    lost = cut_off | dead[device] | (rng.random(len(device)) < np.where(deaf, 0.4, 0.02 * trouble)[device])
    beats = beats.take(~lost)
    beats_received = beats.at + 30 + whole(rng.exponential(400.0, len(beats.at)))

    device = boots.device[events.boot]
    back = back_at(gone, device, events.at)
    share = np.where(lossy, 0.08, 0.003 * trouble)[device] + np.where(
        forgetful[device] & (back > 0), 0.5, 0.0
    )
    kept = ~(dead[device] | (rng.random(len(device)) < share))
    events, back = events.take(kept), back[kept]
    events_received = np.maximum(events.at, back) + 30 + whole(rng.exponential(400.0, len(back)))
    events_received += np.where(back > 0, rng.integers(0, 15 * MINUTE, len(back)), 0)
    for share_late, how_late in ((0.01, 10 * MINUTE), (0.001, DAY)):
        late = np.flatnonzero(chance(rng, share_late * trouble, len(back)))
        events_received[late] += whole(rng.exponential(how_late, len(late)))

    parts = [
        rows_of(rng, events, boots, events_received, trouble),
        rows_of(rng, beats, boots, beats_received, trouble),
    ]
    sent = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    sent = with_copies(rng, sent, trouble)
    order = np.argsort(sent["received"], kind="stable")
    order = order[: np.searchsorted(sent["received"][order], until, "right")]
    return columns_of(**{name: values[order] for name, values in sent.items()})


def with_copies(rng: Random, sent: dict[str, np.ndarray], trouble: float) -> dict[str, np.ndarray]:
    """Some messages once more, later; a few events once more with another content under the same number."""
    twice = np.flatnonzero(chance(rng, 0.012 * trouble, len(sent["received"])))
    changed = np.flatnonzero(chance(rng, 3e-4 * trouble, len(sent["received"])) & (sent["kind"] == EVENT))
    copies, others = ({name: values[rows] for name, values in sent.items()} for rows in (twice, changed))
    copies["received"] += whole(rng.exponential(HOUR, len(twice)))
    moved = 2 * rng.integers(1, 150 * SECOND, len(changed))  # even: `up` says whether the boot id is reused
    moved = np.where(chance(rng, 0.5, len(changed)) | (others["up"] < moved + 2), moved, -moved)
    others["up"] += moved
    others["ts"] += np.where(others["clk"] == UNSYNCED, 0, moved)
    others["type"] = rng.choice([OPEN, CLOSED, TAKEN, OTHER], len(changed)).astype(np.uint8)
    others["opens"] += np.where(others["opens"] >= 0, rng.integers(0, 2, len(changed)), 0)
    return {name: np.concatenate([values, copies[name], others[name]]) for name, values in sent.items()}


def gateway_outages(rng: Random, devices: int, until: int, trouble: float) -> tuple[Ints, Ints, Ints]:
    months = (until - START_MS) / (30 * DAY) * trouble
    gateway = some_of(rng, -(-devices // GATEWAY), 0.7 * months)
    since = START_MS + whole(rng.random(len(gateway)) * (until - START_MS))
    lasting = np.clip(rng.lognormal(np.log(5 * HOUR), 1.2, len(gateway)), MINUTE, 5 * DAY)
    return merged(gateway, since, since + whole(lasting))


def back_at(gone: tuple[Ints, Ints, Ints], device: Ints, at: Ints) -> Ints:
    """When the way of each message opens again; 0 where it is open."""
    owner, since, to = gone
    if not len(owner):
        return np.zeros(len(device), np.int64)
    gateway = device // GATEWAY
    index = np.searchsorted(key_of(owner, since), key_of(gateway, at), "right") - 1
    within = (index >= 0) & (owner[index] == gateway) & (at < to[index])
    return np.where(within, to[index], 0)


def rows_of(rng: Random, sent: Sent, boots: Boots, received: Ints, trouble: float) -> dict[str, np.ndarray]:
    """The columns of messages, their instants told by the clock the device has."""
    boot, size = sent.boot, len(sent.boot)
    lived = sent.at - boots.since[boot]
    up = lived + lived * boots.slow_ppm[boot] // 1_000_000
    up = np.maximum(up, 2) & ~1 | boots.reused[boot]
    mode = boots.clk[boot]
    before_sync = (mode == NTP) & (lived < boots.synced_after[boot])
    clk = np.where(before_sync, np.where(boots.reused[boot], RTC, UNSYNCED), mode)
    ts = sent.at + boots.clock_error[boot] + whole(rng.normal(0, 120, size))
    ts += np.where(lived > boots.jump_after[boot], boots.jump[boot], 0)
    ts = np.where(clk == UNSYNCED, np.where(boots.slow_ppm[boot] > 40, IN_2099_MS + up, up), ts)
    mad = np.flatnonzero(chance(rng, 1e-5 * trouble, size))
    ts[mad] = np.where(chance(rng, 0.5, len(mad)), up[mad], IN_2099_MS)
    return {
        "device": boots.device[boot].astype(np.int32),
        "boot": boots.id[boot],
        "kind": np.full(size, sent.kind, np.uint8),
        "seq": sent.seq,
        "up": up,
        "ts": ts,
        "clk": clk.astype(np.uint8),
        "type": sent.type.astype(np.uint8),
        "cls": sent.cls.astype(np.uint8),
        "remote": sent.remote,
        "opens": sent.opens,
        "received": received,
    }
