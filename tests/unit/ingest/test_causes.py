"""Silent devices are folded by cause: own > broker > site > gateway > device."""

from __future__ import annotations

from ingest.causes import Cause, Causes, OutageCause, Wiring
from ingest.detector.facts import OutageBegan, OutageEnded

SECOND, MINUTE = 1_000, 60_000
SUPERVISION = 3 * MINUTE


def at(minutes: float) -> int:
    return int(minutes * MINUTE)


def street(*doors: Wiring, heard: dict[str, int] | None = None, gateways: tuple[str, ...] = ()) -> Causes:
    wiring = [*doors, *(Wiring(name, "west", SUPERVISION, is_gateway=True) for name in gateways)]
    return Causes(wiring, now_ms=0, heard_ms_by_id=heard)


def door(name: str, *, site: str = "west", gateway: str | None = None) -> Wiring:
    return Wiring(name, site, SUPERVISION, gateway_id=gateway)


def silent(name: str, heard_ms: int | None) -> OutageBegan:
    began = (heard_ms or 0) + SUPERVISION + SECOND
    return OutageBegan(name, began, heard_ms)


def test_one_door_alone_is_its_own_fault() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(10), "b": at(13)})
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.DEVICE, "a")


def test_a_site_whose_devices_fall_silent_together_is_one_cause_from_the_first_on() -> None:
    heard = {"a": at(10), "b": at(10.4), "c": at(10.9), "dead-for-days": 0}
    causes = street(door("a"), door("b"), door("c"), door("dead-for-days"), heard=heard)
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.SITE, "west")
    assert causes.decide(silent("c", at(10.9))) == Cause(OutageCause.SITE, "west")


def test_doors_behind_a_silent_gateway_are_the_gateways_cause() -> None:
    heard = {"a": at(10), "gw-1": at(10.2), "gw-2": at(13), "b": at(13)}
    causes = street(
        door("a", gateway="gw-1"), door("b", gateway="gw-2"), heard=heard, gateways=("gw-1", "gw-2")
    )
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.GATEWAY, "gw-1")


def test_a_gateways_last_will_is_believed() -> None:
    heard = {"a": at(10), "gw-1": at(13), "b": at(13)}
    causes = street(door("a", gateway="gw-1"), door("b"), heard=heard, gateways=("gw-1",))
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.DEVICE, "a")
    causes.note_state("gw-1", "offline", at(13), retained=False)
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.GATEWAY, "gw-1")


def test_while_the_broker_is_away_nobody_else_is_blamed() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(10), "b": at(10)})
    causes.begin_gap(OutageCause.BROKER, at(10.5))
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.BROKER, "broker")
    causes.end_gap(at(14))
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.BROKER, "broker")


def test_a_blink_of_the_broker_does_not_excuse_a_device() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(10), "b": at(13)})
    causes.begin_gap(OutageCause.BROKER, at(10.5))
    causes.end_gap(at(10.6))
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.DEVICE, "a")


def test_after_our_own_restart_nobody_is_blamed_until_there_was_time_to_be_heard() -> None:
    causes = street(door("a"), heard={"a": at(10)})
    causes.begin_gap(OutageCause.OWN, at(11), restarted=True)
    causes.end_gap(at(11.1))
    assert causes.decide(silent("a", at(10))) == Cause(OutageCause.OWN, "ingest")
    late = OutageBegan("a", at(11.1) + SUPERVISION + 2 * SECOND, at(10))
    assert causes.decide(late) == Cause(OutageCause.DEVICE, "a")


def test_a_device_heard_since_our_gap_is_not_excused_by_it() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(20), "b": at(23)})
    causes.begin_gap(OutageCause.OWN, at(11), restarted=True)
    causes.end_gap(at(19))
    assert causes.decide(silent("a", at(20))) == Cause(OutageCause.DEVICE, "a")


def test_a_gap_that_stands_keeps_its_beginning() -> None:
    causes = street(door("a"))
    causes.begin_gap(OutageCause.OWN, at(1))
    causes.begin_gap(OutageCause.BROKER, at(2))
    assert causes.gap is not None
    assert (causes.gap.kind, causes.gap.from_ms) == (OutageCause.OWN, at(1))


def test_gateways_are_supervised_here() -> None:
    causes = street(gateways=("gw-1",))
    causes.hear("gw-1", at(1))
    assert causes.pulse(at(4)) == []
    assert causes.pulse(at(4) + SECOND) == [OutageBegan("gw-1", at(4) + SECOND, at(1))]
    assert causes.pulse(at(5)) == []
    causes.hear("gw-1", at(6))
    assert causes.pulse(at(6)) == [OutageEnded("gw-1", at(4) + SECOND, at(6))]


def test_a_gateway_never_heard_has_its_time_first() -> None:
    causes = street(gateways=("gw-1",))
    assert causes.pulse(at(3)) == []
    assert causes.pulse(at(3) + SECOND) == [OutageBegan("gw-1", at(3) + SECOND, None)]


def test_a_retained_birth_says_nothing_about_when() -> None:
    causes = street(gateways=("gw-1",))
    causes.note_state("gw-1", "online", at(3), retained=True)
    assert causes.pulse(at(3) + SECOND) == [OutageBegan("gw-1", at(3) + SECOND, None)]


def test_a_standing_outage_is_not_announced_again_after_a_rebuild() -> None:
    standing = [OutageBegan("gw-1", at(4), at(1))]
    wiring = [Wiring("gw-1", "west", SUPERVISION, is_gateway=True)]
    causes = Causes(wiring, now_ms=at(9), heard_ms_by_id={"gw-1": at(1)}, standing=standing)
    assert causes.pulse(at(10)) == []
    causes.hear("gw-1", at(10))
    assert causes.pulse(at(10)) == [OutageEnded("gw-1", at(4), at(10))]
