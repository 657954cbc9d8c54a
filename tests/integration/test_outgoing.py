"""Where requests go: a resolver that changes its mind, certificates, redirects, and the reference of signed webhooks."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

from alerts.channels import ChannelSettingsError, DeliveryError
from alerts.channels.webhook import open_channel
from alerts.sending.outgoing import judge_status, open_line, parse_target, request
from kaimen.clock import SystemClock
from kaimen.settings import AlertsSettings
from tests.integration.providers import Answer, Asked, Provider, run_http
from tests.integration.test_channels_conformance import MESSAGE

SECRET = "whsec_" + "A" * 43 + "="


def accept(asked: Asked, provider: Provider) -> Answer:
    provider.asked.append(asked)
    if provider.mode == "redirect":
        return 302, {"Location": f"{provider.url}/elsewhere"}, b""
    return 200, {}, b"{}"


@dataclass
class Resolver:
    """Answers a name with one address after another, as an attacker's does."""

    answers: list[str]
    asked: int = 0

    def __call__(self, host: str, port: int, **_: object) -> list[object]:
        address = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def provider() -> Iterator[Provider]:
    with run_http(accept) as provider:
        yield provider


def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = Resolver(["127.0.0.1", "192.0.2.1"])
    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    target = parse_target(f"http://hooks.example:{provider.port}/", ("hooks.example",), demo=False)
    judge_status(request(target, body=b"", headers={}, tls=None))
    assert resolver.asked == 1
    assert provider.asked[0].headers["host"] == f"hooks.example:{provider.port}"


def test_a_name_that_is_public_at_first_and_inside_later_reaches_nothing_inside(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first answer passes the check; a second look-up would have led inside. There is none.
    resolver = Resolver(["203.0.114.7", "127.0.0.1"])
    connected: list[object] = []

    def connect(self: socket.socket, where: object) -> None:
        connected.append(where)
        raise TimeoutError

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    monkeypatch.setattr(socket.socket, "connect", connect)
    target = parse_target(f"https://hooks.example:{provider.port}/", (), demo=False)
    with pytest.raises(DeliveryError) as caught:
        request(target, body=b"", headers={}, tls=ssl.create_default_context())
    assert connected == [("203.0.114.7", provider.port)]
    assert (caught.value.permanent, caught.value.uncertain) == (False, False)
    assert provider.asked == []


@pytest.mark.parametrize(
    "inside", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "::ffff:192.168.0.1"]
)
def test_one_address_inside_among_several_is_enough_to_refuse(
    monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    public = Resolver(["203.0.114.7"])("h", 1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [*public, *Resolver([inside])("h", 1)])
    target = parse_target("https://hooks.example/", (), demo=False)
    with pytest.raises(DeliveryError) as caught:
        request(target, body=b"", headers={}, tls=None)
    assert caught.value.permanent


def test_a_redirect_is_not_followed(provider: Provider) -> None:
    provider.mode = "redirect"
    target = parse_target(provider.url, ("127.0.0.1",), demo=False)
    answer = request(target, body=b"", headers={}, tls=None)
    assert (answer.status, len(provider.asked)) == (302, 1)
    with pytest.raises(DeliveryError) as caught:
        judge_status(answer)
    assert caught.value.permanent


def test_an_own_authority_is_trusted_where_it_is_named_and_nowhere_else(tmp_path: Path) -> None:
    context, ca_file = make_authority(tmp_path)
    with run_http(accept, tls=context) as provider:
        provider.host = "localhost"
        settings = AlertsSettings(alerts_private_hosts=("localhost",), alerts_ca_file=ca_file)
        line = open_line(provider.url, settings, "KAIMEN_TEST_URL")
        line = replace(line, target=replace(line.target, host="localhost"))
        assert line.get("/").status == 200
        stranger = open_line(
            provider.url, AlertsSettings(alerts_private_hosts=("localhost",)), "KAIMEN_TEST_URL"
        )
        with pytest.raises(DeliveryError) as caught:
            stranger.get("/")
        assert caught.value.uncertain is False
    assert len(provider.asked) == 1


def make_authority(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A certificate for localhost that vouches for itself, made now and thrown away."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(pem)
    key_file = folder / "key.pem"
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key_file)
    return context, ca_file


def test_the_reference_of_standard_webhooks_accepts_what_is_sent_and_no_forgery(provider: Provider) -> None:
    channel = open_channel(
        AlertsSettings(
            alerts_webhook_url=f"{provider.url}/hook",
            alerts_webhook_secret=SECRET,
            alerts_private_hosts=("127.0.0.1",),
        )
    )
    assert channel is not None
    channel.deliver(replace(MESSAGE, sent_s=SystemClock().now_ms() // 1000))
    asked = provider.asked[0]
    reference = Webhook(SECRET)
    assert reference.verify(asked.body, asked.headers)["data"]["case"] == MESSAGE.number
    with pytest.raises(Exception, match="signature"):
        reference.verify(asked.body.replace(b"2025", b"2026"), asked.headers)


@pytest.mark.parametrize(
    "url", ["http://hooks.example/", "https://user:pass@hooks.example/", "file:///etc/passwd", "https://"]
)
def test_addresses_that_lead_elsewhere_are_refused_at_the_start(url: str) -> None:
    with pytest.raises(ChannelSettingsError):
        open_line(url, AlertsSettings(), "KAIMEN_TEST_URL")
