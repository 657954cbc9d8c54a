"""The webhook against a real HTTP server: what it sends, where it refuses to go, and what it believes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.channels import Channel, DeliveryError, Message, open_channels
from alerts.channels.webhook import (
    Target,
    WebhookChannel,
    WebhookSettingsError,
    parse_secret,
    parse_target,
    resolve,
    sign,
)
from kaimen.settings import AlertsSettings
from tests.unit.alerts.receiver import Receiver, run_receiver

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
MESSAGE = Message(
    key="msg_0123456789",
    person="community:c1",
    number="2025-1117-001",
    link="https://kaimen.example/cases/7",
    texts={
        "zh-CN": "开门：个案 2025-1117-001 需要您处理。",
        "en": "Kaimen: case 2025-1117-001 asks for you.",
    },
    sent_s=1_763_341_200,
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as receiver:
        yield receiver


def open_webhook(receiver: Receiver, *, answer_within_s: float = 5.0) -> Channel:
    target = parse_target(receiver.url, ("127.0.0.1",), demo=False)
    return WebhookChannel(target, KEY, answer_within_s=answer_within_s)


def failure(channel: Channel) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.deliver(MESSAGE)
    return caught.value


def test_a_message_is_signed_as_standard_webhooks_says_and_names_nobody(receiver: Receiver) -> None:
    receipt = open_webhook(receiver).deliver(MESSAGE)
    assert receipt.state == "accepted"
    headers, body = receiver.received[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == MESSAGE.key
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    data = json.loads(body)["data"]
    assert set(data) == {"case", "link", "text"}


def test_the_signature_is_the_published_example() -> None:
    key = parse_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(
        key,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("status", ["500", "503", "429", "408"])
def test_a_fault_of_the_receiver_is_tried_again(receiver: Receiver, status: str) -> None:
    receiver.mode = status
    error = failure(open_webhook(receiver))
    assert (error.permanent, error.uncertain) == (False, False)


@pytest.mark.parametrize("status", ["400", "401", "404", "410"])
def test_a_refusal_is_final(receiver: Receiver, status: str) -> None:
    receiver.mode = status
    assert failure(open_webhook(receiver)).permanent


def test_a_redirect_is_a_refusal_and_is_not_followed(receiver: Receiver) -> None:
    receiver.mode = "redirect"
    assert failure(open_webhook(receiver)).permanent
    assert receiver.keys() == [MESSAGE.key]


@pytest.mark.parametrize("mode", ["silent", "reset", "drip"])
def test_no_answer_means_that_nobody_knows(receiver: Receiver, mode: str) -> None:
    receiver.mode = mode
    began = time.monotonic()
    error = failure(open_webhook(receiver, answer_within_s=0.4))
    assert (error.permanent, error.uncertain) == (False, True)
    assert time.monotonic() - began < 3


def test_an_answer_without_end_is_not_read(receiver: Receiver) -> None:
    receiver.mode = "flood"
    assert open_webhook(receiver).deliver(MESSAGE).state == "accepted"


def test_a_receiver_that_is_not_there_is_tried_again(receiver: Receiver) -> None:
    target = parse_target("http://127.0.0.1:9/", ("127.0.0.1",), demo=False)
    error = failure(WebhookChannel(target, KEY))
    assert (error.permanent, error.uncertain) == (False, False)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.7", "192.168.1.1", "169.254.169.254", "[::1]", "[fe80::1]", "[::ffff:10.0.0.1]", "0.0.0.0"]
)  # fmt: skip
def test_an_address_inside_is_refused_unless_listed(host: str) -> None:
    target = parse_target(f"https://{host}/", (), demo=False)
    with pytest.raises(DeliveryError) as caught:
        resolve(target)
    assert caught.value.permanent


def test_a_name_that_resolves_inside_is_refused_however_public_it_looks() -> None:
    with pytest.raises(DeliveryError) as caught:
        resolve(Target("https", "localhost", 443, "/", private=False, loopback_only=False))
    assert caught.value.permanent


def test_a_demo_reaches_loopback_and_nothing_else() -> None:
    with pytest.raises(DeliveryError):
        resolve(Target("http", "10.0.0.7", 80, "/", private=True, loopback_only=True))
    assert resolve(Target("http", "127.0.0.1", 80, "/", private=True, loopback_only=True))[1] == "127.0.0.1"


@pytest.mark.parametrize(
    "url", ["http://hooks.example/", "ftp://hooks.example/", "https://", "https://user@hooks.example/", "https://h:x/"]
)  # fmt: skip
def test_what_is_no_address_to_post_to_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(WebhookSettingsError):
        parse_target(url, (), demo=False)


@pytest.mark.parametrize("secret", [None, "", "whsec_short", "whsec_%%%"])
def test_a_weak_secret_is_refused_at_the_start(secret: str | None) -> None:
    with pytest.raises(WebhookSettingsError):
        parse_secret(secret)


def test_channels_are_those_the_settings_name_and_a_demo_has_no_real_one() -> None:
    public = {"alerts_webhook_url": "https://hooks.example/", "alerts_webhook_secret": SECRET}
    inside = {
        "alerts_webhook_url": "http://127.0.0.1:9/",
        "alerts_webhook_secret": SECRET,
        "alerts_webhook_private_hosts": ("127.0.0.1",),
    }
    assert set(open_channels(AlertsSettings())) == {"console"}
    assert set(open_channels(AlertsSettings(**public))) == {"console", "webhook"}
    assert set(open_channels(AlertsSettings(demo=True, **public))) == {"console"}
    assert set(open_channels(AlertsSettings(demo=True, **inside))) == {"console", "webhook"}


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip("openssl cannot make a certificate here")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def shake_hands() -> None:
            line, _ = listener.accept()
            with line:
                try:
                    context.wrap_socket(line, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=shake_hands)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        error = failure(WebhookChannel(parse_target(url, ("127.0.0.1",), demo=False), KEY))
        thread.join()
    assert "SSLCertVerificationError" in str(error)
