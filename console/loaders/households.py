"""Households as lists show them: ids enter; names as far as the reader may know them, day lines and grounds leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from console.loaders import Reader
from console.loaders.history import load_blind
from console.scope import Section, Sight, may_enter, see_household, show_name
from console.views.grounds import Grounds, HouseholdLine
from console.views.parts import DayLine, HouseholdName, LifeSign, Presumed, SignKind, Span
from kaimen.clock import as_ms
from kaimen.database import Connection, queries
from kaimen.policy import MINUTE_MS, THRESHOLDS_DEFAULT_MS
from kaimen.vocabulary import EvidenceKind, Stage

Row = Mapping[str, Any]

SIGNS_MAX = 5_000
SIGNS_SHOWN_MAX = 40
#: Blind spans are read from the stored messages, door by door: only for as many rows as a screen shows.
BLIND_ROWS_MAX = 12
_SIGN_KINDS = {
    "Motion": SignKind.MOTION,
    "Occupancy": SignKind.MOTION,
    "WaterUse": SignKind.WATER,
    "PowerUse": SignKind.POWER,
}


@dataclass(frozen=True, slots=True)
class LoadedHousehold:
    """A row with what was made of it; ``line`` is None where nobody watches."""

    row: Row
    name: HouseholdName
    line: DayLine | None
    grounds: Grounds | None

    def in_list(self) -> HouseholdLine:
        case_id = self.row["case_id"]
        # Nobody learns from a list which home is empty: an absence looks like a home that nobody watches.
        away = self.line is not None and self.line.away_until is not None
        return HouseholdLine(
            household=self.name,
            line=None if away else self.line,
            grounds=None if away or self.grounds is None else hide_presence(self.grounds),
            case_url=None if case_id is None else f"/cases/{case_id}",
            case_number=self.row["case_number"],
            holder=self.row["case_holder"],
            holder_for=self.row["case_holder_for"] or "",
        )


def hide_presence(grounds: Grounds) -> Grounds:
    """Leave out where she is presumed to be: from a list nobody learns that a home is empty."""
    return replace(grounds, presumed=Presumed.UNSURE, presumed_by="", direction=None, hidden=True)


def inactive_ms(row: Row, at: datetime) -> int:
    """Return the watched inactivity at an instant, from a row of ``household_states``."""
    if row["known"] and row["absent_until"] is None:
        return int(row["base_ms"]) + max(0, as_ms(at) - as_ms(row["anchor_at"]))
    return int(row["settled_ms"])


def thresholds_ms(row: Row) -> tuple[int, ...]:
    return tuple(1000 * s for s in row["thresholds_s"]) if row["thresholds_s"] else THRESHOLDS_DEFAULT_MS


def evidence_kind(evidence: Mapping[str, Any]) -> EvidenceKind:
    """Return what the state rests on; a word of a newer ingest is read as a plain opening."""
    try:
        return EvidenceKind(evidence.get("kind", "opening"))
    except ValueError:
        return EvidenceKind.OPENING


def stored_boot(boot: str) -> int:
    """Return a boot's 16 hexadecimal digits as the signed integer the event table holds."""
    value = int(boot, 16)
    return value - (1 << 64) if value >= 1 << 63 else value


def name_of(row: Row, reader: Reader, sight: Sight) -> HouseholdName:
    """Say who and where, as far as ``sight`` goes; a place alone has no door and no name."""
    if sight < Sight.MASKED:
        return HouseholdName(
            id="", label=f"{row['building']}-{row['unit']}", building=row["building"], unit=row["unit"]
        )
    local_year = reader.now.astimezone(ZoneInfo(reader.zone)).year
    return HouseholdName(
        id=row["id"],
        label=row["label"],
        building=row["building"],
        unit=row["unit"],
        room=row["room"],
        name=show_name(row["name"] or "", sight) if row["name"] else "",
        age=None if row["birth_year"] is None else local_year - row["birth_year"],
        lives_alone=row["resident_count"] == 1,
        grid=row["grid"],
        url=f"/households/{row['id']}" if may_enter(reader.viewer, Section.HOUSEHOLDS) else None,
    )


def line_of(row: Row, reader: Reader) -> DayLine | None:
    """Make the day line of a state row; None where there is no state or no consent."""
    if row["evidence_at"] is None or not row["watch_consent"]:
        return None
    return DayLine(
        evidence_at=row["evidence_at"],
        now=max(reader.seen_until, row["evidence_at"]),
        inactive_ms=inactive_ms(row, reader.seen_until),
        stage=Stage(min(row["stage"], Stage.VISIT)),
        known=row["known"],
        doubted=_is_doubted(row),
        evidence_kind=evidence_kind(row["evidence"]),
        thresholds_ms=thresholds_ms(row),
        away_until=row["absent_until"],
    )


def load_rows(connection: Connection, ids: Iterable[str], now: datetime) -> dict[str, Row]:
    rows = connection.execute(
        queries("console")["household_lines"], {"ids": list(ids), "now": now}
    ).fetchall()
    return {row["id"]: row for row in rows}


def load_households(
    connection: Connection,
    reader: Reader,
    ids: Sequence[str],
    *,
    sights: Mapping[str, Sight] | None = None,
) -> dict[str, LoadedHousehold]:
    """Return the households the reader may see, by id, with signs of life and blind spans where they matter.

    ``sights`` carries what a case allows beyond the household's own page.
    """
    rows = load_rows(connection, ids, reader.now)
    visible = {}
    for household_id in ids:
        row = rows.get(household_id)
        if row is None:
            continue
        own = see_household(reader.viewer, household_id=row["id"], community_id=row["community_id"])
        sight = max(own, (sights or {}).get(household_id, Sight.NOTHING))
        if sight >= Sight.PLACE:
            visible[household_id] = (row, sight)
    lines = {key: line_of(row, reader) for key, (row, sight) in visible.items() if sight >= Sight.MASKED}
    grounds = _load_grounds(connection, reader, {key: row for key, (row, _) in visible.items()}, lines)
    lines = _with_blind(connection, lines)
    return {
        key: LoadedHousehold(
            row, name_of(row, reader, sight), _with_signs(lines.get(key), grounds.get(key)), _grounds_only(grounds.get(key))
        )
        for key, (row, sight) in visible.items()
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Found:
    grounds: Grounds
    signs: tuple[LifeSign, ...]


def _grounds_only(found: _Found | None) -> Grounds | None:
    return found.grounds if found else None


def _with_signs(line: DayLine | None, found: _Found | None) -> DayLine | None:
    return line if line is None or found is None else replace(line, signs=found.signs[-SIGNS_SHOWN_MAX:])


def _with_blind(connection: Connection, lines: dict[str, DayLine | None]) -> dict[str, DayLine | None]:
    """Add the blind spans of lines whose two ages differ; the greatest difference first."""

    def missing_ms(line: DayLine) -> int:
        return line.elapsed_ms - line.inactive_ms

    partly = [
        (missing_ms(line), key)
        for key, line in lines.items()
        if line is not None and line.away_until is None and missing_ms(line) > MINUTE_MS
    ]
    for _, key in sorted(partly, reverse=True)[:BLIND_ROWS_MAX]:
        line = lines[key]
        assert line is not None
        lines[key] = replace(line, blind=load_blind(connection, key, Span(line.evidence_at, line.now)))
    return lines


def _load_grounds(
    connection: Connection, reader: Reader, rows: Mapping[str, Row], lines: Mapping[str, DayLine | None]
) -> dict[str, _Found]:
    shown = {key: row for key, row in rows.items() if lines.get(key) is not None}
    if not shown:
        return {}
    directions = _load_directions(connection, shown, reader.now)
    signs = load_signs(connection, {key: row["evidence_at"] for key, row in shown.items()}, reader.now)
    derived = connection.execute(
        queries("console", "doors.sql")["presences"], {"ids": list(shown)}
    ).fetchall()
    presumed = {item["household_id"]: (Presumed(item["state"]), item["reason"]) for item in derived}
    return {
        key: _judge(row, directions.get(key), signs.get(key), lines[key], presumed.get(key))
        for key, row in shown.items()
    }


def _judge(
    row: Row,
    direction: str | None,
    found_signs: Sequence[LifeSign] | None,
    line: DayLine | None,
    derived: tuple[Presumed, str] | None,
) -> _Found:
    """Put together why we think so; where she is presumed to be, ingest has derived."""
    signs = tuple(found_signs or ())
    presumed, ground = derived or (Presumed.UNSURE, "not_judged")
    return _Found(
        Grounds(
            direction=direction,
            doubted=_is_doubted(row),
            blind_ms=0 if line is None else max(0, line.elapsed_ms - line.inactive_ms),
            presumed=presumed,
            presumed_by=ground,
            has_sensors=found_signs is not None,
            last_sign=signs[-1] if signs else None,
            away_until=row["absent_until"],
            not_seen_since=row["evidence_at"] if row["check_step"] > row["stage"] else None,
        ),
        signs,
    )


def _is_doubted(row: Row) -> bool:
    """Say whether every door is heard and one of them is not believed: what is silent is not known since an instant."""
    return not row["known"] and row["not_known_since"] is None and bool(row["in_fault"])


def _load_directions(connection: Connection, rows: Mapping[str, Row], now: datetime) -> dict[str, str]:
    """Return the direction of the passage each household's state rests on, where the reader told one."""
    wanted = {}
    for key, row in rows.items():
        evidence = row["evidence"]
        if row["evidence_device_no"] is not None and "boot" in evidence and "seq" in evidence:
            wanted[(row["evidence_device_no"], stored_boot(evidence["boot"]), int(evidence["seq"]))] = (
                key, row["evidence_at"],
            )  # fmt: skip
    if not wanted:
        return {}
    events = connection.execute(
        queries("console")["evidence_events"],
        {
            "now": now,
            "devices": [device for device, _, _ in wanted],
            "boots": [boot for _, boot, _ in wanted],
            "seqs": [seq for _, _, seq in wanted],
            "ats": [at for _, at in wanted.values()],
        },
    ).fetchall()
    return {
        wanted[(event["device_no"], event["boot"], event["seq"])][0]: event["direction"]
        for event in events
        if event["direction"]
    }


def load_signs(
    connection: Connection, since_by_id: Mapping[str, datetime], now: datetime
) -> dict[str, list[LifeSign]]:
    """Return signs of life inside, oldest first, for every household that has a sensor; each since its own instant."""
    sensors = connection.execute(queries("console")["sensors"], {"ids": list(since_by_id)}).fetchall()
    found: dict[str, list[LifeSign]] = {row["household_id"]: [] for row in sensors}
    if not sensors:
        return found
    events = connection.execute(
        queries("console")["signs"],
        {
            "household_ids": [row["household_id"] for row in sensors],
            "nos": [row["no"] for row in sensors],
            "sinces": [since_by_id[row["household_id"]] for row in sensors],
            "now": now,
            "limit": SIGNS_MAX,
        },
    ).fetchall()
    for event in reversed(events):
        kind = _SIGN_KINDS.get(event["type"], SignKind.OTHER)
        found[event["household_id"]].append(LifeSign(event["occurred_at"], kind))
    return found
