"""A seed or Hypothesis' choices enter; small, nasty wire streams with a registry and an end leave.

A case is ``(messages, registry, until_ms)`` as `kaimen replay --wire` takes it. `random_case(seed)` is for
long runs from seeds, `wire_cases()` the same generator under Hypothesis, `plain_streams()` a smaller one
that shrinks to something a person can read. Two time scales: ``"minutes"`` (thresholds of a minute or so,
short enough to look at every second) and ``"days"`` (the mandated thresholds, lateness up to 50 days).

Left out on purpose, because the text leaves them open: two heartbeats of one boot with equal position and
`up` but different content, two contents of one `seq` with equal `up`, a message at `up` 0, a tamper event
at the very instant of a door event, lines received after the end (ask for them with `lines_after_until`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import strategies as st

Message = dict[str, Any]
Case = tuple[list[Message], dict[str, Any], int]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EPOCH = 1_763_712_000_000  # a whole second; nothing else about it matters


def topic_for(site: str, device: str, channel: str) -> str:
    digits = hashlib.sha256(site.encode()).hexdigest()
    return f"kaimen/v1/{digits[0]}/{digits[1]}/{site}/{device}/{channel}"


@dataclass(frozen=True)
class Scale:
    """How long things take; all spans in milliseconds, (least, most)."""

    name: str
    span: tuple[int, int]
    heartbeat: tuple[int, int]
    boot: tuple[int, int]
    outage: tuple[int, int]
    pause: list[tuple[int, int]]  # between two happenings at a door
    late: list[tuple[int, int]]
    thresholds_s: list[list[int]]
    clock_error: int


MINUTES = Scale(
    name="minutes",
    span=(6 * MINUTE, 22 * MINUTE),
    heartbeat=(5 * SECOND, 60 * SECOND),
    boot=(2 * MINUTE, 15 * MINUTE),
    outage=(0, 6 * MINUTE),
    pause=[(SECOND, 40 * SECOND), (30 * SECOND, 3 * MINUTE), (2 * MINUTE, 9 * MINUTE)],
    late=[(0, 3 * SECOND), (5 * SECOND, 90 * SECOND), (MINUTE, 12 * MINUTE)],
    thresholds_s=[[60, 120, 180], [30, 90, 200], [120, 240, 360], [60], [45, 300], [1, 2, 3]],
    clock_error=3 * MINUTE,
)
DAYS = Scale(
    name="days",
    span=(2 * DAY, 12 * DAY),
    heartbeat=(HOUR, 7 * HOUR),
    boot=(8 * HOUR, 8 * DAY),
    outage=(0, 3 * DAY),
    pause=[(5 * MINUTE, 9 * HOUR), (5 * HOUR, 30 * HOUR), (25 * HOUR, 4 * DAY)],
    late=[(0, 3 * SECOND), (MINUTE, 2 * HOUR), (2 * HOUR, 4 * DAY)],
    thresholds_s=[[86_400, 172_800, 259_200], [43_200, 86_400, 129_600], [3_600, 7_200, 10_800], [86_400]],
    clock_error=3 * HOUR,
)
SCALES = {"minutes": MINUTES, "days": DAYS}


@dataclass
class Habits:
    """What this case is nasty about; the rest of it is kept plain so that findings stay readable."""

    scale: Scale
    whole_seconds: bool  # exact ties everywhere
    loss: float
    beat_loss: float
    duplicate: float
    late: float
    clocks: list[str]
    counters: list[str]
    tamper: float
    reused_boot: float
    conflict: float
    implausible: float
    rubbish: float
    relayed: float  # rx set
    batches: float


def habits_from(rng: Random, scale: Scale) -> Habits:
    def sometimes(*values: float) -> float:
        return rng.choice([0.0, *values])

    return Habits(
        scale=scale,
        whole_seconds=rng.random() < 0.5,
        loss=sometimes(0.1, 0.35),
        beat_loss=sometimes(0.1, 0.4),
        duplicate=sometimes(0.1, 0.4),
        late=sometimes(0.1, 0.4),
        clocks=rng.choice(
            [
                ["ntp"],
                ["ntp", "rtc", "unsynced", "waking", "stepping", "wrong"],
                ["rtc", "unsynced"],
                ["stepping"],
            ]
        ),
        counters=rng.choice([["absent"], ["present"], ["absent", "present", "patchy", "wrong"]]),
        tamper=sometimes(0.08, 0.2),
        reused_boot=sometimes(0.3),
        conflict=sometimes(0.06),
        implausible=sometimes(0.04),
        rubbish=sometimes(0.05),
        relayed=sometimes(0.2),
        batches=sometimes(0.3),
    )


@dataclass
class Device:
    id: str
    site: str
    heartbeat: int
    supervision_s: int
    registered: bool = True


@dataclass
class Clock:
    """One boot's clock: what `ts` and `clk` say at a true instant."""

    kind: str
    error: int
    turns_at: int  # true instant from which a waking or stepping clock is another
    step: int

    def read(self, now: int, up: int) -> tuple[int, str]:
        turned = now >= self.turns_at
        if self.kind == "unsynced" or (self.kind == "waking" and not turned):
            return up + self.error, "unsynced"
        if self.kind == "rtc":
            return now + self.error, "rtc"
        if self.kind == "wrong":
            return now + self.error, "ntp"
        return now + (self.step if self.kind == "stepping" and turned else 0), "ntp"


@dataclass
class Boot:
    id: str
    start: int
    clock: Clock
    counter: str
    skew: int
    seq: int = 0
    last_up: int = 0


@dataclass
class Door:
    """A device that lives through the case and the messages that leave it."""

    rng: Random
    habits: Habits
    device: Device
    creds: list[str]
    opens: int
    made: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)  # (true instant, kind, body)

    def between(self, bounds: tuple[int, int]) -> int:
        value = self.rng.randint(*bounds)
        return value // SECOND * SECOND if self.habits.whole_seconds else value

    def live(self, begin: int, end: int) -> None:
        start = begin - self.between((0, self.habits.scale.outage[1]))
        known: list[str] = []
        while start < end:
            stop = start + self.between(self.habits.scale.boot)
            reuse = bool(known) and self.rng.random() < self.habits.reused_boot
            boot_id = self.rng.choice(known) if reuse else f"{self.rng.getrandbits(64):016x}"
            known.append(boot_id)
            # odd `up`s keep a reused boot id from repeating (position, up) with another content
            skew = 13 * len(known) if reuse else 0
            counter = self.rng.choice(self.habits.counters)
            self.live_boot(Boot(boot_id, start, self.clock(start, stop), counter, skew), stop)
            start = stop + (self.between(self.habits.scale.outage) if self.rng.random() < 0.6 else 0)
        self.made = [one for one in self.made if begin <= one[0] <= end]

    def clock(self, start: int, stop: int) -> Clock:
        kind = self.rng.choice(self.habits.clocks)
        if kind == "wrong":
            error = self.rng.choice([299 * SECOND, 301 * SECOND, 10 * MINUTE, -3 * MINUTE])
        else:
            error = self.between((-self.habits.scale.clock_error, self.habits.scale.clock_error))
        step = self.rng.choice([-90, -20, 20, 119, 120, 121, 400, 3_600, 3_601, 7_200, -400]) * SECOND
        return Clock(kind, error, self.between((start, stop)), step)

    def live_boot(self, boot: Boot, stop: int) -> None:
        beat_at = boot.start + self.between((1, self.device.heartbeat)) + SECOND
        door_at = boot.start + self.pause()
        while min(beat_at, door_at) < stop:
            if beat_at <= door_at:
                self.beat(boot, beat_at)
                beat_at += self.device.heartbeat
            else:
                self.happen(boot, door_at)
                door_at += self.pause()

    def pause(self) -> int:
        return max(SECOND, self.between(self.rng.choice(self.habits.scale.pause)))

    def head(self, boot: Boot, now: int) -> dict[str, Any]:
        up = max(now - boot.start + boot.skew, boot.last_up + 1, 1)
        boot.last_up = up
        ts, clk = boot.clock.read(now, up)
        return {"v": 1, "boot": boot.id, "ts": ts, "up": up, "clk": clk, **self.counter(boot)}

    def counter(self, boot: Boot) -> dict[str, Any]:
        if boot.counter == "absent":
            return self.rng.choice([{}, {"opens": None}])
        if boot.counter == "patchy" and self.rng.random() < 0.4:
            return {}
        off = self.rng.choice([-2, -1, 1, 2]) if boot.counter == "wrong" and self.rng.random() < 0.15 else 0
        return {"opens": max(0, self.opens + off)}

    def beat(self, boot: Boot, now: int) -> None:
        if self.rng.random() < 0.02:
            self.opens += 1  # an edge the device counted and never told
        body = {**self.head(boot, now), "seq_last": boot.seq, "unsent": 0, "first_seq": 1, "fw": "1.4.2"}
        self.made.append((now, "heartbeat", body))

    def event(self, boot: Boot, now: int, kind: str, **more: Any) -> None:
        boot.seq += 1
        body = {
            **self.head(boot, now),
            "seq": boot.seq,
            "hist": False,
            "door": self.device.id,
            "type": kind,
            **more,
        }
        self.made.append((now, "event", body))

    def happen(self, boot: Boot, now: int) -> None:
        if self.rng.random() < self.habits.tamper:
            self.event(boot, now + 7, self.rng.choice(["DoorTamper", "DoorFault"]))
            return
        act = self.rng.choice(
            ["in", "in", "in", "out", "out", "guest", "force", "refused", "other", "office"]
        )
        cred = self.rng.choice(self.creds)
        wait = self.rng.choice([0, 1, 2, 29, 30, 31]) * SECOND + self.rng.choice([0, 0, 1, -1]) % 1_000
        if act == "in":
            if self.rng.random() < 0.5:
                self.event(boot, now, "AccessGranted", cred=cred, method="card")
            if self.rng.random() < 0.6:
                self.event(
                    boot, now, "AccessTaken", cred=cred, method=self.rng.choice(["card", "face", None])
                )
            self.open(boot, now + self.rng.choice([0, SECOND, 3 * SECOND]))
        elif act == "out":
            self.open(boot, now)
        elif act == "guest":
            self.event(boot, now, self.rng.choice(["AccessGranted", "AccessTaken"]), cred=cred)
            self.open(boot, now + wait)
        elif act == "office":
            self.event(boot, now, self.rng.choice(["AccessGranted", "AccessTaken"]), method="remote_office")
            self.open(boot, now + wait)
        elif act == "force":
            gap = self.rng.choice([0, 1, 9, 10, 11]) * SECOND
            if self.rng.random() < 0.5:
                self.event(boot, now, "DoorForcedOpen")
                self.open(boot, now + gap)
            else:
                self.open(boot, now, closes=False)
                self.event(boot, now + gap, "DoorForcedOpen")
        elif act == "refused":
            self.event(boot, now, self.rng.choice(["Denied", "AccessNotTaken", "AccessGranted"]), cred=cred)
        else:
            self.event(boot, now, self.rng.choice(["Motion", "Whistle", "BatteryLow", "LockPhysicalState"]))

    def open(self, boot: Boot, now: int, closes: bool = True) -> None:
        self.opens += 1
        self.event(boot, now, "DoorPhysicalState", state="Open")
        if closes and self.rng.random() < 0.8:
            self.event(boot, now + self.rng.choice([1, 4, 20]) * SECOND, "DoorPhysicalState", state="Closed")


RUBBISH: list[Any] = [
    {"seq": 0},
    {"seq": "7"},
    {"seq": None},
    {"boot": "9f2c"},
    {"boot": None},
    {"clk": "gps"},
    {"ts": "yesterday"},
    {"up": -5},
    {"type": None},
    "offline",
    17,
]


def spoil(rng: Random, body: dict[str, Any]) -> Any:
    wrong = rng.choice([one for one in RUBBISH if not isinstance(one, dict) or one.keys() <= body.keys()])
    return {**body, **wrong} if isinstance(wrong, dict) else wrong


@dataclass
class Post:
    """What carries messages from the doors to the recording: late, twice, out of order, or not at all."""

    rng: Random
    habits: Habits
    end: int
    very_late: bool
    lines: list[Message] = field(default_factory=list)

    def delay(self) -> int:
        if self.rng.random() >= self.habits.late:
            least, most = self.habits.scale.late[0]
        else:
            least, most = self.rng.choice(self.habits.scale.late[1:])
        value = self.rng.randint(least, most)
        return value // SECOND * SECOND if self.habits.whole_seconds else value

    def put(self, door: Door, channel: str, payload: Any, at: int) -> None:
        device = door.device
        topic = topic_for(device.site, device.id, channel)
        if self.rng.random() < self.habits.rubbish / 4:
            topic = self.rng.choice(
                [
                    topic_for("elsewhere", device.id, channel),
                    topic.replace("/v1/", "/v1/g/", 1),
                    topic_for(device.site, "nobody-" + device.id, channel),
                ]
            )
        line = {"received_at": at, "topic": topic, "payload": payload}
        self.lines.append(json.loads(json.dumps(line)))

    def relay(self, body: dict[str, Any], at: int) -> tuple[dict[str, Any], int]:
        """Sometimes an edge took it first, and the line is later."""
        if self.rng.random() >= self.habits.relayed:
            return body, at
        later = at + self.delay()
        return {**body, "rx": self.rng.choice([at, at, later + SECOND])}, later

    def carry(self, door: Door, now: int, kind: str, body: dict[str, Any]) -> None:
        channel = "evt" if kind == "event" else "hb"
        lost = self.rng.random() < (self.habits.loss if kind == "event" else self.habits.beat_loss)
        copies = (0 if lost else 1) + (self.rng.random() < self.habits.duplicate)
        for number in range(copies):
            at = now + self.delay()
            if self.very_late and self.rng.random() < self.habits.implausible:
                at = now + self.rng.choice([44 * DAY, 45 * DAY, 45 * DAY + 1, 50 * DAY])
            sent, at = self.relay({**body, "hist": number > 0} if kind == "event" else body, at)
            self.put(
                door, channel, spoil(self.rng, sent) if self.rng.random() < self.habits.rubbish else sent, at
            )

    def carry_conflict(self, door: Door, now: int, body: dict[str, Any]) -> None:
        """Another content under the same (boot, seq), never with the same `up`."""
        shift = self.rng.randint(3, 900)
        other = {**body, "up": body["up"] + shift, "ts": body["ts"] + shift}
        other["type"], other["state"] = self.rng.choice(
            [
                ("DoorPhysicalState", "Open"),
                ("DoorPhysicalState", "Closed"),
                ("Motion", None),
                ("AccessTaken", None),
            ]
        )
        self.put(door, "evt", other, now + self.delay())

    def carry_batch(self, door: Door) -> None:
        """A stretch of one boot's events once more, from storage."""
        events = [(now, body) for now, kind, body in door.made if kind == "event"]
        if not events:
            return
        boot = self.rng.choice(events)[1]["boot"]
        own = sorted((one for one in events if one[1]["boot"] == boot), key=lambda one: one[1]["seq"])
        first = self.rng.randrange(len(own))
        chosen = own[first : first + self.rng.randint(1, 6)]
        batch: list[Any] = [{**body, "hist": True} for _, body in chosen]
        if self.rng.random() < self.habits.rubbish * 4:
            batch[0] = spoil(self.rng, batch[0])
        if self.rng.random() < self.habits.rubbish * 2:
            batch.reverse()
        self.put(door, "evb", batch, max(now for now, _ in chosen) + self.delay())

    def carry_all(self, door: Door) -> None:
        for now, kind, body in door.made:
            self.carry(door, now, kind, body)
            if kind == "event" and self.rng.random() < self.habits.conflict:
                self.carry_conflict(door, now, body)
        while self.rng.random() < self.habits.batches:
            self.carry_batch(door)

    def recording(self) -> list[Message]:
        """In order of receipt; lines of one instant in any order."""
        self.rng.shuffle(self.lines)
        return sorted(self.lines, key=lambda line: line["received_at"])


def devices_from(rng: Random, scale: Scale) -> list[Device]:
    devices = []
    for number in range(rng.randint(1, 3)):
        heartbeat = rng.randint(*scale.heartbeat) // SECOND * SECOND
        supervision_s = rng.choice([1, 2, 3, 3, 5]) * heartbeat // SECOND
        devices.append(Device(f"d-{number}", rng.choice(["north", "south-2"]), heartbeat, supervision_s))
    if rng.random() < 0.3:
        devices.append(Device("d-new", "north", devices[0].heartbeat, 60, registered=False))
    return devices


CREDS = [
    {"cred": "c_own", "class": "resident", "household": "h-0"},
    {"cred": "c_next", "class": "resident", "household": "h-1"},
    {"cred": "c_staff", "class": "staff", "household": None},
    {"cred": "c_guard", "class": "guard"},
    {"cred": "c_guest", "class": "visitor", "household": "h-0"},
]


def window_from(rng: Random, begin: int, end: int) -> dict[str, int]:
    since, until = sorted(rng.randint(begin, end) for _ in range(2))
    if rng.random() < 0.5:
        since, until = since // SECOND * SECOND, until // SECOND * SECOND
    return rng.choice([{}, {"from": since}, {"to": until}, {"from": since, "to": until}])


def doors_from(rng: Random, devices: list[Device], begin: int, end: int) -> list[Any]:
    chosen = rng.sample(devices, rng.randint(1, min(3, len(devices))))
    doors: list[Any] = []
    for number, device in enumerate(chosen):
        role = "dwelling" if number == 0 or rng.random() < 0.5 else "shared"
        if role == "dwelling" and rng.random() < 0.5:
            doors.append(device.id)
        else:
            doors.append({"device": device.id, "role": role, **window_from(rng, begin, end)})
    return doors


def absences_from(rng: Random, watched_from: int, begin: int, end: int) -> list[dict[str, int]]:
    absences = []
    for _ in range(rng.choice([0, 0, 1, 2, 3])):
        since = rng.choice([watched_from, rng.randint(begin, end), rng.randint(begin, end)])
        length = rng.choice([(end - begin) // 8, (end - begin) // 3, (end - begin), 0, -SECOND, 90 * DAY + 1])
        absences.append({"from": since, "to": since + length})
    return absences


def households_from(rng: Random, scale: Scale, devices: list[Device], begin: int, end: int) -> list[Message]:
    households = []
    for number in range(rng.randint(1, 3)):
        watched_from = begin + rng.choice([0, 0, rng.randint(-(end - begin) // 4, (end - begin) // 2)])
        household: Message = {
            "id": f"h-{number}",
            "site": devices[0].site,
            "doors": doors_from(rng, devices, begin, end),
            "thresholds_s": rng.choice(scale.thresholds_s),
            "watched_from": watched_from,
            "absences": absences_from(rng, watched_from, begin, end),
            "consent": rng.random() < 0.9,
        }
        if scale.name == "days" and rng.random() < 0.2:
            del household["thresholds_s"]
        households.append(household)
    return households


def case_from(
    rng: Random, scale: str | None = None, *, very_late: bool = True, lines_after_until: bool = False
) -> Case:
    """One case from any source of chance; `scale` is "minutes", "days" or either."""
    chosen = SCALES[scale or rng.choice(["minutes", "days"])]
    habits = habits_from(rng, chosen)
    begin = EPOCH + rng.choice([0, 1, rng.randint(0, DAY)])
    end = begin + rng.randint(*chosen.span)
    devices = devices_from(rng, chosen)
    creds = rng.sample(CREDS, rng.randint(0, len(CREDS)))
    tokens = rng.choice(
        [["c_own"], ["c_own", "c_staff"], ["c_own", "c_next", "c_staff", "c_guard", "c_guest", "c_x"]]
    )
    post = Post(rng, habits, end, very_late and chosen is DAYS)
    for device in devices:
        door = Door(rng, habits, device, tokens, rng.randint(0, 5_000))
        door.live(begin, end)
        post.carry_all(door)
    messages = post.recording()
    last = max([end, *(line["received_at"] for line in messages)])
    until = last + rng.choice([0, 1, SECOND, rng.randint(0, (end - begin) // 4)])
    if lines_after_until and rng.random() < 0.3:
        until = rng.randint(begin, last)
    registry: Message = {
        "devices": [
            {"id": device.id, "site": device.site, "supervision_s": device.supervision_s}
            for device in devices
            if device.registered
        ],
        "creds": creds,
        "households": households_from(rng, chosen, devices, begin, end),
    }
    if not creds and rng.random() < 0.5:
        del registry["creds"]
    return messages, registry, until


def random_case(
    seed: int, scale: str | None = None, *, very_late: bool = True, lines_after_until: bool = False
) -> Case:
    """The same case for the same arguments, always."""
    return case_from(Random(seed), scale, very_late=very_late, lines_after_until=lines_after_until)


def wire_cases(scale: str | None = None, **options: bool) -> st.SearchStrategy[Case]:
    """`random_case` with Hypothesis choosing the seed."""
    return st.integers(0, 2**32).map(lambda seed: random_case(seed, scale, **options))


# --------------------------------------------------------------------------------------------------
# A smaller generator that shrinks well: one door, one household, a list of acts
# --------------------------------------------------------------------------------------------------

ACTS = [
    "beat",
    "open",
    "closed",
    "taken",
    "staff",
    "forced",
    "tamper",
    "motion",
    "uncounted",
    "restart",
    "wait",
]
EVENTS: dict[str, dict[str, Any]] = {
    "open": {"type": "DoorPhysicalState", "state": "Open"},
    "closed": {"type": "DoorPhysicalState", "state": "Closed"},
    "taken": {"type": "AccessTaken", "cred": "c_own"},
    "staff": {"type": "AccessGranted", "cred": "c_staff"},
    "forced": {"type": "DoorForcedOpen"},
    "tamper": {"type": "DoorTamper"},
    "motion": {"type": "Motion"},
}


@st.composite
def plain_streams(draw: st.DrawFn) -> Case:
    """One device with a sound clock; each act comes so many seconds after the last, and may be lost or late."""
    counted = draw(st.booleans())
    acts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(ACTS),
                st.integers(1, 200),  # seconds since the act before
                st.sampled_from([0, 0, 0, 1, 90, 600, None]),  # seconds to its receipt; None: lost
            ),
            max_size=30,
        )
    )
    now, start, boots, seq, opens = EPOCH, EPOCH, 1, 0, 10
    messages: list[Message] = []
    for act, pause, delay in acts:
        now += pause * SECOND
        opens += act in ("open", "uncounted")
        if act == "restart":
            start, boots, seq = now, boots + 1, 0
        if act in ("restart", "wait", "uncounted"):
            continue
        body = {"v": 1, "boot": f"{boots:016x}", "ts": now, "up": now - start, "clk": "ntp"}
        if counted:
            body["opens"] = opens
        if act == "beat":
            body["seq_last"] = seq
        else:
            seq += 1
            body |= {"seq": seq, "hist": False, "door": "d-0", **EVENTS[act]}
        if delay is not None:
            topic = topic_for("north", "d-0", "hb" if act == "beat" else "evt")
            messages.append({"received_at": now + delay * SECOND, "topic": topic, "payload": body})
    household = {
        "id": "h-0",
        "site": "north",
        "doors": ["d-0"],
        "thresholds_s": draw(st.sampled_from([[60, 120, 180], [100], [30, 400]])),
        "watched_from": EPOCH + draw(st.sampled_from([0, 0, 90_500])),
        "absences": [
            {"from": EPOCH + since * SECOND, "to": EPOCH + (since + length) * SECOND}
            for since, length in draw(
                st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900)), max_size=2)
            )
        ],
        "consent": True,
    }
    registry = {
        "devices": [{"id": "d-0", "site": "north", "supervision_s": draw(st.sampled_from([60, 180]))}],
        "creds": [{"cred": "c_staff", "class": "staff"}],
        "households": [household],
    }
    messages.sort(key=lambda line: line["received_at"])
    last = max([now, *(line["received_at"] for line in messages)])
    return messages, registry, last + draw(st.integers(0, 400)) * SECOND
