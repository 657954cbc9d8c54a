"""The whole way over TLS: who is believed, who is refused, and that the words say why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
from structlog.testing import capture_logs

from console.doctor.broker import Broker, look_at_broker
from console.stack.folder import StackError, StackFolder
from console.stack.nats import open_nats, tls_of_own
from edge.link import Inbox, Link, LinkUp, Published
from ingest.subscriber import Subscriber
from kaimen.broker import parse_broker_urls
from kaimen.broker_tls import BrokerTls, BrokerTlsError
from kaimen.clock import ManualClock
from tests.fix_certificates import Authority, Pair, secure_nats
from tests.fix_servers import NatsServer, Program, free_port, nats_server, wait_until
from tests.integration.ingest_street import BEGIN_MS, Door

_Item = TypeVar("_Item")
pytestmark = [pytest.mark.integration, pytest.mark.one_store, pytest.mark.slow]


@dataclass(frozen=True)
class Place:
    """Brokers of one authority: a good one, one whose certificate is over, one that asks for ours."""

    folder: Path
    authority: Authority
    good: NatsServer
    expired: NatsServer
    asking: NatsServer
    client: Pair


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    pair = authority.vouch("broker", ["broker.example", "127.0.0.1"])
    over = authority.vouch("over", ["127.0.0.1"], days=(-30, -1))
    with (
        secure_nats(folder, pair) as good,
        secure_nats(folder, over) as expired,
        secure_nats(folder, pair, clients_of=authority.file) as asking,
    ):
        yield Place(folder, authority, good, expired, asking, authority.vouch("client", ["gw-1"]))


def url_of(server: NatsServer) -> str:
    return f"mqtts://127.0.0.1:{server.mqtt_port}"


@contextlib.contextmanager
def edge_link(server: NatsServer, security: BrokerTls) -> Iterator[tuple[Link, Inbox]]:
    inbox = Inbox()
    addresses = parse_broker_urls(url_of(server), security=security)
    link = Link("central", addresses, client_id="gw-1", inbox=inbox, backoff_first_s=0.1, backoff_max_s=0.5)
    link.start()
    try:
        yield link, inbox
    finally:
        link.stop()


def wait_for(inbox: Inbox, kind: type[_Item]) -> _Item:
    found: list[_Item] = []

    def came() -> bool:
        found.extend(item for item in inbox.take(items_max=100, wait_s=0.1) if isinstance(item, kind))
        return bool(found)

    wait_until(came, f"{kind.__name__} comes")
    return found[0]


def send_an_opening(server: NatsServer, edge: BrokerTls, ingest: BrokerTls) -> None:
    """Let an opening go from the edge's link to the session of ingest."""
    subscriber = Subscriber(url_of(server), clock=ManualClock(BEGIN_MS), security=ingest)
    try:

        def listens() -> bool:
            if subscriber.may_connect():
                subscriber.connect()
            return subscriber.is_connected

        wait_until(listens, "ingest listens")
        with edge_link(server, edge) as (link, inbox):
            topic, payload = Door().opening(BEGIN_MS)
            message_id = link.publish(wait_for(inbox, LinkUp).epoch, topic, payload, qos=1)
            assert wait_for(inbox, Published).message_id == message_id
        batch = subscriber.take(messages_max=1, wait_s=30, gather_s=0)
        assert [(message.topic, message.payload) for message in batch.messages] == [(topic, payload)]
        subscriber.acknowledge(batch)
    finally:
        subscriber.disconnect()


def test_an_opening_goes_from_edge_to_ingest_over_tls(place: Place) -> None:
    trusting = BrokerTls(place.authority.file)
    send_an_opening(place.good, trusting, trusting)


def test_a_broker_that_asks_for_a_certificate_is_shown_one(place: Place) -> None:
    shown = BrokerTls(place.authority.file, place.client.certificate, place.client.key)
    send_an_opening(place.asking, shown, shown)


Case = Callable[[Place], tuple[NatsServer, BrokerTls]]
REFUSED: dict[str, tuple[Case, str]] = {
    "expired": (lambda at: (at.expired, BrokerTls(at.authority.file)), "has expired: renew it"),
    "another name": (
        lambda at: (at.good, BrokerTls(at.authority.file, name="other.example")),
        "is for another name",
    ),
    "a stranger's": (
        lambda at: (at.good, BrokerTls(Authority(at.folder, "stranger").file)),
        "nobody we trust vouches for",
    ),
    "the system's authorities know it not": (lambda at: (at.good, BrokerTls()), "KAIMEN_BROKER_CA_FILE"),
    "no such file": (lambda at: (at.good, BrokerTls(at.folder / "none.crt")), "none.crt"),
}


@pytest.fixture
def heard_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loggers that nobody has set up: a service's own, once used, can no longer be listened to."""
    before = structlog.get_config()
    structlog.reset_defaults()
    monkeypatch.setattr("ingest.subscriber.log", structlog.get_logger())
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("heard_logs")
@pytest.mark.parametrize("what", REFUSED)
def test_whom_we_do_not_believe_we_tell_nothing_and_say_why(place: Place, what: str) -> None:
    case, words = REFUSED[what]
    server, security = case(place)
    with capture_logs() as logs, edge_link(server, security) as (link, inbox):
        wait_until(lambda: words in link.trouble, f"the edge says: {words}")
        assert not any(isinstance(item, LinkUp) for item in inbox.take(items_max=100, wait_s=0))
    assert any(words in line.get("reason", "") for line in logs)
    subscriber = Subscriber(url_of(server), clock=ManualClock(BEGIN_MS), security=security)
    with capture_logs() as logs:
        subscriber.connect()
        wait_until(lambda: subscriber.is_idle, "ingest gives up")
    subscriber.disconnect()
    assert any(words in line.get("reason", "") for line in logs)
    broker = Broker("127.0.0.1", server.mqtt_port, secure=True, security=security)
    lines = list(look_at_broker(broker, groups=1, serving=frozenset()))
    assert any(words in line.words for line in lines), "the doctor says it too"


def test_where_no_tls_is_spoken_the_words_say_so() -> None:
    with nats_server() as plain, edge_link(plain, BrokerTls()) as (link, _):
        wait_until(lambda: "mqtt:// instead of mqtts://" in link.trouble, "the edge says so")


def test_without_its_own_certificate_nobody_is_let_in_where_one_is_asked_for(place: Place) -> None:
    with edge_link(place.asking, BrokerTls(place.authority.file)) as (link, inbox):
        wait_until(lambda: "KAIMEN_BROKER_CERTIFICATE_FILE" in link.trouble, "the edge says so")
        assert not any(isinstance(item, LinkUp) for item in inbox.take(items_max=100, wait_s=0))


def test_a_key_that_does_not_fit_is_named(place: Place) -> None:
    other = place.authority.vouch("other", ["gw-2"])
    with pytest.raises(BrokerTlsError, match=r"client\.crt and .*other\.key"):
        BrokerTls(None, place.client.certificate, other.key).open_context()


def test_the_broker_of_kaimen_up_with_a_certificate_for_its_public_name(place: Place, tmp_path: Path) -> None:
    """Its own services dial loopback; they check the very certificate, by a name that is in it."""
    pair = place.authority.vouch("public", ["*.kaimen.example"])
    folder = StackFolder(tmp_path)
    nats = open_nats(
        folder, folder.load_secrets(), mqtt_port=free_port(), client_port=free_port(), site_id=None,
        certificate=(pair.certificate, pair.key),
    )  # fmt: skip
    nats.make_ready_to_start()
    program = Program("nats-server", nats.arguments(), tmp_path / "nats.log")
    program.start()
    try:
        program.wait_until(nats.is_ready)
        nats.provision_sessions()
    finally:
        program.stop()


def test_what_is_no_certificate_keeps_the_stack_from_starting_with_words(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(StackError, match=r"empty\.pem is no certificate"):
        tls_of_own(tmp_path / "empty.pem")
