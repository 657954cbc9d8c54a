"""Silent devices are folded by cause: own > broker > site > gateway > device."""

from __future__ import annotations

from ingest.causes import (
    SETTLE_MAX_MS,
    Cause,
    CauseFact,
    Causes,
    OutageCause,
    OutageFact,
    OutageMoved,
    OutageTold,
    StandingOutage,
    Wiring,
)
from ingest.detector.facts import OutageBegan, OutageEnded

SECOND, MINUTE = 1_000, 60_000
SUPERVISION = 3 * MINUTE


def at(minutes: float) -> int:
    return int(minutes * MINUTE)


def street(*doors: Wiring, heard: dict[str, int] | None = None, gateways: tuple[str, ...] = ()) -> Causes:
    wiring = [*doors, *(Wiring(name, "west", SUPERVISION, is_gateway=True) for name in gateways)]
    return Causes(wiring, now_ms=0, heard_ms_by_id=heard)


def door(name: str, *, site: str = "west", gateway: str | None = None, **further: int) -> Wiring:
    return Wiring(name, site, SUPERVISION, gateway_id=gateway, is_required=True, **further)


def pulse(causes: Causes, at_ms: int) -> list[OutageBegan | OutageEnded]:
    """One pulse without facts of the detector; what is supervised here."""
    facts = causes.pulse(at_ms)
    causes.take(facts, at_ms)
    return facts


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
    assert pulse(causes, at(4)) == []
    assert pulse(causes, at(4) + SECOND) == [OutageBegan("gw-1", at(4) + SECOND, at(1))]
    assert pulse(causes, at(5)) == []
    causes.hear("gw-1", at(6))
    assert pulse(causes, at(6)) == [OutageEnded("gw-1", at(4) + SECOND, at(6))]


def test_a_gateway_never_heard_has_its_time_first() -> None:
    causes = street(gateways=("gw-1",))
    assert pulse(causes, at(3)) == []
    assert pulse(causes, at(3) + SECOND) == [OutageBegan("gw-1", at(3) + SECOND, None)]


def test_a_retained_birth_says_nothing_about_when() -> None:
    causes = street(gateways=("gw-1",))
    causes.note_state("gw-1", "online", at(3), retained=True)
    assert pulse(causes, at(3) + SECOND) == [OutageBegan("gw-1", at(3) + SECOND, None)]


def test_a_standing_outage_is_not_announced_again_after_a_rebuild() -> None:
    standing = [
        StandingOutage(OutageBegan("gw-1", at(4), at(1)), Cause(OutageCause.GATEWAY, "gw-1")),
    ]
    wiring = [Wiring("gw-1", "west", SUPERVISION, is_gateway=True)]
    causes = Causes(wiring, now_ms=at(9), heard_ms_by_id={"gw-1": at(1)}, standing=standing)
    assert pulse(causes, at(10)) == []
    causes.hear("gw-1", at(10))
    assert pulse(causes, at(10)) == [OutageEnded("gw-1", at(4), at(10))]


# --- causes that show a little later ---------------------------------------------------------------------------

SITE_WEST = Cause(OutageCause.SITE, "west")
Told = CauseFact | OutageEnded


def fall(causes: Causes, *names_and_heard: tuple[str, float]) -> list[Told]:
    """Let doors be given up in turn, each at its own pulse; return everything that was stated."""
    said: list[Told] = []
    for name, heard in sorted(names_and_heard, key=lambda item: item[1]):
        outage = silent(name, at(heard))
        said += causes.take([outage], outage.began_ms)
    return said


def final_causes(said: list[Told]) -> dict[str, Cause]:
    """The cause each device stands under after everything that was stated, as alerts was told."""
    found: dict[str, Cause] = {}
    for fact in said:
        match fact:
            case OutageFact(outage, cause, told):
                if told:
                    found[outage.device_id] = cause
            case OutageTold() | OutageMoved():
                found[fact.device_id] = fact.cause
            case OutageEnded():
                found.pop(fact.device_id, None)
    return found


def test_one_door_among_others_is_told_when_the_others_had_their_time() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(10), "b": at(13)})
    outage = silent("a", at(10))
    assert causes.take([outage], outage.began_ms) == [
        OutageFact(outage, Cause(OutageCause.DEVICE, "a"), told=False)
    ]
    told_ms = outage.began_ms + SUPERVISION
    causes.hear("b", told_ms)
    assert causes.take([], told_ms - SECOND) == []
    assert causes.take([], told_ms) == [
        OutageTold("a", outage.began_ms, Cause(OutageCause.DEVICE, "a"), told_ms)
    ]
    assert causes.take([], told_ms + SECOND) == []
    assert SUPERVISION <= SETTLE_MAX_MS


def test_the_only_door_of_a_site_is_told_at_once() -> None:
    causes = street(door("a"), heard={"a": at(10)})
    outage = silent("a", at(10))
    assert causes.take([outage], outage.began_ms) == [OutageFact(outage, Cause(OutageCause.DEVICE, "a"))]


def test_doors_that_fall_silent_one_after_another_end_as_one_site() -> None:
    # The first had lost two heartbeats before the power went: it is given up long before its neighbours.
    heard = {"a": at(10), "b": at(12.1), "c": at(12.9)}
    causes = street(door("a"), door("b"), door("c"), heard=heard)
    said = fall(causes, ("a", 10), ("b", 12.1), ("c", 12.9))
    assert final_causes(said) == dict.fromkeys("abc", SITE_WEST)
    assert sum(isinstance(fact, OutageMoved) for fact in said) == 0, "nobody had been told of a door alone"


def test_a_door_people_were_told_of_is_folded_into_the_wider_cause() -> None:
    # Its supervision is shorter than its neighbours': it is told before they are given up.
    slow = [
        Wiring(name, "west", 40 * MINUTE, is_required=True, gateway_id="gw-1")
        for name in ("slow-1", "slow-2")
    ]
    wiring = [door("quick", gateway="gw-1"), *slow, Wiring("gw-1", "west", 30 * MINUTE, is_gateway=True)]
    heard = {"quick": at(10), "slow-1": at(1), "slow-2": at(0), "gw-1": at(4), "lobby": at(200)}
    causes = Causes([*wiring, door("lobby")], now_ms=0, heard_ms_by_id=heard)
    said = fall(causes, ("quick", 10))
    said += causes.take([], at(20))
    assert final_causes(said) == {"quick": Cause(OutageCause.DEVICE, "quick")}
    facts = causes.pulse(at(34) + SECOND)
    assert [fact.device_id for fact in facts] == ["gw-1"]
    said += causes.take(facts, at(34) + SECOND)
    gateway = Cause(OutageCause.GATEWAY, "gw-1")
    assert (
        OutageMoved(
            "quick",
            silent("quick", at(10)).began_ms,
            gateway,
            Cause(OutageCause.DEVICE, "quick"),
            at(34) + SECOND,
        )
        in said
    )
    said += causes.take([], at(40))
    assert final_causes(said) == {"quick": gateway, "gw-1": gateway}


def test_all_sensors_of_a_gateway_whose_radio_died_are_the_gateways_cause_although_it_speaks() -> None:
    doors = [door(f"d-{number}", gateway="gw-1") for number in range(4)]
    heard = {f"d-{number}": at(10 + number / 5) for number in range(4)}
    causes = street(
        *doors, door("lobby"), heard=heard | {"gw-1": at(100), "lobby": at(100)}, gateways=("gw-1",)
    )
    said = fall(causes, *((f"d-{number}", 10 + number / 5) for number in range(4)))
    said += causes.take([], at(30))
    assert set(final_causes(said).values()) == {Cause(OutageCause.GATEWAY, "gw-1")}
    assert len(final_causes(said)) == 4


def test_a_door_that_died_hours_before_its_site_keeps_its_own_case() -> None:
    heard = {"a": at(10), "b": at(600), "c": at(600.5)}
    causes = street(door("a"), door("b"), door("c"), heard=heard)
    said = fall(causes, ("a", 10))
    said += causes.take([], at(60))
    said += fall(causes, ("b", 600), ("c", 600.5))
    assert final_causes(said) == {"a": Cause(OutageCause.DEVICE, "a"), "b": SITE_WEST, "c": SITE_WEST}


def test_what_stays_silent_after_our_own_outage_gets_its_own_cause() -> None:
    doors = [door(f"d-{number}", gateway="gw-1") for number in range(3)]
    heard = {f"d-{number}": at(10) for number in range(3)} | {"gw-1": at(10), "lobby": at(10)}
    causes = street(*doors, door("lobby"), heard=heard, gateways=("gw-1",))
    causes.begin_gap(OutageCause.OWN, at(11), restarted=True)
    causes.end_gap(at(1500))
    outages = [OutageBegan(name, at(1500), at(10)) for name in ("d-0", "d-1", "d-2", "lobby")]
    said = causes.take(outages, at(1500))
    assert set(final_causes(said).values()) == {Cause(OutageCause.OWN, "ingest")}
    causes.hear("lobby", at(1500.5))
    said += causes.take([OutageEnded("lobby", at(1500), at(1500.5))], at(1500.5))
    causes.hear("lobby", at(1503))
    said += causes.take([], at(1503) + 2 * SECOND)
    assert final_causes(said) == dict.fromkeys(("d-0", "d-1", "d-2"), Cause(OutageCause.GATEWAY, "gw-1"))


# --- what was never heard --------------------------------------------------------------------------------------

HOURS_48 = 48 * 60


def test_a_device_never_heard_is_told_at_its_commissioning_deadline() -> None:
    causes = street(door("new", registered_ms=at(5)), door("old"), heard={"old": at(5)})
    began = OutageBegan("new", at(6), None)
    cause = Cause(OutageCause.DEVICE, "new")
    assert causes.take([began], at(6)) == [OutageFact(began, cause, told=False)]
    assert causes.take([], at(4 + HOURS_48)) == []
    assert causes.take([], at(5 + HOURS_48)) == [OutageTold("new", at(6), cause, at(5 + HOURS_48))]


def test_a_deadline_of_its_community_counts() -> None:
    causes = street(door("new", registered_ms=at(5), commissioning_ms=0), door("old"), heard={"old": at(5)})
    began = OutageBegan("new", at(6), None)
    assert causes.take([began], at(6)) == [OutageFact(began, Cause(OutageCause.DEVICE, "new"))]


def test_sensors_nobody_depends_on_are_told_too_when_they_were_never_heard() -> None:
    motion = Wiring("motion", "west", SUPERVISION)
    causes = Causes([motion, door("a")], now_ms=0, heard_ms_by_id={"a": 0})
    assert pulse(causes, at(HOURS_48)) == []
    deadline = at(HOURS_48) + SECOND
    assert pulse(causes, deadline) == [OutageBegan("motion", deadline, None)]
    causes.hear("motion", at(HOURS_48 + 9))
    assert causes.take_first_heard() == {"motion": at(HOURS_48 + 9)}
    assert pulse(causes, at(HOURS_48 + 9)) == [OutageEnded("motion", deadline, at(HOURS_48 + 9))]
    assert pulse(causes, at(HOURS_48 + 999)) == []


def test_a_site_of_which_nobody_was_ever_heard_is_one_cause() -> None:
    causes = street(door("a"), door("b"))
    assert causes.decide(OutageBegan("a", at(1), None)) == SITE_WEST


def test_an_outage_of_a_device_taken_out_of_service_is_over() -> None:
    causes = street(door("a"), door("b"), heard={"a": at(10), "b": at(13)})
    outage = silent("a", at(10))
    causes.take([outage], outage.began_ms)
    causes.replace_wiring([door("b")])
    assert pulse(causes, at(20)) == [OutageEnded("a", outage.began_ms, at(20))]
