"""A recorded wire stream and a registry enter as plain dicts; the report of "Judging by file" leaves.

This is the judge, not the product: it evaluates the definitions of the wire protocol from the raw set of
messages, slowly and by the letter, and shares no line with the detector it judges. It imports nothing of
the product. Instants are integer Unix milliseconds. A span ``(l, r)`` holds the instants l < x <= r.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

SECOND = 1_000
HOUR = 3_600_000
DAY = 24 * HOUR
FOREVER = 1 << 62

Span = tuple[int, int]
Body = dict[str, Any]

# --------------------------------------------------------------------------------------------------
# Spans: sorted, disjoint lists of half-open intervals (l, r]
# --------------------------------------------------------------------------------------------------


def union(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for left, right in sorted(span for span in spans if span[0] < span[1]):
        if merged and left <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(right, merged[-1][1]))
        else:
            merged.append((left, right))
    return merged


def intersect(some: list[Span], others: list[Span]) -> list[Span]:
    return union((max(a, c), min(b, d)) for a, b in some for c, d in others)


def subtract(spans: list[Span], holes: list[Span]) -> list[Span]:
    for hole_left, hole_right in holes:
        spans = union(
            piece
            for left, right in spans
            for piece in ((left, min(right, hole_left)), (max(left, hole_right), right))
        )
    return spans


def clip(spans: list[Span], left: int, right: int) -> list[Span]:
    return intersect(spans, [(left, right)])


def measure(spans: list[Span]) -> int:
    return sum(right - left for left, right in spans)


def reach(spans: list[Span], amount: int) -> int | None:
    """The first instant at which the measure of the spans so far is `amount`."""
    for left, right in spans:
        if amount <= right - left:
            return left + amount
        amount -= right - left
    return None


# --------------------------------------------------------------------------------------------------
# Reading lines
# --------------------------------------------------------------------------------------------------

TOPIC = re.compile(r"kaimen/v1/([0-9a-f])/([0-9a-f])/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/([a-z]+)")
BOOT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, eq=False)
class Copy:
    """One received copy of one event or heartbeat."""

    device: str
    kind: str  # "event" or "heartbeat"
    body: Body
    content: str  # equal copies have equal content
    received_at: int  # rx where it was set: plausibility, base, lateness
    line_at: int  # when the line was received: orders the live view


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any, least: int = 0) -> bool:
    return is_int(value) and value >= least


def fits_head(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and is_int(body.get("v"))
        and body["v"] == 1
        and isinstance(body.get("boot"), str)
        and BOOT.fullmatch(body["boot"]) is not None
        and is_int(body.get("ts"))
        and is_count(body.get("up"))
        and body.get("clk") in ("ntp", "rtc", "unsynced")
        and (body.get("opens") is None or is_count(body["opens"]))
        and (body.get("rx") is None or is_int(body["rx"]))
    )


def is_event(body: Any) -> bool:
    texts = ("door", "state", "dir", "method", "cred", "reason")
    return (
        fits_head(body)
        and is_count(body.get("seq"), least=1)
        and isinstance(body.get("type"), str)
        and body["type"] != ""
        and all(body.get(field) is None or isinstance(body[field], str) for field in texts)
        and (body.get("hist") is None or isinstance(body["hist"], bool))
    )


def is_heartbeat(body: Any) -> bool:
    return fits_head(body) and is_count(body.get("seq_last"))


def keeps_array_rules(elements: list[Any]) -> bool:
    """At most 500 and 64 KiB, one boot, ascending seq; bad elements count alone and are not asked."""
    if len(elements) > 500:
        return False
    if len(json.dumps(elements, separators=(",", ":"), ensure_ascii=False).encode()) > 64 * 1024:
        return False
    good = [element for element in elements if is_event(element)]
    seqs = [element["seq"] for element in good]
    return len({element["boot"] for element in good}) <= 1 and all(a < b for a, b in pairwise(seqs))


def content_of(body: Body) -> str:
    """Absent is null; hist and rx are about the journey, not about the event."""
    kept = {
        field: value for field, value in body.items() if value is not None and field not in ("hist", "rx")
    }
    return json.dumps(kept, sort_keys=True)


def copy_of(device: str, kind: str, body: Body, line_at: int) -> Copy:
    rx = body.get("rx")
    received_at = rx if rx is not None and rx <= line_at else line_at
    return Copy(device, kind, body, content_of(body), received_at, line_at)


def topic_fits(topic: Any, site_by_device: dict[str, str]) -> str | None:
    """The device, if the topic's site, digits and device fit the registry."""
    match = TOPIC.fullmatch(topic) if isinstance(topic, str) else None
    if match is None:
        return None
    first, second, site, device, _ = match.groups()
    digits = hashlib.sha256(site.encode()).hexdigest()[:2]
    if site_by_device.get(device) != site or digits != first + second:
        return None
    return device


def read_line(line: dict[str, Any], site_by_device: dict[str, str]) -> list[Copy | None]:
    """The copies one line carries; None stands for an event that goes to quarantine."""
    topic, payload, line_at = line["topic"], line["payload"], line["received_at"]
    device = topic_fits(topic, site_by_device)
    channel = topic.rpartition("/")[2] if isinstance(topic, str) else ""
    if channel == "hb":
        if device is not None and is_heartbeat(payload):
            return [copy_of(device, "heartbeat", payload, line_at)]
        return []
    if channel == "evt":
        if device is not None and is_event(payload):
            return [copy_of(device, "event", payload, line_at)]
        return [None]
    if channel == "evb":
        if not isinstance(payload, list):
            return [None]
        if device is None or not keeps_array_rules(payload):
            return [None] * len(payload)
        return [copy_of(device, "event", body, line_at) if is_event(body) else None for body in payload]
    return []


# --------------------------------------------------------------------------------------------------
# Instants
# --------------------------------------------------------------------------------------------------


def base_of(copies: list[Copy]) -> int:
    """`B` of one boot, from all its well-formed messages."""
    ntp = [copy.body for copy in copies if copy.body["clk"] == "ntp"]
    if ntp:
        up, ts = min((body["up"], body["ts"]) for body in ntp)
        return int(ts - up)
    heard: list[int] = [copy.received_at - copy.body["up"] for copy in copies]
    told: list[int] = [copy.body["ts"] - copy.body["up"] for copy in copies if copy.body["clk"] == "rtc"]
    return min(heard + told)


def instant_of(body: Body, base: int) -> int:
    ts, up = int(body["ts"]), int(body["up"])
    if body["clk"] == "ntp" and abs(ts - up - base) * 5_000 <= 120 * SECOND * 5_000 + up:
        return ts
    return base + up


def is_plausible(instant: int, received_at: int) -> bool:
    return received_at - 45 * DAY <= instant <= received_at + 5 * 60 * SECOND


def is_cloned(copies: list[Copy]) -> bool:
    offsets = [copy.body["ts"] - copy.body["up"] for copy in copies if copy.body["clk"] == "ntp"]
    return bool(offsets) and max(offsets) - min(offsets) > HOUR


# --------------------------------------------------------------------------------------------------
# One device
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Happening:
    """One accepted event at its instant."""

    instant: int
    body: Body


@dataclass(frozen=True)
class Point:
    position: int
    rank: int  # start 0, event 1, heartbeat 2
    up: int
    instant: int
    opens: int | None
    is_open_edge: bool
    tie: str  # two heartbeats alike but for their content: any fixed order


@dataclass(frozen=True)
class DeviceView:
    """What one set of messages says about one device."""

    watched: list[Span]  # without the tail
    blocked: list[Span]  # tampered or faulty: never watched
    heard_at: int | None  # H
    happenings: list[Happening]  # all accepted events
    proved_openings: list[int]  # instants of openings only the counter shows
    supervision: int

    def is_known(self, at: int) -> bool:
        return self.heard_at is not None and at - self.heard_at <= self.supervision

    def watched_at(self, pulse: int) -> list[Span]:
        """C(d) as pulse `pulse` sees it."""
        if not self.is_known(pulse):
            return self.watched
        assert self.heard_at is not None
        return subtract(union([*self.watched, (self.heard_at, pulse)]), self.blocked)


def is_open_edge(body: Body) -> bool:
    return body.get("type") == "DoorPhysicalState" and body.get("state") == "Open"


def accepted_of(copies: list[Copy], kind: str, base: int) -> list[Happening]:
    """Each different content of this kind with at least one plausible copy, once."""
    plausible = {
        copy.content: Happening(instant_of(copy.body, base), copy.body)
        for copy in copies
        if copy.kind == kind and is_plausible(instant_of(copy.body, base), copy.received_at)
    }
    return list(plausible.values())


def points_of(base: int, events: list[Happening], heartbeats: list[Happening]) -> list[Point]:
    points = [Point(0, 0, 0, base, None, False, "")]
    by_seq: dict[int, list[Happening]] = defaultdict(list)
    for event in events:
        by_seq[event.body["seq"]].append(event)
    for seq, contents in by_seq.items():
        one = min(contents, key=lambda event: (event.body["up"], event.body["ts"], content_of(event.body)))
        points.append(
            Point(seq, 1, one.body["up"], one.instant, one.body.get("opens"), is_open_edge(one.body), "")
        )
    for beat in heartbeats:
        body = beat.body
        points.append(
            Point(body["seq_last"], 2, body["up"], beat.instant, body.get("opens"), False, content_of(body))
        )
    return sorted(points, key=lambda point: (point.position, point.rank, point.up, point.instant, point.tie))


def between(left: Point, right: Point) -> tuple[bool, bool]:
    """(was watched, an opening is dated at the left instant)."""
    missing = right.position - left.position - (1 if right.rank == 1 else 0)
    if left.opens is None or right.opens is None:
        return missing == 0, False
    risen = right.opens - left.opens - (1 if right.is_open_edge else 0)
    if risen == 0:
        return True, False
    return False, 1 <= risen <= max(missing, 1)


def blocked_by_tamper(happenings: list[Happening]) -> list[Span]:
    states = [h.instant for h in happenings if h.body["type"] == "DoorPhysicalState"]
    blocked = []
    for happening in happenings:
        if happening.body["type"] in ("DoorTamper", "DoorFault"):
            ends = [instant for instant in states if instant > happening.instant]
            blocked.append((happening.instant, min(ends, default=FOREVER)))
    return union(blocked)


def conclude(copies: list[Copy], supervision: int) -> DeviceView:
    """Everything the coverage rule says about one device from this set of copies."""
    by_boot: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_boot[copy.body["boot"]].append(copy)
    watched: list[Span] = []
    happenings: list[Happening] = []
    proved_openings: list[int] = []
    heard: list[int] = []
    for in_boot in by_boot.values():
        base = base_of(in_boot)
        events = accepted_of(in_boot, "event", base)
        happenings += events
        if is_cloned(in_boot):
            continue
        heard += [event.instant for event in events]
        points = points_of(base, events, accepted_of(in_boot, "heartbeat", base))
        for left, right in pairwise(points):
            was_watched, had_opening = between(left, right)
            if was_watched:
                watched.append((left.instant, right.instant))
            if had_opening:
                proved_openings.append(left.instant)
    blocked = blocked_by_tamper(happenings)
    seen = subtract(union(watched), blocked)
    heard += [right for _, right in seen]
    return DeviceView(seen, blocked, max(heard, default=None), happenings, proved_openings, supervision)


# --------------------------------------------------------------------------------------------------
# One household
# --------------------------------------------------------------------------------------------------

NOT_HERS = ("staff", "guard", "visitor")


@dataclass(frozen=True)
class DoorOf:
    device: str
    role: str
    since: int
    until: int

    def holds_at(self, instant: int) -> bool:
        return self.since <= instant < self.until


@dataclass(frozen=True, eq=False)
class House:
    id: str
    doors: list[DoorOf]
    thresholds: list[int]
    watched_from: int
    absences: list[Span]  # [a, b)
    verified: list[int]

    def required_at(self, instant: int) -> set[str]:
        return {door.device for door in self.doors if door.role == "dwelling" and door.holds_at(instant)}


def door_of(entry: Any) -> DoorOf:
    if isinstance(entry, str):
        return DoorOf(entry, "dwelling", -FOREVER, FOREVER)
    since, until = entry.get("from"), entry.get("to")
    return DoorOf(
        entry["device"],
        entry.get("role") or "dwelling",
        -FOREVER if since is None else since,
        FOREVER if until is None else until,
    )


def house_of(entry: Body) -> House:
    thresholds = entry.get("thresholds_s") or [86_400, 172_800, 259_200]
    absences = [(absence["from"], absence["to"]) for absence in entry.get("absences") or []]
    return House(
        id=entry["id"],
        doors=[door_of(door) for door in entry.get("doors") or []],
        thresholds=sorted(threshold * SECOND for threshold in thresholds),
        watched_from=entry["watched_from"],
        absences=[(a, b) for a, b in absences if a < b <= a + 90 * DAY],
        verified=list(entry.get("verified") or []),
    )


@dataclass(frozen=True)
class Creds:
    entries: list[Body]

    def is_not_hers(self, body: Body) -> bool:
        """Staff, a guard, a visitor or the office's remote unlock."""
        return body.get("method") == "remote_office" or any(
            entry["cred"] == body.get("cred") and entry["class"] in NOT_HERS for entry in self.entries
        )

    def is_resident_of(self, body: Body, household: str) -> bool:
        return any(
            entry["cred"] == body.get("cred")
            and entry["class"] == "resident"
            and entry.get("household") == household
            for entry in self.entries
        )


def made_by_others(edge: Happening, on_device: list[Happening], creds: Creds) -> bool:
    """Whether an Open edge takes the class of staff, guard, visitor, the office or force."""
    for other in on_device:
        since = edge.instant - other.instant
        kind = other.body["type"]
        if (
            kind in ("AccessGranted", "AccessTaken")
            and 0 <= since <= 30 * SECOND
            and creds.is_not_hers(other.body)
        ):
            return True
        if kind == "DoorForcedOpen" and abs(since) <= 10 * SECOND:
            return True
    return False


def evidence_at_door(door: DoorOf, view: DeviceView, house: House, creds: Creds) -> list[int]:
    instants = []
    for happening in view.happenings:
        taken = happening.body["type"] == "AccessTaken" and not creds.is_not_hers(happening.body)
        if door.role == "dwelling":
            opened = is_open_edge(happening.body) and not made_by_others(happening, view.happenings, creds)
            counts = taken or opened
        else:
            counts = taken and creds.is_resident_of(happening.body, house.id)
        if counts:
            instants.append(happening.instant)
    if door.role == "dwelling":
        instants += view.proved_openings
    return [instant for instant in instants if door.holds_at(instant)]


@dataclass(frozen=True, eq=False)
class HouseView:
    """What one set of messages says about one household."""

    house: House
    devices: dict[str, DeviceView]
    creds: Creds

    @cached_property
    def seen_evidence(self) -> list[int]:
        """Evidence but for the ends of absences."""
        instants = {self.house.watched_from, *self.house.verified}
        for door in self.house.doors:
            instants.update(evidence_at_door(door, self.devices[door.device], self.house, self.creds))
        return sorted(instant for instant in instants if instant >= self.house.watched_from)

    @cached_property
    def absences(self) -> list[Span]:
        """Each declared absence [a, end) as evidence cuts it short."""
        return [
            (a, min([b, *(instant for instant in self.seen_evidence if a <= instant < b)]))
            for a, b in self.house.absences
        ]

    @cached_property
    def evidence(self) -> list[int]:
        ends = [end for _, end in self.absences if end >= self.house.watched_from]
        return sorted({*self.seen_evidence, *ends})

    def latest_evidence(self, at: int) -> int:
        return self.evidence[bisect_right(self.evidence, at) - 1]

    def is_absent(self, at: int) -> bool:
        return any(a <= at < end for a, end in self.absences)

    def watched_at(self, pulse: int) -> list[Span]:
        """C of the household as pulse `pulse` sees it."""
        bounds = {-FOREVER, FOREVER}
        for door in self.house.doors:
            bounds |= {door.since, door.until}
        ordered = sorted(bounds)
        spans: list[Span] = []
        for since, until in pairwise(ordered):
            required = self.house.required_at(since)
            together = [(since, until)] if required else []
            for device in required:
                together = intersect(together, self.devices[device].watched_at(pulse))
            spans += together
        return union(spans)

    def is_known(self, pulse: int) -> bool:
        return all(self.devices[device].is_known(pulse) for device in self.house.required_at(pulse))


# --------------------------------------------------------------------------------------------------
# The history
# --------------------------------------------------------------------------------------------------


def history(view: HouseView, until: int) -> tuple[list[Body], list[Body]]:
    """(effective, checks) of one household as this set shows them at `until`."""
    effective: list[Body] = []
    checks: list[Body] = []
    watched = view.watched_at(until)
    starts = [a for a, end in view.absences if a < end]
    for evidence in view.evidence:
        for number, threshold in enumerate(view.house.thresholds, 1):

            def belongs(instant: int, evidence: int = evidence) -> bool:
                return (
                    instant <= until
                    and not view.is_absent(instant)
                    and view.latest_evidence(instant) == evidence
                )

            crossing = reach(clip(watched, evidence, FOREVER), threshold)
            if crossing is not None and belongs(crossing):
                effective.append({"household": view.house.id, "stage": number, "at": crossing})
            due = evidence + threshold
            if belongs(due) and measure(clip(watched, evidence, due)) < threshold:
                ended = min((x for x in [*view.evidence, *starts] if due < x <= until), default=None)
                checks.append({"household": view.house.id, "step": number, "at": due, "ended_at": ended})
    return effective, checks


# --------------------------------------------------------------------------------------------------
# Live
# --------------------------------------------------------------------------------------------------


def first_pulse(at: int) -> int:
    return -(-at // SECOND) * SECOND


class Stream:
    """All copies of a recording, and what any instant of receipt had seen of them."""

    def __init__(self, copies: list[Copy], registry: Body) -> None:
        self.creds = Creds(registry.get("creds") or [])
        self.supervision = {
            device["id"]: (device.get("supervision_s") or 3 * (device.get("heartbeat_s") or 60)) * SECOND
            for device in registry["devices"]
        }
        self.copies: dict[str, list[Copy]] = defaultdict(list)
        for copy in sorted(copies, key=lambda copy: copy.line_at):
            self.copies[copy.device].append(copy)
        self.line_ats = {device: [c.line_at for c in own] for device, own in self.copies.items()}
        self._devices: dict[tuple[str, int], DeviceView] = {}
        self._houses: dict[tuple[str, tuple[int, ...]], HouseView] = {}

    def _device_view(self, device: str, count: int) -> DeviceView:
        if (device, count) not in self._devices:
            own = self.copies[device][:count] if count else []
            self._devices[device, count] = conclude(own, self.supervision.get(device, 0))
        return self._devices[device, count]

    def view(self, house: House, received_by: int) -> HouseView:
        devices = sorted({door.device for door in house.doors})
        counts = tuple(bisect_right(self.line_ats.get(device, []), received_by) for device in devices)
        key = (house.id, counts)
        if key not in self._houses:
            views = {d: self._device_view(d, count) for d, count in zip(devices, counts, strict=True)}
            self._houses[key] = HouseView(house, views, self.creds)
        return self._houses[key]

    def receipts(self, house: House) -> list[int]:
        return sorted({at for door in house.doors for at in self.line_ats.get(door.device, [])})


def turning_instants(stream: Stream, house: House, until: int) -> list[int]:
    """Every instant at which what a pulse would say may change, each the first with the new answer.

    Between two receipts the set is fixed. Inside such a time the answer changes only at evidence, bounds
    of absences and door windows, one millisecond after a device's supervision ran out, and where the
    inactivity reaches a threshold; the last is sought in each stretch between the others.
    """
    found: list[int] = []
    receipts = [at for at in stream.receipts(house) if house.watched_from < at <= until]
    borders = [house.watched_from, *receipts, until + 1]
    for begin, end in pairwise(borders):
        view = stream.view(house, begin)
        turns = {begin, *view.evidence}
        turns |= {bound for absence in view.absences for bound in absence}
        turns |= {bound for door in house.doors for bound in (door.since, door.until)}
        turns |= {d.heard_at + d.supervision + 1 for d in view.devices.values() if d.heard_at is not None}
        stretch = [*sorted(turn for turn in turns if begin <= turn < end), end]
        for left, right in pairwise(stretch):
            unseen = clip(view.watched_at(right - 1), view.latest_evidence(left), FOREVER)
            crossings = [reach(unseen, threshold) for threshold in house.thresholds]
            found += [left, *(at for at in crossings if at is not None and left < at < right)]
    return found


def pulses_of(stream: Stream, house: House, until: int, pulses: str) -> list[int]:
    if pulses == "all":
        return list(range(first_pulse(house.watched_from), until + 1, SECOND))
    assert pulses == "events"
    candidates = {first_pulse(at) for at in turning_instants(stream, house, until)}
    return sorted(pulse for pulse in candidates if pulse <= until)


@dataclass
class Standing:
    report: Body
    evidence: int  # E when it was announced


def live(stream: Stream, house: House, until: int, pulses: str) -> tuple[list[Body], list[Body]]:
    """(announced, not_known) of one household, pulse by pulse."""
    announced: list[Body] = []
    standing: dict[int, Standing] = {}
    not_known: list[Body] = []
    was_known = True
    instants = pulses_of(stream, house, until, pulses)
    last = until // SECOND * SECOND
    for pulse, following in zip(instants, [*instants, last + SECOND][1:], strict=False):
        view = stream.view(house, pulse)
        evidence, absent = view.latest_evidence(pulse), view.is_absent(pulse)
        since = clip(view.watched_at(pulse), evidence, pulse)
        stage = 0 if absent else sum(threshold <= measure(since) for threshold in house.thresholds)
        for number, one in list(standing.items()):
            if stage < number and (absent or evidence > one.evidence):
                one.report["withdrawn_at"] = pulse
                del standing[number]
        for number in range(1, stage + 1):
            if number not in standing:
                report = {
                    "household": house.id,
                    "stage": number,
                    "at": reach(since, house.thresholds[number - 1]),
                    "announced_at": pulse,
                    "withdrawn_at": None,
                }
                announced.append(report)
                standing[number] = Standing(report, evidence)
        known = view.is_known(pulse)
        if not known:
            if was_known:
                not_known.append({"household": house.id, "from": pulse, "to": pulse})
            not_known[-1]["to"] = following - SECOND
        was_known = known
    return announced, not_known


# --------------------------------------------------------------------------------------------------
# Admission, and the whole report
# --------------------------------------------------------------------------------------------------


def count_admission(read: list[Copy | None]) -> Body:
    """Each event in exactly one class, in order of receipt (``rx`` where set); heartbeats are not counted."""
    counts = {"accepted": 0, "duplicate": 0, "late": 0, "implausible": 0, "quarantined": 0}
    by_boot: dict[tuple[str, str], list[Copy]] = defaultdict(list)
    for copy in read:
        if copy is not None:
            by_boot[copy.device, copy.body["boot"]].append(copy)
    bases = {boot: base_of(copies) for boot, copies in by_boot.items()}
    seen: set[tuple[str, str]] = set()
    counts["quarantined"] = read.count(None)
    # Of equal copies the one received first counts, on whichever line it stands.
    for copy in sorted(filter(None, read), key=lambda copy: copy.received_at):
        if copy.kind == "event":
            instant = instant_of(copy.body, bases[copy.device, copy.body["boot"]])
            if not is_plausible(instant, copy.received_at):
                counts["implausible"] += 1
            elif (copy.device, copy.content) in seen:
                counts["duplicate"] += 1
            else:
                seen.add((copy.device, copy.content))
                counts["late" if copy.received_at - instant > HOUR else "accepted"] += 1
    return counts


def judge(
    messages: list[dict[str, Any]], registry: dict[str, Any], until_ms: int, pulses: str = "events"
) -> dict[str, Any]:
    """The report of "Judging by file".

    Parameters
    ----------
    messages
        Message lines ``{"received_at", "topic", "payload"}`` in order of receipt; all of them are the set,
        also those received after `until_ms`.
    registry
        As in "Judging by file"; a household may also carry ``"verified": [ms, ...]``.
    until_ms
        The last instant the report speaks about.
    pulses
        ``"events"`` evaluates the pulses at which an answer may change, ``"all"`` really every second.
    """
    site_by_device = {device["id"]: device["site"] for device in registry["devices"]}
    read = [copy for line in messages for copy in read_line(line, site_by_device)]
    stream = Stream([copy for copy in read if copy is not None], registry)
    report: dict[str, Any] = {"effective": [], "checks": [], "announced": [], "not_known": []}
    for entry in registry["households"]:
        if not entry.get("consent", True):
            continue
        house = house_of(entry)
        effective, checks = history(stream.view(house, FOREVER), until_ms)
        announced, not_known = live(stream, house, until_ms, pulses)
        report["effective"] += effective
        report["checks"] += checks
        report["announced"] += announced
        report["not_known"] += not_known
    report["admission"] = count_admission(read)
    return in_order(report)


def in_order(report: dict[str, Any]) -> dict[str, Any]:
    """The same report with every list in its one order, so that two reports can be compared."""
    return {
        "effective": sorted(report["effective"], key=lambda x: (x["at"], x["household"], x["stage"])),
        "checks": sorted(report["checks"], key=lambda x: (x["at"], x["household"], x["step"])),
        "announced": sorted(
            report["announced"], key=lambda x: (x["at"], x["household"], x["stage"], x["announced_at"])
        ),
        "not_known": sorted(report["not_known"], key=lambda x: (x["from"], x["household"])),
        "admission": report["admission"],
    }
