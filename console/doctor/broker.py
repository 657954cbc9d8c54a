"""The doctor at the broker: an address enters; whether it answers, keeps ingest's sessions and has room leaves.

A session is somebody's: whoever connects with its name takes it away. The broker of ``kaimen up`` is therefore asked
over its own protocol; any other one only for sessions that nobody serves at the moment.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from console.doctor.lines import Line, attention, ok, wrong
from console.stack.folder import StackError, StackFolder, read_json
from console.stack.nats import tls_of_own
from console.stack.nats_desk import Desk
from ingest.subscriber import client_id_of, subscriptions_of
from kaimen.broker import BrokerAddress, parse_broker_urls
from kaimen.broker_tls import SYSTEM_TRUST, BrokerTls, explain
from kaimen.settings import IngestSettings
from kaimen.wire import format_topic

_PATIENCE_S = 5.0
#: So many events waiting for a worker that is there are more than it has just not come to.
_WAITING_MANY = 10_000
_STORE_SHARE_HIGH = 0.8
_HASH_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASH_LENGTH = 8
_UNITS = {"": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_START = (
    "start the broker, see that its disk has room, and check address, user and password (KAIMEN_BROKER_*)"
)
_NODE = "start this node again: the cluster may lose no other one until it is back"
_NOT_KEPT = (
    "make room where the broker keeps its messages; one that refuses although there is room has to be started anew"
    " (kaimen up and the compose file's health check do it by themselves)"
)
_NO_SESSION = "start ingest before any device speaks: it makes its session, and never delete one"


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the broker of ``kaimen up`` answers questions about itself."""

    port: int
    user: str
    password: str
    store_bytes_max: int


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker listens for MQTT; ``why_not`` says why that is not known."""

    host: str = ""
    port: int = 0
    secure: bool = False
    user: str | None = None
    password: str | None = None
    security: BrokerTls = SYSTEM_TRUST
    admin: Admin | None = None
    why_not: str = ""
    others: tuple[BrokerAddress, ...] = ()

    def nodes(self) -> list[Broker]:
        """Return this node and the other ones of its cluster."""
        return [self, *(_broker_at(other) for other in self.others)]


def broker_of_settings(settings: IngestSettings) -> Broker:
    """Return the broker that ingest's settings name."""
    try:
        nodes = parse_broker_urls(
            settings.broker_url, user=settings.broker_user, password=settings.broker_password,
            security=settings.broker_tls,
        )  # fmt: skip
    except ValueError as error:
        return Broker(why_not=str(error))
    return replace(_broker_at(nodes[0]), others=nodes[1:])


def _broker_at(node: BrokerAddress) -> Broker:
    return Broker(node.host, node.port, node.tls, node.user, node.password, node.security)


def broker_of_directory(folder: StackFolder) -> Broker:
    """Return the broker of a directory from the settings that ``kaimen up`` wrote for it."""
    words = read_json(folder.root / "secrets.json") or {}
    try:
        text = (folder.nats / "nats.conf").read_text(encoding="utf-8")
    except OSError:
        return Broker(why_not=f"nothing runs in {folder.root}: start kaimen up --dir there")
    listener = re.search(r'mqtt \{ host: "([^"]+)", port: (\d+)', text)
    asked = re.search(r"^listen: [^:\s]+:(\d+)$", text, re.MULTILINE)
    certificate = re.search(r'cert_file: "([^"]+)"', text)
    if listener is None or asked is None:
        return Broker(why_not=f"{folder.nats / 'nats.conf'} is not what kaimen up writes: start it again")
    room = re.search(r"max_file_store: (\d+)([KMGT]?B?)", text)
    try:
        security = tls_of_own(Path(certificate[1])) if certificate else SYSTEM_TRUST
    except StackError as error:
        return Broker(why_not=str(error))
    admin = None
    if "broker_doctor" in words and 'user: "doctor"' in text:
        bytes_max = int(room[1]) * _UNITS.get(room[2], 1) if room else 0
        admin = Admin(int(asked[1]), "doctor", str(words["broker_doctor"]), bytes_max)
    return Broker(
        "127.0.0.1", int(listener[2]), certificate is not None, "ingest", str(words.get("broker_ingest", "")),
        security, admin,
    )  # fmt: skip


def look_at_broker(broker: Broker, *, groups: int, serving: frozenset[int]) -> Iterator[Line]:
    """Look at the broker and the session of every group; ``serving`` are those in use, which are left alone."""
    if broker.why_not:
        yield wrong("broker", broker.why_not, _START)
        return
    lines, answering = _look_at_nodes(broker.nodes())
    yield from lines
    if answering is None:
        return
    broker = answering
    yield _look_at_a_message(broker)
    if broker.admin is not None:
        try:
            yield from _look_inside(broker.admin, groups)
        except (OSError, ValueError, KeyError) as error:
            yield attention("broker's queues", f"could not be asked: {error}", "start kaimen up again")
        return
    for group_no in range(groups):
        yield _look_by_name(broker, group_no, groups, in_use=group_no in serving)
    yield ok("broker's queues", "not readable over MQTT: see the broker's own page for its limits")


def _look_at_nodes(nodes: list[Broker]) -> tuple[list[Line], Broker | None]:
    """Ask every node once; return what is to be said, and one that answers if the broker as a whole works."""
    answers: list[tuple[Broker, str]] = []
    for node in nodes:
        try:
            _ask_for_session(node, f"kaimen-doctor-{os.urandom(6).hex()}", clean=True)
        except OSError as error:
            answers.append((node, explain(error)))
        else:
            answers.append((node, ""))
    answering = [node for node, failure in answers if not failure]
    # A cluster answers for what a majority of its nodes has on disk; without one it can promise nothing.
    works = len(answering) * 2 > len(nodes)
    lines = []
    for node, failure in answers:
        where = f"{node.host}:{node.port}"
        if not failure:
            lines.append(ok("broker", f"{where} takes a session"))
        elif works:
            lines.append(attention("broker", f"{where}: {failure}; the other nodes go on without it", _NODE))
        else:
            lines.append(wrong("broker", f"{where}: {failure}", _START))
    if not works and answering:
        words = (
            f"{len(answering)} of {len(nodes)} nodes are there: without a majority nothing is acknowledged"
        )
        lines.append(wrong("broker's cluster", words, "start the other nodes"))
    return lines, answering[0] if works else None


# --- any broker ------------------------------------------------------------------------------------------------


def _look_at_a_message(broker: Broker) -> Line:
    """Send one message to ourselves, below a site that nobody has: a broker answers for what it has kept."""
    part = "broker's store"
    try:
        took_s = _send_to_ourselves(broker)
    except PermissionError as error:
        return attention(part, str(error), "let ingest's user publish and hear kaimen/v1/+/+/+/+/cfg")
    except OSError as error:
        return wrong(part, f"keeps no message: {explain(error)}", _NOT_KEPT)
    return ok(part, f"a message was kept and came back in {took_s * 1000:.0f} ms")


def _send_to_ourselves(broker: Broker) -> float:
    """Return after how many seconds a message was answered for and came.

    Raises
    ------
    PermissionError
        If it was answered for and did not come.
    OSError
        If it was not answered for in time.
    """
    name = f"kaimen-doctor-{os.urandom(6).hex()}"
    topic = format_topic("kaimen-doctor", name, "cfg")
    client = _client_of(broker, name, clean=True)
    answered: list[int] = []
    came: list[int] = []
    heard: list[bool] = []

    def on_connect(*_told: object) -> None:
        client.subscribe(topic, qos=1)

    def on_subscribe(
        _who: object, _data: object, _mid: object, reasons: list[ReasonCode], _more: object
    ) -> None:
        heard.append(not any(reason.is_failure for reason in reasons))

    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    client.on_publish = lambda _client, _data, packet_id, *_rest: answered.append(packet_id)

    def on_message(_client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        came.append(message.mid)
        client.ack(message.mid, message.qos)

    client.on_message = on_message
    began = time.monotonic()
    try:
        client.connect(broker.host, broker.port, keepalive=30)
        while not (answered and came):
            if heard:
                if not heard.pop():
                    raise OSError("the broker takes no subscription")
                client.publish(topic, b"{}", qos=1)
            late = time.monotonic() - began > _PATIENCE_S
            if late and answered:
                raise PermissionError("a message was answered for and did not come back")
            if late:
                raise OSError("the broker does not answer for a message")
            if client.loop(timeout=0.1) != mqtt.MQTT_ERR_SUCCESS:
                raise OSError("the broker closed the connection")
        return time.monotonic() - began
    finally:
        client.disconnect()
        client.loop(timeout=0.1)


def _client_of(broker: Broker, name: str, *, clean: bool) -> mqtt.Client:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean, protocol=mqtt.MQTTv311,
        reconnect_on_failure=False, manual_ack=True,
    )  # fmt: skip
    if broker.user:
        client.username_pw_set(broker.user, broker.password)
    if broker.secure:
        client.tls_set_context(broker.security.open_context())
    client.connect_timeout = _PATIENCE_S
    return client


def _look_by_name(broker: Broker, group_no: int, groups: int, *, in_use: bool) -> Line:
    name = client_id_of(group_no, groups)
    part = f"session {name}"
    if in_use:
        return ok(part, "in use by its worker, so it is there; not touched")
    try:
        if _ask_for_session(broker, name, clean=False):
            return ok(part, "is kept by the broker")
        # Asking made an empty one: it must not be taken for ingest's.
        _ask_for_session(broker, name, clean=True)
    except OSError as error:
        return wrong(part, explain(error), _START)
    return wrong(part, "is not there: what devices say now is lost", _NO_SESSION)


def _ask_for_session(broker: Broker, name: str, *, clean: bool) -> bool:
    """Connect once; say whether the broker had a session of this name.

    Raises
    ------
    OSError
        If it cannot be reached, or does not let us in.
    """
    client = _client_of(broker, name, clean=clean)
    told: list[tuple[bool, bool, str]] = []

    def on_connect(
        _who: mqtt.Client, _data: object, flags: mqtt.ConnectFlags, reason: ReasonCode, _more: object
    ) -> None:
        told.append((not reason.is_failure, flags.session_present, str(reason)))

    client.on_connect = on_connect
    try:
        client.connect(broker.host, broker.port, keepalive=30)
        deadline = time.monotonic() + _PATIENCE_S
        while not told and time.monotonic() < deadline:
            if client.loop(timeout=0.1) != mqtt.MQTT_ERR_SUCCESS:
                break
    finally:
        client.disconnect()
        client.loop(timeout=0.1)
    if not told:
        raise OSError("it listens, and does not answer as a broker")
    good, present, words = told[0]
    if not good:
        raise OSError(f"it does not let us in: {words}")
    return present


# --- the broker of kaimen up -----------------------------------------------------------------------------------


def _look_inside(admin: Admin, groups: int) -> Iterator[Line]:
    with socket.create_connection(("127.0.0.1", admin.port), timeout=_PATIENCE_S) as line:
        desk = Desk(line, admin.user, admin.password)
        for group_no in range(groups):
            yield _look_at_session(desk, group_no, groups)
        used = int(desk.ask("$JS.API.INFO").get("storage", 0))
    share = used / admin.store_bytes_max if admin.store_bytes_max else 0.0
    words = f"{used / 2**20:.1f} MiB of {admin.store_bytes_max / 2**30:.1f} GiB kept"
    if share > _STORE_SHARE_HIGH:
        yield wrong(
            "broker's queues", words, "start what does not fetch its messages: a full store takes no event"
        )
    else:
        yield ok("broker's queues", words)


def _look_at_session(desk: Desk, group_no: int, groups: int) -> Line:
    name = client_id_of(group_no, groups)
    part = f"session {name}"
    session = _session_of(desk, name)
    if session is None:
        return wrong(part, "is not there: what devices say now is lost", _NO_SESSION)
    wanted = {
        topic.replace("/", ".").replace("+", "*"): qos for topic, qos in subscriptions_of(group_no, groups)
    }
    missing = [topic for topic, qos in wanted.items() if session.get("subs", {}).get(topic) != qos]
    if missing:
        return wrong(part, f"does not hear {', '.join(missing)}", "start ingest again: it subscribes anew")
    waiting = _count_waiting(desk, session)
    words = f"hears all {len(wanted)} kinds, {waiting} messages wait"
    if waiting > _WAITING_MANY:
        return attention(part, words, "ingest is behind, or not running: look into its log")
    return ok(part, words)


def messages_waiting(admin: Admin, name: str) -> int:
    """Return how many messages a session has not answered for, those included that are on their way to it.

    Raises
    ------
    OSError
        If the broker cannot be asked.
    KeyError
        If it keeps no session of this name.
    """
    with socket.create_connection(("127.0.0.1", admin.port), timeout=_PATIENCE_S) as line:
        desk = Desk(line, admin.user, admin.password)
        session = _session_of(desk, name)
        if session is None:
            raise KeyError(name)
        return _count_waiting(desk, session)


def _session_of(desk: Desk, name: str) -> dict[str, Any] | None:
    question = {"last_by_subj": f"$MQTT.sess.{hash_of(name)}"}
    found = desk.ask("$JS.API.STREAM.MSG.GET.$MQTT_sess", question)
    return dict(json.loads(base64.b64decode(found["message"]["data"]))) if "message" in found else None


def _count_waiting(desk: Desk, session: dict[str, Any]) -> int:
    names = {held["durable_name"] for held in (session.get("cons") or {}).values()}
    return sum(
        int(row["num_pending"]) + int(row["num_ack_pending"])
        for row in desk.consumers()
        if row["name"] in names
    )


def hash_of(name: str) -> str:
    """Return how nats-server abbreviates the name of a session."""
    digest = hashlib.sha256(name.encode()).digest()[:_HASH_LENGTH]
    return "".join(_HASH_DIGITS[byte % len(_HASH_DIGITS)] for byte in digest)
