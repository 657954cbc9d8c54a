"""The events of a turn enter, inside its transaction; presence, homecomings, signals and their ends are written.

Episodes are judged from the stored events around the new ones, so that what is told depends on the set of events
alone. What is kept in memory (the newest signs of each home) is disposable and rebuilt after every failure.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from ingest import metrics
from ingest.detector.packed import PackedEvents
from ingest.detector.state import AWAKE_MAX
from ingest.presence import (
    MEMORY_MS,
    ONE_HOMECOMING_MS,
    Home,
    Homecoming,
    Homes,
    Presence,
    judge_home,
    next_look_ms,
)
from ingest.presence import (
    TYPES as SIGN_TYPES,
)
from ingest.rows.registry_reader import changes_mark, load_changes
from ingest.signals import sweep
from ingest.signals.batteries import Batteries
from ingest.signals.dues import Dues
from ingest.signals.episodes import (
    BEGINNING_TYPES,
    Begin,
    DeviceEvent,
    Pass,
    Told,
    find_episodes,
    reconcile,
)
from ingest.signals.facts import write_battery, write_begin, write_end
from kaimen import wire
from kaimen.clock import as_datetime, as_ms
from kaimen.database import Connection, notify, queries
from kaimen.logs import get_logger
from kaimen.policy import DAY_MS, HOUR_MS, MINUTE_MS
from kaimen.vocabulary import Absence, Credential, CredentialClass, DoorBinding, DoorRole, EventType

log = get_logger()
_SQL = queries("ingest.signals")
_encoder = msgspec.json.Encoder()

#: Stored events looked at around a new one: an episode and its neighbours lie within.
AROUND_MS = DAY_MS
#: Events that begin episodes read of one device at once, the newest; words about the door are looked up for each.
DEVICE_EVENTS_MAX = 1_000
#: After a start, devices with something to judge in this time are judged again.
JUDGED_AGAIN_MS = 2 * DAY_MS
_ROWS_AT_ONCE = 10_000
#: Homes and devices that changes are followed one by one for; of more everything is read.
CHANGES_MAX = 5_000
#: After the database refused something of ours: how long to leave it alone.
RETRY_MS = 10 * MINUTE_MS
#: Where more homes than so many changed, they are judged together once in so long: of a crowd of doors each speaks
#: in many turns, and to go through a home's signs anew for each of them would be most of the work.
PROMPT_HOMES_MAX, TOGETHER_MS = 50, 1_000
#: After a start so many homes are judged in a turn, and the others in the next ones.
FIRST_PER_TURN = 1_000
#: Homecomings are kept no longer.
HOMECOMINGS_KEPT_MS = 45 * DAY_MS
_LATCHED = frozenset({"DoorForcedOpen", "DoorOpenTooLong", "DoorTamper", "DoorFault"})
_ACCESS = frozenset({"AccessGranted", "AccessTaken", "Denied"})


class Heard(NamedTuple):
    """A plausible event of this turn at its instant."""

    device_id: str
    event: wire.Event
    at_ms: int


class HeardArray(NamedTuple):
    """Plausible events of one boot of a device, at their ``ts``, ascending."""

    device_id: str
    boot: str
    events: PackedEvents

    def one_by_one(self) -> list[Heard]:
        return [Heard(self.device_id, event, event.ts) for event in self.events.said(self.boot)]


@dataclass(frozen=True, slots=True)
class DoorTurn:
    """What a turn has for this store: events, when devices were heard, which households became known or not, and what
    heartbeats said of batteries (instant of receipt, percent)."""

    now_ms: int
    events: Sequence[Heard] = ()
    arrays: Sequence[HeardArray] = ()
    heard_ms: Mapping[str, int] = field(default_factory=dict)
    known: Mapping[str, bool] = field(default_factory=dict)
    batteries: Mapping[str, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Register:
    """The registry of the shard group as the turn has it."""

    device_no: Mapping[str, int]
    household_no: Mapping[str, int]
    credentials: Mapping[str, Credential]
    #: The group's sites; None: all there are.
    sites: list[str] | None = None


def boot_number(boot: str) -> int:
    number = int(boot, 16)
    return number - (1 << 64) if number >= 1 << 63 else number


def boot_text(number: int) -> str:
    return f"{number & ((1 << 64) - 1):016x}"


class DoorFacts:
    """Presence and signals of one shard group."""

    def __init__(self, *, awake_max: int = AWAKE_MAX) -> None:
        self._awake_max = awake_max
        self._token: int | None = None
        self._retry_ms: int | None = None
        self.forget()

    def forget(self) -> None:
        """Throw away what is in memory: it is built again at the next turn."""
        self._homes: Homes | None = None
        self._register: Register | None = None
        self._registry_id = -1
        self._mark = "0"
        #: What a start found to be judged, and to be forgotten.
        self._start_triggers: dict[str, tuple[int, int]] = {}
        self._start_gone: list[str] = []
        #: Homes that wait for their first judgement after a start, the last of them the next.
        self._first: list[str] = []
        self._known: dict[str, bool] = {}
        self._written: dict[str, Presence] = {}
        self._homecomings: set[str] = set()
        self._standing: dict[str, int] = {}
        self._dues = Dues()
        self._batteries = Batteries()
        self._swept_hour = -1
        self._looks: list[tuple[int, str]] = []
        self._judged_ms = 0

    def prepare(
        self,
        connection: Connection,
        register: Register,
        *,
        now_ms: int,
        token: int,
        alive: Callable[[], None],
    ) -> None:
        """Read what a start needs before there is a turn, whose transaction the server ends with the lease."""
        self.forget()
        self._token = token
        with connection.transaction():
            self._start(connection, register, now_ms, alive)

    def write(self, connection: Connection, register: Register, turn: DoorTurn, *, token: int) -> None:
        """Write what a turn means; a refusal of the database is counted and never stops the turn.

        Call it last in the turn's transaction: the events are stored already.
        """
        if token != self._token:
            self.forget()
            self._token = token
        if self._retry_ms is not None and turn.now_ms < self._retry_ms:
            return
        try:
            with connection.transaction():
                self._write(connection, register, turn)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            # The elders' rule must go on; a household deleted under us is gone from the registry at the next try.
            log.error("presence and signals were refused", error=type(error).__name__)
            metrics.DOOR_FACTS_REFUSED.inc()
            self.forget()
            self._retry_ms = turn.now_ms + RETRY_MS
        else:
            self._retry_ms = None

    def _write(self, connection: Connection, register: Register, turn: DoorTurn) -> None:
        newest_id, over, listed = _look_up(connection, turn, register)
        triggers = self._look_after_registry(connection, register, turn.now_ms, newest_id)
        assert self._homes is not None
        self._homes.listed = listed
        for heard in turn.events:
            self._homes.take(heard.device_id, heard.event, heard.at_ms)
        for array in turn.arrays:
            self._homes.take_array(array.device_id, array.boot, array.events)
        for device_id, heard_ms in turn.heard_ms.items():
            self._homes.hear(device_id, min(heard_ms, turn.now_ms))
        for household_id, known in turn.known.items():
            if self._known.get(household_id) != known:
                self._known[household_id] = known
                self._homes.changed.add(household_id)
        self._add_triggers(turn.events, over, triggers)
        for array in turn.arrays:
            if self._may_trigger(array, over):
                self._add_triggers(array.one_by_one(), over, triggers)
        while self._looks and self._looks[0][0] <= turn.now_ms:
            _, device_id = heapq.heappop(self._looks)
            triggers.setdefault(device_id, (turn.now_ms, turn.now_ms))
        written = 0
        for device_id, (from_ms, to_ms) in sorted(triggers.items()):
            written += self._judge(connection, register, device_id, from_ms, to_ms, turn.now_ms)
        self._write_presences(connection, turn.now_ms)
        self._homes.kept.rest()
        hour = turn.now_ms // HOUR_MS
        if hour != self._swept_hour:
            self._swept_hour = hour
            written += sweep.sweep_batteries(
                connection, self._batteries, sites=register.sites, now_ms=turn.now_ms
            )
            written += sweep.sweep_dwellings(
                connection, register.household_no, sites=register.sites, now_ms=turn.now_ms
            )
            before = as_datetime(turn.now_ms - HOMECOMINGS_KEPT_MS)
            connection.execute(_SQL["forget_homecomings"], {"before": before})
        written += self._write_batteries(connection, register, turn)
        if written:
            notify(connection, "kaimen_happenings")

    # -- registry and rebuild -------------------------------------------------------------------------------

    def _look_after_registry(
        self, connection: Connection, register: Register, now_ms: int, newest_id: int
    ) -> dict[str, tuple[int, int]]:
        """Read the registry where it changed, everything at a start; return the devices to judge for that."""
        if self._homes is None:
            self._start(connection, register, now_ms)
        assert self._homes is not None
        triggers, self._start_triggers = self._start_triggers, {}
        if self._start_gone:
            connection.execute(_SQL["forget_presence"], {"ids": self._start_gone})
            self._start_gone = []
        same_credentials = self._register is not None and self._register.credentials is register.credentials
        if newest_id == self._registry_id and same_credentials:
            return triggers
        self._registry_id, self._register = newest_id, register
        mark, before = changes_mark(connection), self._mark
        self._mark = mark
        touched = _touched(connection, self._homes, before)
        if touched is None or not same_credentials:
            self._take_over(connection, register, load_homes(connection, register, now_ms=now_ms), now_ms)
        elif touched:
            found = load_homes(connection, register, now_ms=now_ms, household_ids=sorted(touched))
            self._take_changes(connection, register, {key: found.get(key) for key in touched}, now_ms)
        return triggers

    def _start(
        self,
        connection: Connection,
        register: Register,
        now_ms: int,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Read everything; what is to be written for it waits for a turn."""
        self._mark = changes_mark(connection)  # first: what changes from here on is looked at again
        self._registry_id, _, _ = _look_up(connection, DoorTurn(now_ms), register)
        self._register = register
        homes = load_homes(connection, register, now_ms=now_ms, alive=alive)
        self._homes = Homes(homes, register.credentials, awake_max=self._awake_max)
        self._known = {
            row["household_id"]: row["known"]
            for row in _stream(connection, "load_known", {"sites": register.sites}, alive)
        }
        since = {"since": as_datetime(now_ms - MEMORY_MS - DAY_MS), "sites": register.sites}
        keys = connection.execute(_SQL["load_homecoming_keys"], since).fetchall()
        self._homecomings = {row["key"] for row in keys}
        self._standing = {
            row["device_id"]: as_ms(row["at"])
            for row in connection.execute(_SQL["standing_devices"], {"sites": register.sites}).fetchall()
        }
        self._load_signs(connection, register, homes, now_ms)
        self._start_gone = [
            row["household_id"]
            for row in _stream(connection, "load_presence", {"sites": register.sites})
            if row["household_id"] in register.household_no and row["household_id"] not in homes
        ]
        self._start_triggers = self._recent_triggers(connection, register, now_ms)

    def _forget_gone(self, connection: Connection) -> None:
        assert self._homes is not None
        gone = [household_id for household_id in self._written if household_id not in self._homes.homes]
        for household_id in gone:
            del self._written[household_id]
        if gone:
            connection.execute(_SQL["forget_presence"], {"ids": gone})

    def _take_over(
        self, connection: Connection, register: Register, homes: dict[str, Home], now_ms: int
    ) -> None:
        """Go on with a changed registry; what is stored of new homes, and of other doors, is heard now."""
        assert self._homes is not None
        before = self._homes.homes
        other = {
            key: home
            for key, home in homes.items()
            if key not in before or (before[key].doors, before[key].sensors) != (home.doors, home.sensors)
        }
        for key in other:
            self._homes.kept.drop(key)
        self._homes.replace(homes, register.credentials)
        if other:
            self._load_signs(connection, register, other, now_ms)
        self._forget_gone(connection)

    def _take_changes(
        self, connection: Connection, register: Register, changed: Mapping[str, Home | None], now_ms: int
    ) -> None:
        """Go on with some homes that are others than they were, as ``_take_over`` would with all."""
        assert self._homes is not None
        before = self._homes.homes
        other = {
            key: home
            for key, home in changed.items()
            if home is not None
            and (key not in before or (before[key].doors, before[key].sensors) != (home.doors, home.sensors))
        }
        for key in other:
            self._homes.kept.drop(key)
        self._homes.change(changed)
        if other:
            self._load_signs(connection, register, other, now_ms)
        gone = [
            key for key, home in changed.items() if home is None and self._written.pop(key, None) is not None
        ]
        if gone:
            connection.execute(_SQL["forget_presence"], {"ids": gone})

    def _load_signs(
        self, connection: Connection, register: Register, homes: Mapping[str, Home], now_ms: int
    ) -> None:
        assert self._homes is not None
        devices = {door.device_id for home in homes.values() for door in home.doors}
        sensors = {device_id for home in homes.values() for device_id in home.sensors}
        by_no = {register.device_no[item]: item for item in devices | sensors if item in register.device_no}
        args = {
            "since": as_datetime(now_ms - MEMORY_MS),
            "devices": list(by_no),
            "sites": register.sites,
            "types": list(SIGN_TYPES),
        }
        with connection.cursor(name="load_signs", binary=True, row_factory=tuple_row) as cursor:
            cursor.itersize = 20_000
            cursor.execute(_SQL["load_signs"], args)
            boot, text = None, ""  # one text for all signs of a device's start
            for no, at_ms, number, seq, kind, state, direction, method, credential, is_listed in cursor:
                if number != boot:
                    boot, text = number, boot_text(number)
                event = wire.Event(
                    v=1, boot=text, seq=seq, ts=at_ms, up=0, clk="ntp", type=kind, state=state,
                    dir=direction, method=method, cred=credential,
                )  # fmt: skip
                self._homes.listed = frozenset({credential} if is_listed else ())
                self._homes.take(by_no[no], event, at_ms)
                self._homes.kept.rest()
        inside = [register.device_no[item] for item in sensors if item in register.device_no]
        for row in connection.execute(_SQL["load_heard"], {"devices": inside}).fetchall():
            self._homes.hear(by_no[row["device_no"]], min(row["heard_ms"], now_ms))

    def _recent_triggers(
        self, connection: Connection, register: Register, now_ms: int
    ) -> dict[str, tuple[int, int]]:
        by_no = {no: device_id for device_id, no in register.device_no.items()}
        args = {
            "since": as_datetime(now_ms - JUDGED_AGAIN_MS),
            "sites": register.sites,
            "types": list(BEGINNING_TYPES),
        }
        rows = connection.execute(_SQL["recent_triggers"], args).fetchall()
        found = {
            by_no[row["device_no"]]: (as_ms(row["first_at"]), as_ms(row["last_at"]))
            for row in rows
            if row["device_no"] in by_no
        }
        for device_id in self._standing:
            if device_id in register.device_no:
                found.setdefault(device_id, (now_ms, now_ms))
        return found

    # -- signals --------------------------------------------------------------------------------------------

    def _may_trigger(self, array: HeardArray, over: Mapping[str, int]) -> bool:
        """Say whether anything in an array may begin or end an episode."""
        return array.device_id in self._standing or any(
            words[0] in BEGINNING_TYPES or (words[0] in _ACCESS and words[4] in over)
            for words in array.events.words
        )

    def _add_triggers(
        self, events: Sequence[Heard], over: Mapping[str, int], triggers: dict[str, tuple[int, int]]
    ) -> None:
        """Note which devices said something that may begin or end an episode, and when.

        ``over`` says of credentials that have an end when it is.
        """
        for heard in events:
            event, at_ms = heard.event, heard.at_ms
            begins = event.type in BEGINNING_TYPES
            used = (
                bool(over)
                and event.type in _ACCESS
                and event.cred is not None
                and over.get(event.cred, at_ms + 1) <= at_ms
            )
            ends = (
                bool(self._standing)
                and event.type == EventType.DOOR_PHYSICAL_STATE
                and heard.device_id in self._standing
            )
            if begins or used or ends:
                low, high = triggers.get(heard.device_id, (at_ms, at_ms))
                triggers[heard.device_id] = (min(low, at_ms), max(high, at_ms))

    def _judge(
        self,
        connection: Connection,
        register: Register,
        device_id: str,
        from_ms: int,
        to_ms: int,
        now_ms: int,
    ) -> int:
        since_ms = min(from_ms, self._standing.get(device_id, from_ms)) - AROUND_MS
        events = load_device_events(connection, register.device_no[device_id], since_ms, to_ms + AROUND_MS)
        passes = load_passes(connection, events)
        told = [
            Told(row["key"], row["ended"])
            for row in connection.execute(
                _SQL["told_signals"], {"device_id": device_id, "since": as_datetime(since_ms - AROUND_MS)}
            ).fetchall()
        ]
        episodes = find_episodes(events, passes)
        for episode in episodes:
            if episode.at_ms > now_ms:
                heapq.heappush(self._looks, (episode.at_ms, device_id))
        news = reconcile(device_id, [episode for episode in episodes if episode.at_ms <= now_ms], told)
        for item in news:
            if isinstance(item, Begin):
                write_begin(connection, device_id, item, now_ms=now_ms)
            else:
                write_end(connection, item, now_ms=now_ms)
        open_ms = [
            episode.events[0].at_ms
            for episode in episodes
            if episode.ended_by is None and episode.events[0].type in _LATCHED
        ]
        if open_ms:
            self._standing[device_id] = min(open_ms)
        else:
            self._standing.pop(device_id, None)
        return len(news)

    def _write_batteries(self, connection: Connection, register: Register, turn: DoorTurn) -> int:
        said = [heard for heard in turn.events if heard.event.type == EventType.BATTERY_LOW]
        for array in turn.arrays:
            if any(words[0] == EventType.BATTERY_LOW for words in array.events.words):
                said += [heard for heard in array.one_by_one() if heard.event.type == EventType.BATTERY_LOW]
        news = [
            *(self._batteries.said(heard.device_id, heard.at_ms, turn.now_ms) for heard in said),
            *(
                self._batteries.measured(device_id, percent, at_ms)
                for device_id, (at_ms, percent) in turn.batteries.items()
                if device_id in register.device_no
            ),
        ]
        found = [item for item in news if item is not None]
        for item in found:
            write_battery(connection, item, now_ms=turn.now_ms)
        return len(found)

    # -- presence -------------------------------------------------------------------------------------------

    def _write_presences(self, connection: Connection, now_ms: int) -> None:
        assert self._homes is not None
        self._homes.changed.update(self._dues.take(now_ms))
        if len(self._homes.changed) > PROMPT_HOMES_MAX and 0 <= now_ms - self._judged_ms < TOGETHER_MS:
            return
        self._judged_ms = now_ms
        changed, self._homes.changed = self._homes.changed, set()
        if len(changed) > FIRST_PER_TURN and not self._first:
            self._first, changed = sorted(changed, reverse=True), set()
        changed.update(self._first[-FIRST_PER_TURN:])
        del self._first[-FIRST_PER_TURN:]
        news: list[tuple[str, Presence]] = []
        for household_id in sorted(changed):
            home = self._homes.homes.get(household_id)
            if home is None:
                continue
            kept = self._homes.signs_of(household_id)
            known = self._known.get(household_id, True)
            presence, homecomings = judge_home(home, kept, known=known, now_ms=now_ms)
            if self._written.get(household_id) != presence:
                news.append((household_id, presence))
            if home.tells:
                self._write_homecomings(connection, homecomings, now_ms)
            self._dues.note(household_id, next_look_ms(home, kept, now_ms))
        if news:
            rows = [
                {
                    "household_id": household_id,
                    "state": presence.state.value,
                    "ground": presence.ground(),
                    "since_ms": presence.since_ms,
                }
                for household_id, presence in news
            ]
            connection.execute(
                _SQL["write_presence"], {"rows": _encoder.encode(rows).decode(), "as_of": as_datetime(now_ms)}
            )
            self._written.update(news)

    def _write_homecomings(
        self, connection: Connection, homecomings: Sequence[Homecoming], now_ms: int
    ) -> None:
        for found in homecomings:
            if found.key in self._homecomings:
                continue
            self._homecomings.add(found.key)
            connection.execute(
                _SQL["write_homecoming"],
                {
                    "key": found.key,
                    "household_id": found.household_id,
                    "at": as_datetime(found.sign.at_ms),
                    "noticed_at": as_datetime(now_ms),
                    "ground": Jsonb({"reason": found.reason.value, **found.sign.ground()}),
                    "apart": timedelta(milliseconds=ONE_HOMECOMING_MS),
                },
            )


def _look_up(
    connection: Connection, turn: DoorTurn, register: Register
) -> tuple[int, dict[str, int], frozenset[str]]:
    """Return what a turn must know beside the group's registry.

    The newest change of the registry; of the credentials in the turn's events when they end, of those that do; and which
    are listed without being the group's to know.
    """
    tokens = {heard.event.cred for heard in turn.events if heard.event.cred and heard.event.type in _ACCESS}
    for array in turn.arrays:
        tokens |= {words[4] for words in array.events.words if words[4] and words[0] in _ACCESS}
    unknown = [] if register.sites is None else sorted(tokens - register.credentials.keys())
    row = connection.execute(_SQL["look_up"], {"tokens": sorted(tokens), "unknown": unknown}).fetchone()
    assert row is not None
    ends = {token: as_ms(end) for token, end in zip(row["tokens"], row["ends"], strict=True)}
    return row["id"], ends, frozenset(row["listed"])


# -- reading ----------------------------------------------------------------------------------------------------


def _stream(
    connection: Connection, name: str, values: Mapping[str, Any], alive: Callable[[], None] = lambda: None
) -> Iterator[dict[str, Any]]:
    """Read through a cursor on the server: a million rows are never in memory at once."""
    with connection.cursor(name=f"doors_{name}", binary=True) as cursor:
        cursor.execute(_SQL[name], values)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            alive()
            yield from rows


def _touched(connection: Connection, homes: Homes, mark: str) -> set[str] | None:
    """Return the homes that changes since a mark may concern; None where they are too many to follow."""
    rows = load_changes(connection, mark, rows_max=CHANGES_MAX + 1)
    if len(rows) > CHANGES_MAX:
        return None
    touched = {row["household_id"] for row in rows} - {None}
    devices = {row["device_id"] for row in rows} - {None}
    touched |= {home for device_id in devices if (home := homes.home_of_sensor(device_id)) is not None}
    around = {"households": sorted(touched), "devices": sorted(devices)}
    return touched | {row["id"] for row in connection.execute(_SQL["load_around"], around).fetchall()}


def load_homes(
    connection: Connection,
    register: Register,
    *,
    now_ms: int,
    household_ids: Sequence[str] | None = None,
    alive: Callable[[], None] = lambda: None,
) -> dict[str, Home]:
    """Read the homes of the shard group whose presence may be derived; some, or all."""
    asked = {
        "households": household_ids,
        "sites": register.sites,
        "since": as_datetime(now_ms - MEMORY_MS),
    }
    doors: dict[str, list[DoorBinding]] = {}
    for row in _stream(connection, "load_doors", asked, alive):
        if row["device_id"] in register.device_no:
            from_ms = None if row["from_at"] is None else as_ms(row["from_at"])
            to_ms = None if row["to_at"] is None else as_ms(row["to_at"])
            binding = DoorBinding(row["device_id"], DoorRole(row["role"]), from_ms, to_ms)
            doors.setdefault(row["household_id"], []).append(binding)
    sensors: dict[str, set[str]] = {}
    for row in _stream(connection, "load_sensors", asked, alive):
        sensors.setdefault(row["household_id"], set()).add(row["device_id"])
    absences: dict[str, list[Absence]] = {}
    for row in _stream(connection, "load_absences", asked, alive):
        span = Absence(as_ms(row["from_at"]), as_ms(row["to_at"]))
        absences.setdefault(row["household_id"], []).append(span)
    homes = {}
    for row in _stream(connection, "load_homes", asked, alive):
        key = row["id"]
        if key in register.household_no and (row["watched"] or row["tells"]):
            inside = frozenset(sensors.get(key, ()))
            outside = tuple(door for door in doors.get(key, ()) if door.device_id not in inside)
            homes[key] = Home(
                key, outside, inside, row["residents"], tuple(absences.get(key, ())), tells=row["tells"]
            )
    return homes


def load_device_events(connection: Connection, device_no: int, from_ms: int, to_ms: int) -> list[DeviceEvent]:
    """Read what begins episodes at a device in a span, and the words about the door that may end them."""
    rows = connection.execute(
        _SQL["device_events"],
        {
            "device_no": device_no,
            "from_at": as_datetime(from_ms),
            "to_at": as_datetime(to_ms),
            "types": list(BEGINNING_TYPES),
            "limit": DEVICE_EVENTS_MAX,
        },
    ).fetchall()
    latched = [row for row in rows if row["type"] in _LATCHED]
    if latched:
        rows += connection.execute(
            _SQL["device_words"],
            {
                "device_no": device_no,
                "ats": [as_datetime(row["at_ms"]) for row in latched],
                "boots": [row["boot"] for row in latched],
                "seqs": [row["seq"] for row in latched],
            },
        ).fetchall()
    return [_device_event(row) for row in rows]


def _device_event(row: Mapping[str, Any]) -> DeviceEvent:
    return DeviceEvent(
        row["at_ms"], boot_text(row["boot"]), row["seq"], row["type"], row["state"], row["credential"],
        row["reason"], row["method"],
    )  # fmt: skip


def load_passes(connection: Connection, events: Sequence[DeviceEvent]) -> dict[str, Pass]:
    """Read what the register says of the credentials in some events."""
    tokens = sorted({event.credential for event in events if event.credential is not None})
    if not tokens:
        return {}
    rows = connection.execute(_SQL["over_credentials"], {"tokens": tokens}).fetchall()
    return {
        row["token"]: Pass(
            CredentialClass(row["class"]),
            row["household_id"],
            None if row["valid_to"] is None else as_ms(row["valid_to"]),
        )
        for row in rows
    }
