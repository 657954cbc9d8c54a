"""The simulated street as a process of the demo: its people go on living, its devices speak to the demo's broker.

Most doors have controllers that speak the wire protocol themselves. Some have a Zigbee contact sensor behind a
Zigbee2MQTT bridge: for those the plain frames of such a bridge are published, and it is the edge that makes events
of them. What people tell the office about being away is entered into the books when they tell it.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from urllib.parse import quote, urlsplit

import msgspec
import psycopg

from console.stack.folder import StackFolder
from console.stack.registers import declare_absences, foreign_homes
from console.stack.story import load_choice
from firmware_sim.live import Live, open_street
from firmware_sim.people import Community
from firmware_sim.publish import BrokerPublisher, Connected, Notice, Publisher
from firmware_sim.street import Outgoing, Street
from kaimen.clock import Clock, open_clock
from kaimen.database import connect, why_away
from kaimen.logs import get_logger, set_up_logs

OFFICE_EVERY_S = 0.5
OFFICE_PATIENCE_S = 3.0

log = get_logger()


class BridgePublisher:
    """Publishes for some doors as a Zigbee2MQTT bridge does, and for all others as they speak themselves.

    ``on_all_linked`` is called once, when every gateway that wants a session has one.
    """

    def __init__(
        self, inner: Publisher, label_by_door: dict[str, str], on_all_linked: Callable[[], None]
    ) -> None:
        self._inner = inner
        self._labels = label_by_door
        self._contact: dict[str, bool] = {}
        self._missing: set[str] = set()
        self._standing: set[str] = set()
        self._on_all_linked: Callable[[], None] | None = on_all_linked

    def want(self, gateway_id: str, *, linked: bool, will: tuple[str, bytes]) -> None:
        if self._on_all_linked is not None and linked:
            self._missing.add(gateway_id)
        self._inner.want(gateway_id, linked=linked, will=will)

    def notices(self, timeout_s: float) -> list[Notice]:
        found = self._inner.notices(timeout_s)
        if self._on_all_linked is not None:
            self._standing |= {notice.gateway_id for notice in found if isinstance(notice, Connected)}
            if self._missing <= self._standing:
                self._on_all_linked()
                self._on_all_linked = None
        return found

    def has_room(self) -> bool:
        return self._inner.has_room()

    def close(self) -> None:
        self._inner.close()

    def send(self, messages: Sequence[Outgoing]) -> None:
        translated = [found for message in messages for found in self._translate(message)]
        self._inner.send(translated)

    def _translate(self, message: Outgoing) -> list[Outgoing]:
        door = message.topic.split("/")[5]
        label = self._labels.get(door)
        if label is None:
            return [message]
        if message.channel == "state":
            return []  # the bridge's own availability, which says nothing of a battery sensor
        self._note_contact(door, message)
        # A sensor without a memory: what it could not send at once it never sends, only how its door stands now.
        return [
            Outgoing(
                message.sent_ms, message.gateway_id, "evt", f"zigbee2mqtt/{label}", self._frame(door),
                message.ticket,
            )
        ]  # fmt: skip

    def _note_contact(self, door: str, message: Outgoing) -> None:
        if message.channel == "hb":
            return
        value = msgspec.json.decode(message.payload)
        for item in value if isinstance(value, list) else [value]:
            if item["type"] == "DoorPhysicalState":
                self._contact[door] = item["state"] == "Closed"

    def _frame(self, door: str) -> bytes:
        frame = {"battery": 87, "contact": self._contact.get(door, True), "linkquality": 96, "voltage": 2985}
        return json.dumps(frame).encode()


class Office:
    """Enters into the books what residents tell it, when they tell it."""

    def __init__(self, community: Community, database_url: str, clock: Clock, stop: threading.Event) -> None:
        self._absences = community.absences
        self._url = database_url
        self._clock = clock
        self._stop = stop

    def run(self) -> None:
        """Work until the stop; wait out a database that is away."""
        while not self._stop.is_set():
            try:
                with connect(self._url, service="street", autocommit=True) as connection:
                    while not self._stop.wait(OFFICE_EVERY_S):
                        self._enter(connection)
            except psycopg.OperationalError as error:
                log.warning("the database is away", error=why_away(error))
                self._stop.wait(OFFICE_PATIENCE_S)

    def _enter(self, connection: psycopg.Connection[dict[str, object]]) -> None:
        now_ms = self._clock.now_ms()
        due = [item for item in self._absences if item.declared_at_ms <= now_ms]
        if not due:
            return
        declare_absences(connection, due, until_ms=now_ms)
        self._absences = tuple(item for item in self._absences if item.declared_at_ms > now_ms)


def _broker_url() -> str:
    parts = urlsplit(os.environ["KAIMEN_BROKER_URL"])
    user, password = os.environ["KAIMEN_BROKER_USER"], os.environ["KAIMEN_BROKER_PASSWORD"]
    return f"{parts.scheme}://{quote(user)}:{quote(password)}@{parts.netloc}"


def main() -> int:
    """Play the street of KAIMEN_STACK_DIR until SIGTERM."""
    set_up_logs("street", level=os.environ.get("KAIMEN_LOG_LEVEL", "INFO"))
    folder = StackFolder(Path(os.environ["KAIMEN_STACK_DIR"]))
    choice = load_choice(folder)
    assert choice is not None, "the demo has no street"
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask_to_stop)
    community = choice.make()
    clock = open_clock(os.environ["KAIMEN_CLOCK"])
    street = Street(community, choice.now_ms, real_link=True)
    state = open_street(street, folder.street_state)
    labels = {home.door_id: home.label for home in foreign_homes(community)}
    publisher = BridgePublisher(BrokerPublisher(_broker_url()), labels, folder.street_linked.touch)
    office = threading.Thread(
        target=Office(community, os.environ["KAIMEN_DATABASE_URL"], clock, stop).run, name="office"
    )
    office.start()
    log.info("the street lives", count=len(community.households))
    try:
        Live(street, clock, publisher, state, folder.street_orders).run(stop)
    finally:
        stop.set()
        office.join()
        publisher.close()
        state.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
