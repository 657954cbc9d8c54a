"""Plays the days before the demo begins: a street enters, its messages leave on standard output, its devices on disk.

It runs beside the process that stores what it plays, so that both cores work. The messages are framed: length, then
a msgpack list of (received_at, topic, payload).
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from console.stack.folder import StackFolder
from console.stack.registers import foreign_homes
from console.stack.story import UNPLUGGED_MS, load_choice
from firmware_sim import state
from firmware_sim.people import Community
from firmware_sim.residents import HOUR_MS
from firmware_sim.street import Delivery, Street
from kaimen import wire

MESSAGES_PER_FRAME = 2_000
#: A heartbeat proves the time back to the point before it: one in two hours proves what one an hour does. Where the
#: next one never arrives, the one between is needed after all.
HEARTBEAT_EVERY_MS = int(1.5 * HOUR_MS)
HEARTBEAT_LATE_MS = int(2.6 * HOUR_MS)
HELD_MS = int(2.2 * HOUR_MS)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[int, str, bytes]])


@dataclass(slots=True)
class _Held:
    """A delivery that waits until it is known whether it is needed."""

    delivery: Delivery
    needed: bool


def thinned(deliveries: Iterable[Delivery], *, all_from_ms: int) -> Iterator[Delivery]:
    """Leave out heartbeats that prove nothing the next one does not prove too; the order stays."""
    waiting: deque[_Held] = deque()
    passed_ms: dict[str, int] = {}
    left_out: dict[str, _Held] = {}
    for delivery in deliveries:
        at_ms, topic, _payload = delivery
        held = _Held(delivery, needed=True)
        if topic.endswith("/hb") and at_ms < all_from_ms:
            since_ms = at_ms - passed_ms.get(topic, 0)
            if since_ms < HEARTBEAT_EVERY_MS:
                held.needed = False
                left_out[topic] = held
            else:
                if since_ms > HEARTBEAT_LATE_MS and topic in left_out:
                    left_out.pop(topic).needed = True
                passed_ms[topic] = at_ms
        waiting.append(held)
        while waiting[0].delivery[0] < at_ms - HELD_MS:
            first = waiting.popleft()
            if first.needed:
                yield first.delivery
    yield from (held.delivery for held in waiting if held.needed)


def as_foreign(deliveries: Iterable[Delivery], door_ids: frozenset[str]) -> Iterator[Delivery]:
    """Let some doors speak as the edge lets them: check-ins as basis, no lifetime counter."""
    for delivery in deliveries:
        at_ms, topic, payload = delivery
        if topic.split("/")[5] not in door_ids:
            yield delivery
            continue
        found = _without_counter(wire.parse_topic(topic).channel, payload)
        if found is not None:
            yield at_ms, topic, found


def _without_counter(channel: str, payload: bytes) -> bytes | None:
    value = msgspec.json.decode(payload)
    if channel == "state":
        return None  # the edge says nothing of the sort for a sensor
    for item in value if isinstance(value, list) else [value]:
        item["opens"] = None
        if channel == "hb":
            item["basis"] = "check_in"
    return msgspec.json.encode(value)


def play(
    community: Community, now_ms: int, state_path: Path, *, unplugged: str | None = None
) -> Iterator[Delivery]:
    """Play a street up to ``now_ms``, then keep its devices for the live street to go on from.

    ``unplugged`` is a gateway whose cable is pulled some hours before.
    """
    street = Street(community, community.start_ms)
    doors = frozenset(home.door_id for home in foreign_homes(community))
    yield from as_foreign(thinned(_run(street, now_ms, unplugged), all_from_ms=now_ms - 4 * HOUR_MS), doors)
    state_path.unlink(missing_ok=True)
    state.save(street, state_path)


def _run(street: Street, now_ms: int, unplugged: str | None) -> Iterator[Delivery]:
    if unplugged is not None:
        yield from street.run(now_ms - UNPLUGGED_MS)
        street.unplug_gateway(unplugged)
    yield from street.run(now_ms)


def write_frames(stream: IO[bytes], deliveries: Iterable[Delivery]) -> None:
    """Write deliveries in frames; an empty frame is the end, so that a half history is never taken for a whole one."""
    waiting: list[Delivery] = []
    for delivery in deliveries:
        waiting.append(delivery)
        if len(waiting) == MESSAGES_PER_FRAME:
            _write_frame(stream, waiting)
            waiting = []
    if waiting:
        _write_frame(stream, waiting)
    _write_frame(stream, [])


def _write_frame(stream: IO[bytes], deliveries: list[Delivery]) -> None:
    body = _encoder.encode(deliveries)
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()


def read_frames(stream: IO[bytes]) -> Iterator[Delivery]:
    """Yield what ``write_frames`` wrote.

    Raises
    ------
    EOFError
        If the writer ended before it was done.
    """
    while True:
        head = stream.read(4)
        length = int.from_bytes(head, "big")
        body = stream.read(length)
        if len(head) < 4 or len(body) < length:
            raise EOFError("the history ends too early")
        deliveries = _decoder.decode(body)
        if not deliveries:
            return
        yield from deliveries


def main() -> int:
    folder = StackFolder(Path(sys.argv[1]))
    choice = load_choice(folder)
    assert choice is not None, "a street is chosen before its history is played"
    write_frames(
        sys.stdout.buffer, play(choice.make(), choice.now_ms, folder.street_state, unplugged=choice.unplugged)
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
