"""A generated wire case and a seed enter; the same case after a few misfortunes more leaves.

What ``strategies_wire`` makes lives by habits; here single messages and registries are bent afterwards: clocks that
step for a while, starts nobody announced, counters that begin anew, heartbeats that contradict their events, one
device at several doors, dwellings that exchange their devices, absences that touch evidence to the millisecond,
numbers at the ends of their range. What the protocol leaves open (``strategies_wire``) stays left out: of two
contents under one position and uptime the second is dropped.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from random import Random
from typing import Any

from tests.property.strategies_wire import DAY, HOUR, MINUTE, SECOND, Case, Message, random_case

_HUGE = 2**63 - 1


def _bodies(messages: list[Message]) -> list[dict[str, Any]]:
    """Return what carries a head, the elements of arrays too; to be changed in place."""
    found: list[dict[str, Any]] = []
    for line in messages:
        payload = line["payload"]
        for body in payload if isinstance(payload, list) else [payload]:
            if isinstance(body, dict) and type(body.get("ts")) is int and type(body.get("up")) is int:
                found.append(body)
    return found


def _stretch(rng: Random, messages: list[Message]) -> list[dict[str, Any]]:
    """Return the bodies of one boot between two of its uptimes."""
    bodies = _bodies(messages)
    if not bodies:
        return []
    boot = rng.choice(bodies).get("boot")
    own = sorted((body for body in bodies if body.get("boot") == boot), key=lambda body: body["up"])
    first = rng.randrange(len(own))
    return own[first : first + rng.randint(1, len(own))]


def step_clock(rng: Random, messages: list[Message], registry: Message) -> None:
    """For a while the clock is wrong, by seconds or by hours."""
    step = rng.choice([1, -1, 119_999, 120_000, 120_001, -121_000, HOUR, HOUR + 1, -2 * HOUR, DAY])
    for body in _stretch(rng, messages):
        body["ts"] += step


def lose_sync(rng: Random, messages: list[Message], registry: Message) -> None:
    """For a while the clock says another quality, and perhaps nothing sensible."""
    quality = rng.choice(["rtc", "unsynced", "ntp"])
    for body in _stretch(rng, messages):
        body["clk"] = quality
        if quality == "unsynced" and rng.random() < 0.5:
            body["ts"] = rng.choice([0, body["up"], -1, body["ts"] - 9 * DAY])


def boot_anew(rng: Random, messages: list[Message], registry: Message) -> None:
    """The rest of a boot is another one, whose positions begin anew or not, or another device's boot id."""
    own = _stretch(rng, messages)
    if not own:
        return
    least_up = own[0]["up"] - rng.choice([0, 1, SECOND])
    name = rng.choice([f"{rng.getrandbits(64):016x}", rng.choice(_bodies(messages)).get("boot")])
    least_seq = min((body["seq"] for body in own if type(body.get("seq")) is int), default=1)
    anew = rng.random() < 0.7
    for body in own:
        body["boot"] = name
        body["up"] -= least_up
        if anew and type(body.get("seq")) is int:
            body["seq"] = max(1, body["seq"] - least_seq + 1)
        if anew and type(body.get("seq_last")) is int:
            body["seq_last"] = max(0, body["seq_last"] - least_seq + 1)


def reset_counter(rng: Random, messages: list[Message], registry: Message) -> None:
    """The lifetime counter begins anew, goes back, jumps, or is gone for a while."""
    own = _stretch(rng, messages)
    less = rng.choice([1, 2, 5, -1, -3, 10**6])
    gone = rng.random() < 0.2
    for body in own:
        if type(body.get("opens")) is int:
            body["opens"] = None if gone else max(0, body["opens"] - less)


def contradict(rng: Random, messages: list[Message], registry: Message) -> None:
    """Heartbeats say other positions and counters than the events around them."""
    for body in _stretch(rng, messages):
        if type(body.get("seq_last")) is int and rng.random() < 0.5:
            body["seq_last"] = max(0, body["seq_last"] + rng.choice([-3, -1, 1, 2, 7]))
        if type(body.get("opens")) is int and rng.random() < 0.5:
            body["opens"] = max(0, body["opens"] + rng.choice([-2, -1, 1, 3]))


def silence(rng: Random, messages: list[Message], registry: Message) -> None:
    """For a while nothing arrives, from one device or from all; or it arrives together afterwards."""
    if not messages:
        return
    ats = sorted(line["received_at"] for line in messages)
    low, high = sorted((rng.choice(ats), rng.choice(ats)))
    topic = rng.choice([None, rng.choice(messages)["topic"].rpartition("/")[0]])
    spooled = rng.random() < 0.5
    kept = []
    for line in messages:
        hit = low <= line["received_at"] <= high and (topic is None or line["topic"].startswith(f"{topic}/"))
        if hit and spooled and not line["topic"].endswith("/hb"):
            line["received_at"] = high
        if not hit or (spooled and not line["topic"].endswith("/hb")):
            kept.append(line)
    messages[:] = kept


def repeat(rng: Random, messages: list[Message], registry: Message) -> None:
    """Copies come before, after, or far too late."""
    for line in rng.sample(messages, min(len(messages), 6)):
        after = rng.choice([0, 1, SECOND, -SECOND, MINUTE, -6 * MINUTE, 44 * DAY, 46 * DAY])
        messages.append({**copy.deepcopy(line), "received_at": max(0, line["received_at"] + after)})


def touch_with_absences(rng: Random, messages: list[Message], registry: Message) -> None:
    """Absences begin and end at evidence, at one another, or a millisecond beside."""
    ats = [body["ts"] for body in _bodies(messages)] or [0]
    for household in registry["households"]:
        spans = household.setdefault("absences", [])
        for _ in range(rng.randint(1, 4)):
            since = rng.choice([*ats, household["watched_from"], *(span["to"] for span in spans)])
            until = rng.choice([*ats, since + 90 * DAY, since + SECOND, since + 1])
            spans.append({"from": since + rng.choice([-1, 0, 1]), "to": until + rng.choice([-1, 0, 1])})


def move_doors(rng: Random, messages: list[Message], registry: Message) -> None:
    """Devices are at several doors, exchanged, taken away and put back; a device is at a dwelling and shared."""
    ats = sorted(body["ts"] for body in _bodies(messages)) or [0]
    names = [device["id"] for device in registry["devices"]] or ["d-0"]
    for household in registry["households"]:
        for _ in range(rng.randint(1, 3)):
            since = rng.choice(ats) + rng.choice([-1, 0, 1])
            until = rng.choice(ats) + rng.choice([-1, 0, 1])
            window: dict[str, Any] = {"from": min(since, until), "to": max(since, until)}
            window = {key: window[key] for key in rng.sample(sorted(window), rng.randint(0, 2))}
            role = rng.choice(["dwelling", "dwelling", "shared"])
            household["doors"].append({"device": rng.choice(names), "role": role, **window})
        if rng.random() < 0.3:
            household["doors"] = [
                {"device": names[0], "to": ats[len(ats) // 2]},
                {"device": names[-1], "from": ats[len(ats) // 2]},
            ]


def bend_policies(rng: Random, messages: list[Message], registry: Message) -> None:
    """Thresholds in any order, of any number, twice the same; watched from the instant of a message, or from later."""
    ats = [body["ts"] for body in _bodies(messages)] or [0]
    for household in registry["households"]:
        if rng.random() < 0.5:
            some = [1, 2, 30, 60, 61, 90, 600, 3_600, 86_400, 172_800, 400 * 86_400]
            household["thresholds_s"] = [rng.choice(some) for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            household["watched_from"] = rng.choice(ats) + rng.choice([-1, 0, 1])
    for device in registry["devices"]:
        if rng.random() < 0.2:
            device["supervision_s"] = rng.choice([1, 20 * 86_400])


def exceed(rng: Random, messages: list[Message], registry: Message) -> None:
    """Numbers at the ends of what a field may hold."""
    bodies = _bodies(messages)
    for body in rng.sample(bodies, min(len(bodies), 3)):
        field = rng.choice(["ts", "up", "opens", "seq_last" if "seq_last" in body else "seq", "rx"])
        body[field] = rng.choice([_HUGE, _HUGE - 1, 2**53, 2**62, 2**32, 0, 1])
        if field in ("ts", "rx") and rng.random() < 0.3:
            body[field] = -_HUGE - 1


def relabel(rng: Random, messages: list[Message], registry: Message) -> None:
    """Events are of another kind, or by another credential; an Open edge follows no Closed one."""
    kinds = ["DoorTamper", "DoorFault", "DoorForcedOpen", "AccessTaken", "AccessGranted", "DoorPhysicalState"]
    events = [body for body in _bodies(messages) if "seq" in body]
    for body in rng.sample(events, min(len(events), 5)):
        body["type"] = rng.choice(kinds)
        body["state"] = rng.choice(["Open", "Closed", None, "Ajar"])
        body["cred"] = rng.choice([None, "", "c_own", "c_staff", "c_guest", "c_next"])
        body["method"] = rng.choice([None, "remote_office", "card", ""])


def live_together(rng: Random, messages: list[Message], registry: Message) -> None:
    """Two households live behind the same doors, watched alike."""
    registry["households"] += [
        {**copy.deepcopy(household), "id": f"{household['id']}-too"} for household in registry["households"]
    ]


Misfortune = Callable[[Random, list[Message], Message], None]
MISFORTUNES: tuple[Misfortune, ...] = (
    step_clock, lose_sync, boot_anew, reset_counter, contradict, silence, repeat, touch_with_absences, move_doors,
    bend_policies, exceed, relabel,
)  # fmt: skip


def _without_open_questions(messages: list[Message]) -> list[Message]:
    """Leave out what the protocol does not order: other contents at one (boot, position, uptime)."""
    said: dict[tuple[Any, ...], str] = {}
    kept = []
    for line in messages:
        payload = line["payload"]
        if all(_is_first(said, line["topic"], body) for body in _bodies([{"payload": payload}])):
            kept.append(line)
    return kept


def _is_first(said: dict[tuple[Any, ...], str], topic: str, body: dict[str, Any]) -> bool:
    kind = "seq" if "seq" in body else "seq_last"
    key = (topic.split("/")[-2], body.get("boot"), kind, repr(body.get(kind)), body["up"])
    content = {
        name: value for name, value in body.items() if name not in ("hist", "rx") and value is not None
    }
    words = json.dumps(content, sort_keys=True)
    return said.setdefault(key, words) == words


def unfortunate_case(seed: int, scale: str | None = None, *, only: Misfortune | None = None) -> Case:
    """Return the same case for the same seed: ``random_case`` of it, after one to four misfortunes."""
    rng = Random(f"misfortune {seed}")
    messages, registry, until_ms = random_case(seed, scale)
    registry = json.loads(json.dumps(registry))
    for misfortune in [only] if only else rng.choices(MISFORTUNES, k=rng.randint(1, 4)):
        misfortune(rng, messages, registry)
    if only is None and rng.random() < 0.3:
        live_together(rng, messages, registry)
    messages = _without_open_questions(messages)
    messages.sort(key=lambda line: line["received_at"])
    return messages, registry, max([until_ms, *(line["received_at"] for line in messages)])
